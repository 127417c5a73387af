"""Children: the go byte, adoption, exits. The fork itself is `spawner`'s, what follows in the child is `child`'s.

A child is known by the pidfd of its leader, so that an end is told by the kernel at once and no signal can hit a
stranger; what else belongs to its run is known by `rest`, and what it is sent is in `signaller`. A run is over when
nothing of it is left. Whatever ends as our child is reaped (`reap`), also orphans that the kernel hands to us because
we are a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): they are no tasks, but the run that they are from is not empty.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from supervisor.core.events import Emptied, Exited, MainPid, NotStarted, Started, Status, Used
from supervisor.core.immutable import replace
from supervisor.core.instance import Run
from supervisor.host import procfs
from supervisor.host.fdstore import Store
from supervisor.host.interface import CannotForkError, Happened, Launch
from supervisor.host.launch import spec_of
from supervisor.host.loop import Loop
from supervisor.host.notify import Notifier
from supervisor.host.pidfd import from_wait, kernel_tells, status_of
from supervisor.host.rest import ByMark, InCgroup, Rest, Sight
from supervisor.host.spawner import Spawner
from supervisor.host.traces import Traces

REAPED_WITHIN = 3.0
"""Seconds that an adopted run, which ended, may wait for its parent to reap it: then the kernel tells its status."""


class Process:
    """What is known of one living run."""

    def __init__(self, key: str, run: int, pid: int, rest: Rest, pidfd: int = -1, channel: int | None = None) -> None:
        self.key = key
        self.run = run
        self.pid = pid
        self.birth = 0  # of the leader, as the kernel has it
        self.rest = rest
        self.pidfd = pidfd
        self.channel = channel  # to the child until its exec: our go byte, its report; None for one that was adopted
        self.ours = channel is not None  # our child: its exit status will be known
        self.failure = ""  # what the child reported between fork and exec
        self.ended = False  # the leader is gone, something of the run is left
        self.group = True  # its process group may live, so nobody else can have its number
        self.told = ""  # whom the stop signal was sent to: "main", "group" or "all"
        self.chase = 0  # the errand that kills what is left of it, while that is under way

    def send(self, number: int) -> bool:
        """A signal to the leader. False when it is gone, or may not be signalled."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except (ProcessLookupError, OSError):
            return False
        return True

    def send_group(self, number: int) -> None:
        """The group; before its setsid the child has none, then the child alone."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if not self.ended:
                self.send(number)
        except PermissionError:
            pass  # every member has become another user's; what is left is told by the state

    def group_lives(self) -> bool:
        """Whether anything of the run's process group is left. The leader itself has been reaped by now.

        Zombies do not count: somebody else is their parent, who may never look after them.
        """
        if not self.answers():
            return False
        try:
            return any(one.alive and one.group == self.pid for one in map(procfs.stat, procfs.pids()))
        except OSError:  # no descriptor is left: it counts as living until it can be told
            return True

    def answers(self) -> bool:
        """Whether anybody is in its process group, be it a zombie."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class Processes:
    """Every living run, by instance and by pid."""

    def __init__(self, loop: Loop, spawner: Spawner, notifier: Notifier) -> None:
        """`loop` tells when a descriptor is readable, `spawner` forks.

        `notifier` speaks to the service manager, which keeps what shall outlive us.
        """
        self.by_key: dict[str, Process] = {}
        self.by_pid: dict[int, Process] = {}
        self.others: dict[int, Callable[[Status], list[Happened]]] = {}  # children that are no runs, by pid
        self.reaps = True  # False as long as it is not known whose an end is
        self._loop = loop
        self._spawner = spawner
        self.sight = Sight(loop, self.by_pid)
        self._kernel_tells = kernel_tells()
        self.kept = Store(notifier, useful=self._kernel_tells)
        self._unreaped: dict[Process, float] = {}  # adopted and ended, until when to wait for the status
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the spawner, and so the tasks, keep the soft one

    # -- up -----------------------------------------------------------------------------------------------------------

    def fork(self, launch: Launch, output: tuple[str, str]) -> tuple[int, int, str]:
        """See `interface.Host.fork`. `output`: the FIFOs of stdout and stderr."""
        try:
            spare = self._spawner.spawn(spec_of(launch, output), launch.task.group_limits)
        except OSError as error:
            raise CannotForkError(f"fork: {error.strerror or error}") from error
        traces = Traces(launch.run.id, launch.runtime_dir, spare.birth)
        rest = self._rest(traces, spare.pid, spare.cgroup, ours=True)
        process = Process(launch.key, launch.run.number, spare.pid, rest, spare.pidfd, spare.channel)
        process.birth = spare.birth
        try:
            self._add(process)
            self._loop.watch(spare.channel, lambda _: self._reported(process))
        except OSError as error:
            self._loop.unwatch(spare.pidfd)
            self._forget(process)
            spare.close()
            raise CannotForkError(f"epoll: {error.strerror}") from error
        self.kept.keep(spare.pid, spare.birth, spare.pidfd)
        return spare.pid, spare.birth, spare.cgroup

    def _rest(self, traces: Traces, pid: int, cgroup: str, *, ours: bool) -> Rest:
        if cgroup:
            return InCgroup(self._loop, pid, cgroup)
        return ByMark(self._loop, self.sight, pid, traces, ours=ours)

    def go(self, key: str) -> None:
        """See `interface.Host.go`."""
        process = self.by_key.get(key)
        if process and process.channel is not None:
            with suppress(OSError):  # it has died meanwhile: its end will be told
                os.write(process.channel, b"g")

    def abandon(self, key: str, reason: str) -> None:
        """See `interface.Host.abandon`. It sees that we hang up, and ends; a signal is for one that hangs before."""
        process = self.by_key.get(key)
        if process and process.channel is not None:
            process.failure = reason
            self._close_channel(process)
            process.send(signal.SIGKILL)

    def adopt(self, key: str, run: Run, runtime_dir: str) -> bool:
        """See `interface.Host.adopt`. A pid that another process has by now is recognised by its birth."""
        traces = Traces(run.id, runtime_dir, 0 if run.group else run.birth)
        rest = self._rest(traces, run.pid, run.cgroup, ours=False)
        process = Process(key, run.number, run.pid, rest)
        process.birth = run.birth
        if run.group:  # another process than the first one is the main one: no group has its number
            self._leave_group(process)
        with suppress(ProcessLookupError):
            process.pidfd = os.pidfd_open(run.pid)
            leader = procfs.stat(run.pid)
            process.ours = leader.parent == os.getpid()  # by an exec: its end is to be told, also if it is over
            if leader.birth == run.birth and (leader.alive or process.ours):
                self._add(process)
                self._spawner.adopt(run.cgroup)
                return True
            os.close(process.pidfd)
        return self._adopt_rest(process)

    def _adopt_rest(self, process: Process) -> bool:
        """Its leader has ended, and its number may be somebody else's by now."""
        process.ended, process.pidfd, process.ours = True, -1, False
        self._leave_group(process)
        if not process.rest.lives():
            self._close(process)
            return False
        self.by_key[process.key] = self.by_pid[process.pid] = process
        if isinstance(process.rest, InCgroup):
            self._spawner.adopt(process.rest.cgroup.path)
        self._watch_rest(process)
        return True

    def promote(self, key: str, pid: int) -> list[Happened]:
        """Another process of a run is its main process from now on (MAINPID= of sd_notify).

        Once the first one has ended, nobody holds the number of its process group any more, which may then be a
        stranger's: from here on the run is known by its cgroup or its mark only.
        """
        process = self.by_key.get(key)
        if process is None or process.ended or process.pid == pid:
            return []
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return []
        found = procfs.stat(pid)
        self._loop.unwatch(process.pidfd)
        os.close(process.pidfd)
        del self.by_pid[process.pid]
        self._leave_group(process)
        process.rest.lead(pid)
        self.kept.drop(process.pid, process.birth)
        process.pid, process.pidfd, process.ours = pid, pidfd, found.parent == os.getpid()
        process.birth = found.birth
        self.kept.keep(pid, found.birth, pidfd)
        self._add(process)
        return [Happened(key, MainPid(process.run, pid, found.birth))]

    def _add(self, process: Process) -> None:
        self.by_key[process.key] = self.by_pid[process.pid] = process
        self._loop.watch(process.pidfd, lambda _: self._leader_ended(process))

    def reported(self, key: str) -> list[Happened]:
        """Looks whether the program of a run has begun: it has said something, so it has."""
        process = self.by_key.get(key)
        try:
            return self._reported(process) if process else []
        except BlockingIOError:
            return []

    def _reported(self, process: Process) -> list[Happened]:
        """The child's end of the channel: a failure in words, or closed by the exec.

        Or by a SIGKILL between the go byte and the exec: that is told as a start with an end that follows at once. What
        the kernel knows of it (PF_FORKNOEXEC in /proc/PID/stat) would cost every start 12 µs.
        """
        channel = process.channel
        if channel is None:
            return []
        try:
            text = os.read(channel, 4096)
        except ConnectionResetError:  # it ended without having read its go byte
            text = b""
        if text:
            process.failure = text.decode(errors="replace")
            return []  # it ends by itself now; that is the event
        self._close_channel(process)
        return [] if process.failure else [Happened(process.key, Started(process.run))]

    def _close_channel(self, process: Process) -> None:
        if process.channel is not None:
            self._loop.unwatch(process.channel)
            os.close(process.channel)
            process.channel = None

    def of(self, key: str, run: Run) -> Process | None:
        """This run, if it lives."""
        process = self.by_key.get(key)
        return process if process and process.run == run.number else None

    def state_of(self, key: str) -> str:
        """See `interface.Host.state_of`."""
        process = self.by_key.get(key)
        return procfs.stat(process.pid).state if process and not process.ended else ""

    # -- ends ---------------------------------------------------------------------------------------------------------

    def reap(self) -> tuple[list[Happened], list[tuple[int, Status]]]:
        """Reaps every child that has ended. Returns the events of runs, and the ends of others (errands, orphans)."""
        events: list[Happened] = []
        others: list[tuple[int, Status]] = []
        ends = list(iter(_end_of, None)) if self.reaps else []
        self.sight.freshen()  # one look at our children does for all of them
        for pid, status in ends:
            process = self.by_pid.get(pid)
            if process and not process.ended:
                events += self._ended(process, status)
            elif pid in self.others:
                events += self.others.pop(pid)(status)
            else:
                others.append((pid, status))
        return events + (self._look_at_ours() if others else []), others

    def _leader_ended(self, process: Process) -> list[Happened]:
        events = self._reap_alone(process) if process.ours and isinstance(process.rest, InCgroup) else self.reap()[0]
        if process.pidfd >= 0:
            if not process.ours:  # somebody else's child
                events += self._ended_elsewhere(process)
            else:  # not to be reaped yet, as somebody traces it (ptrace(2)): SIGCHLD follows
                self._loop.watch(process.pidfd, lambda _: self._leader_ended(process), 0)
        return events

    def _reap_alone(self, process: Process) -> list[Happened]:
        """A leader in a cgroup: to ask for any child that has ended, the kernel goes through all of them.

        If there still is somebody in its process group, it may be a zombie that has become our child just now.
        """
        end = _end_of(process.pid) if self.reaps else None
        if end is None:
            return []
        others = self.reap()[0] if process.answers() else []
        return [*others, *self._ended(process, end[1])]

    def _ended_elsewhere(self, process: Process, events: int = 0) -> list[Happened]:
        """Not our child. How it ended is known as soon as it is reaped, which is when its pidfd hangs up."""
        status = status_of(process.pidfd)
        if status is None and self._kernel_tells and not events & select.EPOLLHUP:
            if process not in self._unreaped:
                self._unreaped[process] = time.monotonic() + REAPED_WITHIN
                self._loop.watch(process.pidfd, lambda events: self._ended_elsewhere(process, events), 0)
            return []
        self._unreaped.pop(process, None)
        return self._ended(process, status)

    def next_deadline(self) -> float | None:
        """When to wait no longer for the status of an adopted run."""
        return min(self._unreaped.values(), default=None)

    def expire(self, now: float) -> list[Happened]:
        """The adopted runs that nobody reaps: their status stays unknown."""
        events: list[Happened] = []
        for process in [process for process, deadline in self._unreaped.items() if deadline <= now]:
            events += self._ended_elsewhere(process, select.EPOLLHUP)
        return events

    def post_mortem(self, run: Run) -> Status | None:
        """See `interface.Host.post_mortem`."""
        return self.kept.status(run.pid, run.birth)

    def knows(self, pid: int, birth: int) -> bool:
        """Whether this is the leader of a living run."""
        process = self.by_pid.get(pid)
        return process is not None and process.birth == birth

    def _ended(self, process: Process, status: Status | None) -> list[Happened]:
        key, run = process.key, process.run
        before: list[Happened] = self._reported(process)
        if status and status.signal == "SIGKILL" and isinstance(process.rest, InCgroup):
            status = replace(status, why=process.rest.cgroup.out_of_memory())
        failure = process.failure
        self._close_channel(process)
        self._loop.unwatch(process.pidfd)
        os.close(process.pidfd)
        process.pidfd = -1
        self.kept.drop(process.pid, process.birth)
        if failure or not self._anything_left(process):
            self._forget(process)
            return [*before, Happened(key, NotStarted(run, failure) if failure else Exited(run, status, empty=True))]
        process.ended = True
        self._watch_rest(process)
        return [*before, Happened(key, Exited(run, status, empty=False))]

    def _anything_left(self, process: Process) -> bool:
        """For when the leader is gone. Its process group counts, too: root may have moved it to another cgroup."""
        process.group = process.group and process.group_lives()
        if isinstance(process.rest, ByMark) and not process.group:
            process.rest.outlive()
        return process.group or process.chase > 0 or process.rest.lives()

    def _leave_group(self, process: Process) -> None:
        """Its number is no longer known to be its own."""
        process.group = False
        if isinstance(process.rest, ByMark):
            process.rest.leave_number()

    def _watch_rest(self, process: Process) -> None:
        process.rest.watch(lambda _: self.look(process))

    def _look_at_ours(self) -> list[Happened]:
        """Something was reaped that was no leader: an orphan, perhaps the last of a run."""
        seen = [process for process in self.by_key.values() if process.ended and process.ours]
        return [event for process in seen for event in self.look(process)]

    def look(self, process: Process) -> list[Happened]:
        """Whether a run whose leader had ended is over."""
        if not process.ended or self.by_key.get(process.key) is not process:
            return []
        if self._anything_left(process):
            self._watch_rest(process)
            return []
        self._forget(process)
        return [Happened(process.key, Emptied(process.run))]

    def _forget(self, process: Process) -> None:
        if self.by_pid.get(process.pid) is process:
            del self.by_pid[process.pid]
        if self.by_key.get(process.key) is process:
            del self.by_key[process.key]
        self._close(process)

    def _close(self, process: Process) -> None:
        process.rest.unwatch()
        if isinstance(process.rest, InCgroup):
            self._spawner.remove(process.rest.cgroup.path)


def _end_of(child: int = -1) -> tuple[int, Status] | None:
    """Reaps one child: its pid, how it ended, and what it and those that it had waited for have used (getrusage(2)).

    -1: any; None: none that has ended.
    """
    try:
        pid, code, used = os.wait4(child, os.WNOHANG)
    except ChildProcessError:
        return None
    if not pid:
        return None
    cost = Used(round(used.ru_utime + used.ru_stime, 6), used.ru_maxrss * 1024)
    return pid, replace(from_wait(code), used=cost)
