"""Ask questions of probes by child processes, and end all processes that such a child has begun.

The spawner makes a child as it makes a task, with the task's user, environment and directory.

All these processes end with the child, at the timeout, or with the run. In a cgroup of their own the kernel kills them
at once. Without one a chase (`proctree`) finds them by the mark of the question, which is not that of the run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from supervisor.core.definition import Log
from supervisor.core.events import Status
from supervisor.core.immutable import replace
from supervisor.host import mark, procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.interface import Done, Happened, Launch, Occurrence
from supervisor.probes.interface import AsChild
from supervisor.runs import proctree
from supervisor.runs.process import Processes
from supervisor.runs.question import Question
from supervisor.runs.signaller import Chase
from supervisor.spawn.child import reason, split_report
from supervisor.spawn.launch import spec_of
from supervisor.spawn.spawning import Spawning


class _Child:
    """The child that asks one question, and what it has begun."""

    def __init__(self, question: Question, kind: AsChild) -> None:
        self.question = question
        self.kind = kind
        self.pid = 0
        self.cgroup = ""
        self.mark = 0
        self.users: frozenset[int] = frozenset()  # the user ids of the run that it is about
        self.ended = False  # the child is gone; processes that it has begun may still live
        self.chase = 0  # the running errand that kills what it has begun; 0 for none


class ProbeChildren:
    """The questions that children ask."""

    def __init__(self, spawning: Spawning, processes: Processes, aside: Chase) -> None:
        """`processes` reaps our children. `aside` begins an errand."""
        self._spawner, self._cgroups = spawning.spawner, spawning.cgroups
        self._processes = processes
        self._aside = aside
        self._open: dict[int, _Child] = {}  # those whose question has no answer, by its number
        self._children: list[_Child] = []  # those of which a process may live

    def ask(self, question: Question, kind: AsChild, launch: Launch) -> bool:
        """Start a child that asks the question. Return whether that was possible."""
        child = _Child(question, kind)
        task = replace(
            launch.task, command=kind.command(question.probe), python=None, log=Log("none"),
            ready="started", watchdog=None,
        )  # fmt: skip
        spec = spec_of(replace(launch, task=task, run=replace(launch.run, order=None)), ("", ""))
        spec["bound"] = True
        child.mark = spec["mark"] = mark.question(launch.run.id, launch.runtime_dir, question.number)
        try:
            spare = self._spawner.spawn(spec)
        except OSError:
            return False
        child.pid, child.cgroup = spare.pid, spare.cgroup
        if about := self._processes.by_key.get(question.key):
            child.users = about.users
        self._children.append(child)
        self._open[question.number] = child
        os.close(spare.pidfd)
        self._processes.others[spare.pid] = self._ended(child, spare.channel)
        with suppress(OSError):
            os.write(spare.channel, b"g")
        return True

    def next_deadline(self) -> float | None:
        """Return when the next child has taken too long; 0.0: the run of one is over."""
        questions = (child.question for child in self._open.values())
        return min((one.deadline if self._concerns(one) else 0.0 for one in questions), default=None)

    def postpone(self, seconds: float) -> None:
        """Postpone all deadlines."""
        for child in self._open.values():
            child.question.deadline += seconds

    def due(self, now: float) -> list[Occurrence]:
        """End the children that take too long, or whose run is over."""
        told: list[Occurrence] = []
        for number, child in list(self._open.items()):
            question, concerns = child.question, self._concerns(child.question)
            if concerns and question.deadline > now:
                continue
            del self._open[number]
            self._end(child)
            if concerns:
                told.append(question.answer(ok=False, text=f"no answer within {question.probe.timeout:g} s"))
        return told

    def _concerns(self, question: Question) -> bool:
        """Return whether it is about a run whose main process lives."""
        process = self._processes.by_key.get(question.key)
        return process is not None and process.run == question.run and not process.ended

    # -- the end ------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a process of a child may live."""
        return bool(self._children)

    def end(self) -> list[Occurrence]:
        """End all children. A chase is a child of ours, so it goes on when we exec another program."""
        ended, self._open = self._open, {}
        for child in ended.values():
            self._end(child)
        text = "the supervisor is busy"
        return [child.question.answer(ok=None, text=text) for child in ended.values()]

    def _end(self, child: _Child) -> None:
        """Kill the child, and all that it has begun."""
        if child.cgroup:
            _kill(child.pid)
            self._kill_cgroup(child.cgroup)
        else:  # while the child lives, the look for what it has forked begins there
            self._chase(child, child.pid)

    def _chase(self, child: _Child, leader: int) -> None:
        family = proctree.Family(child.mark, leader, users=child.users, heir=os.getpid())
        child.chase = child.chase or self._aside(proctree.chase, family, child.pid)

    def chased(self, done: Done) -> list[Happened] | None:
        """Handle the end of an errand. Return None if it was no chase of ours."""
        child = next((one for one in self._children if one.chase == done.errand), None)
        if child is None:
            return None
        child.chase = 0
        if done.error and not child.ended:
            _kill(child.pid)
        self._forget_if_over(child)
        return []

    def _forget_if_over(self, child: _Child) -> None:
        """Forget a child of which nothing is left, or that was chased in vain."""
        if child.ended and not child.chase:
            self._children.remove(child)

    def _ended(self, child: _Child, channel: int) -> Callable[[Status], list[Happened]]:
        """Return the handler of the child's end. It also ends what the child has left behind."""

        def ended(status: Status) -> list[Happened]:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.ended = True
            if child.cgroup:
                self._kill_cgroup(child.cgroup)
                self._cgroups.remove(child.cgroup)
            elif self._may_be_left(child):
                self._chase(child, 0)  # its pid may be a stranger's by now
            self._forget_if_over(child)
            failure = _read(channel)
            if self._open.pop(child.question.number, None) is None:
                return []
            text = failure and f"its command cannot be run: {failure}"
            text = text or child.kind.wrong(status.code, status.signal)
            return [child.question.answer(ok=not text, text=text)]

        return ended

    def _kill_cgroup(self, path: str) -> None:
        def kill() -> list[Occurrence]:
            Cgroup(path).kill()
            return []

        self._processes.retries.attempt(f"kill the processes that a probe left in {path}", kill)

    def _may_be_left(self, child: _Child) -> bool:
        """Return whether a process with its mark may live. Its orphans are our children, and no leaders of a run."""
        try:
            return any(one.alive and mark.of(one.pid) == child.mark for one in self._orphans())
        except OSError:  # not known: the chase searches, in its own process
            return True

    def _orphans(self) -> list[procfs.Stat]:
        try:
            return self._processes.process_table.children()
        except FileNotFoundError:  # this kernel does not report it
            return self._processes.process_table.everyone()


def _read(channel: int) -> str:
    """Return why there was no exec; "" if there was one."""
    try:
        _, text = split_report(os.read(channel, 4096))
        return reason(text or b"")[0]
    except OSError:  # a descendant that was not executed holds the other end
        return ""
    finally:
        os.close(channel)


def _kill(pid: int) -> None:
    """Kill the process group that a child has made; or only the child, if it has not made one yet."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
            return
