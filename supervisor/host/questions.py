"""Questions to runs: who asks them, how long an answer may take, and what is told when there is none.

The parent puts no question itself. One of the kind "prober" is a packet to the helper @prober, over a socket on which
that has connected; one of the kind "child" is a process, made by the spawner as a task is, with the task's user,
environment and directory. All that it has begun ends with it, at the timeout, or with the run that it is about: in a
cgroup of its own at once, without one by a chase (`kin`) for its mark, which is none of the run's.

What fails on our side (no prober, no process) is told as None, never as a bad answer.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from supervisor import probes
from supervisor.core.definition import Log, Probe
from supervisor.core.events import Probed, Status
from supervisor.core.immutable import plain, replace
from supervisor.host import kin, mark
from supervisor.host.cgroup import Cgroup
from supervisor.host.interface import Done, Happened, Launch, Occurrence
from supervisor.host.launch import fill, own_variables, spec_of
from supervisor.host.loop import Loop
from supervisor.host.process import Processes
from supervisor.host.signaller import Chase
from supervisor.host.spawner import Spawner

PROBER = "@prober:1"

PATIENCE = 5.0
"""Seconds beyond its timeout after which a question is lost, and the prober, which should have answered, with it."""

_PEER = struct.Struct("3i")


class Question:
    """One question that is under way: to the prober, or a child (then it has a pid)."""

    def __init__(self, launch: Launch, probe: Probe, deadline: float) -> None:
        self.key = launch.key
        self.run = launch.run.number
        self.probe = probe
        self.deadline = deadline
        self.pid = 0
        self.cgroup = ""
        self.mark = 0
        self.ended = False  # the child is gone; what it has begun may not be
        self.chase = 0  # the errand that kills what it has begun, while that is under way

    def answer(self, *, ok: bool | None, text: str = "") -> Happened:
        """As the core is told."""
        return Happened(self.key, Probed(self.run, ok, text))


class Questions:
    """Every question that is under way."""

    def __init__(self, loop: Loop, spawner: Spawner, processes: Processes, aside: Chase) -> None:
        """`processes` reap our children; `aside` begins an errand."""
        self._loop = loop
        self._spawner = spawner
        self._processes = processes
        self._aside = aside
        self._open: dict[int, Question] = {}  # those without an answer, by number
        self._children: list[Question] = []  # those of which something may live
        self._count = 0
        self._told: list[Occurrence] = []
        self._listener: socket.socket | None = None
        self._prober: socket.socket | None = None

    def ask(self, launch: Launch, probe: Probe, now: float) -> None:
        """See `interface.Host.ask`."""
        probe = _filled(probe, own_variables(launch))
        question = Question(launch, probe, now + probe.timeout)
        self._count += 1
        by_child = probes.load(probe.kind).BY == "child"
        begun = self._begin(question, launch) if by_child else self._send(question)
        if begun:
            self._open[self._count] = question
        else:
            self._told.append(question.answer(ok=None, text="it cannot be asked just now"))

    def next_deadline(self) -> float | None:
        """When the next one has to be given up; at once when there is something to tell."""
        if self._told:
            return 0.0
        return min((question.deadline for question in self._open.values()), default=None)

    def expire(self, now: float) -> list[Occurrence]:
        """Ends the children that take too long, or whose run is over.

        A prober that does not answer in time is killed likewise.
        """
        told, self._told = self._told, []
        for number, question in list(self._open.items()):
            if question.pid and not self._concerns(question):
                del self._open[number]
                self._end(question)
            elif question.deadline <= now and question.pid:
                del self._open[number]
                self._end(question)
                told.append(question.answer(ok=False, text=f"no answer within {question.probe.timeout:g} s"))
            elif question.deadline <= now:
                return told + self._lost()
        return told

    def _concerns(self, question: Question) -> bool:
        """Whether it is about a run whose main process lives."""
        process = self._processes.by_key.get(question.key)
        return process is not None and process.run == question.run and not process.ended

    # -- the end ------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something of a child may live."""
        return bool(self._children)

    def end(self) -> None:
        """No answer is waited for any more. What chases them is a child, and goes on when we are another program."""
        for number, question in list(self._open.items()):
            if question.pid:
                del self._open[number]
                self._end(question)
                self._told.append(question.answer(ok=None, text="the supervisor has something else to do"))

    def _end(self, question: Question) -> None:
        """SIGKILL to all that it has begun."""
        if question.cgroup:
            _kill(question.pid)
            Cgroup(question.cgroup).kill()
        else:  # a look for those that it has forked begins at the child, while that lives
            self._chase(question, question.pid)

    def _chase(self, question: Question, leader: int) -> None:
        question.chase = question.chase or self._aside(kin.chase, kin.Family(question.mark, leader), question.pid)

    def chased(self, done: Done) -> list[Happened] | None:
        """An errand is done. None when it was no chase of ours."""
        question = next((one for one in self._children if one.chase == done.errand), None)
        if question is None:
            return None
        question.chase = 0
        if done.error and not question.ended:
            _kill(question.pid)
        self._look(question)
        return []

    def _look(self, question: Question) -> None:
        """Forgets one of which nothing is left, or that was chased in vain."""
        if question.ended and not question.chase:
            self._children.remove(question)

    # -- children -----------------------------------------------------------------------------------------------------

    def _begin(self, question: Question, launch: Launch) -> bool:
        task = replace(
            launch.task, command=probes.load(question.probe.kind).words(question.probe), python=None, log=Log("none"),
            ready="started", watchdog=None,
        )  # fmt: skip
        spec = spec_of(replace(launch, task=task, run=replace(launch.run, order=None)), ("", ""))
        spec["bound"] = True
        question.mark = spec["mark"] = mark.question(launch.run.id, launch.runtime_dir, self._count)
        try:
            spare = self._spawner.spawn(spec)
        except OSError:
            return False
        question.pid, question.cgroup = spare.pid, spare.cgroup
        self._children.append(question)
        os.close(spare.pidfd)
        self._processes.others[spare.pid] = self._ended(self._count, question, spare.channel)
        with suppress(OSError):
            os.write(spare.channel, b"g")
        return True

    def _ended(self, number: int, question: Question, channel: int) -> Callable[[Status], list[Happened]]:
        """What the end of the child means; what it has left behind ends with it."""

        def ended(status: Status) -> list[Happened]:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(question.pid, signal.SIGKILL)
            question.ended = True
            if question.cgroup:
                Cgroup(question.cgroup).kill()
                self._spawner.remove(question.cgroup)
            elif self._left(question):
                self._chase(question, 0)  # its number may be somebody else's by now
            self._look(question)
            failure = _read(channel)
            if self._open.pop(number, None) is None:
                return []
            text = failure and f"its command cannot be run: {failure}"
            text = text or probes.load(question.probe.kind).wrong(status.code, status.signal)
            return [question.answer(ok=not text, text=text)]

        return ended

    def _left(self, question: Question) -> bool:
        """Whether anybody lives who has its mark. Its orphans are our children; those that are no leader of a run."""
        try:
            seen = self._processes.sight.children()
        except FileNotFoundError:  # this kernel does not tell
            seen = self._processes.sight.everyone()
        return any(one.alive and mark.of(one.pid) == question.mark for one in seen)

    # -- @prober ------------------------------------------------------------------------------------------------------

    def listen(self, path: str) -> None:
        """Before the prober is started: where it connects.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        if self._listener is not None and os.path.exists(path):
            return
        if self._listener is not None:  # somebody has removed its name
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
        with suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(4)
            self._loop.watch(listener.fileno(), lambda _: self._connected())
        except OSError:
            listener.close()
            raise
        self._listener = listener

    def _connected(self) -> list[Occurrence]:
        """Only the prober itself is let in, and only one."""
        try:
            made, _ = self._listener.accept() if self._listener else (None, None)
        except OSError:
            return []
        if made is None:
            return []
        pid, _, _ = _PEER.unpack(made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        prober = self._processes.by_key.get(PROBER)
        if prober is None or prober.pid != pid:
            made.close()
            return []
        told = self._hang_up()
        made.setblocking(False)
        self._prober = made
        self._loop.watch(made.fileno(), lambda _: self._answered())
        return told

    def _send(self, question: Question) -> bool:
        question.deadline += PATIENCE
        packet = json.dumps({"number": self._count, "probe": plain(question.probe)}).encode()
        try:
            return self._prober is not None and self._prober.send(packet) == len(packet)
        except OSError:  # it does not read, or is gone
            return False

    def _answered(self) -> list[Occurrence]:
        try:
            packet = self._prober.recv(4096) if self._prober else b""
        except BlockingIOError:
            return []
        except OSError:
            packet = b""
        if not packet:
            return self._hang_up()
        message = json.loads(packet)
        question = self._open.pop(message["number"], None)
        return [question.answer(ok=message["ok"], text=message["text"])] if question else []

    def _lost(self) -> list[Occurrence]:
        prober = self._processes.by_key.get(PROBER)
        if prober is not None and not prober.ended:
            prober.send(signal.SIGKILL)
        return self._hang_up()

    def _hang_up(self) -> list[Occurrence]:
        """What the prober was asked has no answer."""
        if self._prober is not None:
            self._loop.unwatch(self._prober.fileno())
            self._prober.close()
            self._prober = None
        lost = [number for number, question in self._open.items() if not question.pid]
        return [self._open.pop(number).answer(ok=None, text="the prober has ended") for number in lost]


def _filled(probe: Probe, own: dict[str, str]) -> Probe:
    """With what only the instance knows, where it is asked and what it is sent."""
    headers = tuple((name, fill(value, own)) for name, value in probe.headers)
    return replace(probe, target=tuple(fill(word, own) for word in probe.target), headers=headers)


def _read(channel: int) -> str:
    """Why there was no exec; "" when there was one."""
    try:
        return os.read(channel, 4096).decode(errors="replace")
    except OSError:  # a descendant that was not executed holds the other end
        return ""
    finally:
        os.close(channel)


def _kill(pid: int) -> None:
    """The process group of a child, which it has made itself; or the child alone, if it has not come so far."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
            return
