"""Children: the go byte, exits, signals. The fork itself is `spawner`'s, what follows in the child is `child`'s.

A child is known by the pidfd of its leader, so that an end is told by the kernel at once and no signal can hit a
stranger. Everything that ends as our child is reaped in one place (`reap`), also orphans that the kernel
hands to us because we are a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress

from supervisor.core.definition import StopPolicy
from supervisor.core.events import Emptied, Exited, NotStarted, Started, Status
from supervisor.core.instance import Run
from supervisor.host.interface import CannotForkError, Happened, Launch
from supervisor.host.launch import spec_of
from supervisor.host.loop import Loop
from supervisor.host.proc import birth, is_zombie, stat
from supervisor.host.spawner import Spawner


class Process:
    """What is known of one living run."""

    def __init__(self, key: str, run: int, pid: int, pidfd: int, channel: int | None = None) -> None:
        self.key = key
        self.run = run
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel  # to the child until its exec: our go byte, its report; None for one that was adopted
        self.ours = channel is not None  # our child: its exit status will be known
        self.failure = ""  # what the child reported between fork and exec
        self.ended = False  # the leader is gone, something of its group is left


class Processes:
    """Every living run, by instance and by pid."""

    def __init__(self, loop: Loop, spawner: Spawner) -> None:
        """`loop` tells when a descriptor is readable, `spawner` forks."""
        self.by_key: dict[str, Process] = {}
        self.by_pid: dict[int, Process] = {}
        self._loop = loop
        self._spawner = spawner
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the spawner, and so the tasks, keep the soft one

    # -- up -----------------------------------------------------------------------------------------------------------

    def fork(self, launch: Launch) -> tuple[int, int]:
        """See `interface.Host.fork`."""
        try:
            spare = self._spawner.spawn(spec_of(launch))
        except OSError as error:
            raise CannotForkError(f"fork: {error.strerror or error}") from error
        process = Process(launch.key, launch.run.number, spare.pid, spare.pidfd, spare.channel)
        try:
            self._add(process)
            self._loop.watch(spare.channel, lambda _: self._reported(process))
        except OSError as error:
            self._loop.unwatch(spare.pidfd)
            self._forget(process)
            spare.close()
            raise CannotForkError(f"epoll: {error.strerror}") from error
        return spare.pid, spare.birth

    def go(self, key: str) -> None:
        """See `interface.Host.go`."""
        process = self.by_key.get(key)
        if process and process.channel is not None:
            with suppress(OSError):  # it has died meanwhile: its end will be told
                os.write(process.channel, b"g")

    def adopt(self, key: str, run: Run) -> bool:
        """See `interface.Host.adopt`. A pid that another process has by now is recognised by its birth."""
        try:
            pidfd = os.pidfd_open(run.pid)
        except ProcessLookupError:
            return self._adopt_rest(key, run)
        if birth(run.pid) != run.birth or is_zombie(run.pid):
            os.close(pidfd)
            return birth(run.pid) == run.birth and self._adopt_rest(key, run)
        self._add(Process(key, run.number, run.pid, pidfd))
        return True

    def _adopt_rest(self, key: str, run: Run) -> bool:
        """Its leader has ended; others of its group are known by its number and by the run's mark in one of them."""
        if not any(_has_mark(pid, run.id) for pid in _pids() if _in_group(pid, run.pid)):
            return False
        process = Process(key, run.number, run.pid, -1)
        process.ended = True
        self.by_key[key] = self.by_pid[run.pid] = process
        return True

    def _add(self, process: Process) -> None:
        self.by_key[process.key] = self.by_pid[process.pid] = process
        self._loop.watch(process.pidfd, lambda _: self._leader_ended(process))

    def _reported(self, process: Process) -> list[Happened]:
        """The child's end of the channel: a failure in words, or closed by the exec."""
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

    # -- down ---------------------------------------------------------------------------------------------------------

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """See `interface.Host.terminate`. A group whose leader is gone gets it in any case."""
        process = self._of(key, run)
        if process is None:
            return
        number = signal.Signals[policy.signal]
        send = _send if policy.to == "main" and not process.ended else _send_group
        send(process, number)
        send(process, signal.SIGCONT)  # one that is stopped (SIGSTOP, a debugger) could not obey

    def destroy(self, key: str, run: Run) -> list[Happened]:
        """See `interface.Host.destroy`. Tells also when it finds that nothing is left to kill."""
        process = self._of(key, run)
        if process is None:
            return []
        _send_group(process, signal.SIGKILL)
        return self.look_for_empty() if process.ended else []

    def signal(self, key: str, name: str) -> bool:
        """See `interface.Host.signal`."""
        process = self.by_key.get(key)
        return process is not None and not process.ended and _send(process, signal.Signals[name])

    def _of(self, key: str, run: Run) -> Process | None:
        process = self.by_key.get(key)
        return process if process and process.run == run.number else None

    # -- ends ---------------------------------------------------------------------------------------------------------

    def reap(self) -> tuple[list[Happened], list[tuple[int, Status]]]:
        """Reaps every child that has ended. Returns the events of runs, and the ends of others (errands, orphans)."""
        events: list[Happened] = []
        others: list[tuple[int, Status]] = []
        while info := _next_end():
            status = _status(info)
            process = self.by_pid.get(info.si_pid)
            if process and process.ours and not process.ended:
                events += self._ended(process, status)
            else:
                others.append((info.si_pid, status))
        return events + (self.look_for_empty() if others else []), others

    def _leader_ended(self, process: Process) -> list[Happened]:
        if not process.ours:
            return [] if process.ended else self._ended(process, None)
        return self.reap()[0]

    def _ended(self, process: Process, status: Status | None) -> list[Happened]:
        key, run = process.key, process.run
        before: list[Happened] = self._reported(process)
        failure = process.failure
        self._close_channel(process)
        self._loop.unwatch(process.pidfd)
        os.close(process.pidfd)
        process.pidfd = -1
        if failure or not _group_lives(process):
            self._forget(process)
            return [*before, Happened(key, NotStarted(run, failure) if failure else Exited(run, status, empty=True))]
        process.ended = True
        return [*before, Happened(key, Exited(run, status, empty=False))]

    def look_for_empty(self) -> list[Happened]:
        """The runs whose leader had ended and of which nothing is left any more."""
        gone = [process for process in self.by_key.values() if process.ended and not _group_lives(process)]
        for process in gone:
            self._forget(process)
        return [Happened(process.key, Emptied(process.run)) for process in gone]

    def _forget(self, process: Process) -> None:
        if self.by_pid.get(process.pid) is process:
            del self.by_pid[process.pid]
        if self.by_key.get(process.key) is process:
            del self.by_key[process.key]


def _send(process: Process, number: int) -> bool:
    try:
        signal.pidfd_send_signal(process.pidfd, number)
    except (ProcessLookupError, OSError):
        return False
    return True


def _send_group(process: Process, number: int) -> None:
    """The group; before its setsid the child has none, then the child alone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        if not process.ended:
            _send(process, number)
    except PermissionError:
        pass  # every member has become another user's; what is left is told by the state


def _group_lives(process: Process) -> bool:
    """Whether anything of the run's process group is left. The leader itself has been reaped by now.

    Zombies do not count: somebody else is their parent, who may never look after them.
    """
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return any(_in_group(pid, process.pid) for pid in _pids())
    except OSError:  # no descriptor is left: it counts as living until it can be told
        return True


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _has_mark(pid: int, run_id: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"SUPERVISOR_RUN={run_id}".encode() in file.read().split(b"\0")
    except OSError:
        return False


def _in_group(pid: int, group: int) -> bool:
    state, _parent, pgrp = stat(pid, 3)
    return int(pgrp) == group and state not in (b"Z", b"X")


def _next_end() -> os.waitid_result | None:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None


def _status(info: os.waitid_result) -> Status:
    if info.si_code == os.CLD_EXITED:
        return Status(info.si_status)
    return Status(None, signal_name(info.si_status), info.si_code == os.CLD_DUMPED)


def signal_name(number: int) -> str:
    """The name of a signal; real-time signals without one of their own are "SIGRTMIN+3"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
