"""Follow the leaders of runs: fork, go byte, adoption, end. `spawner` makes the child; `child` is what runs in it.

A run is known by the pidfd of its leader. So the kernel tells its end at once, and no signal can hit a stranger.
`members` knows the other processes of the run. `signaller` sends the signals. A run is over when nothing of it is left.

`reap` reaps every child of ours that has ended, also orphans. The kernel gives orphans to us because we are a subreaper
(prctl(2), PR_SET_CHILD_SUBREAPER). An orphan is no task, but the run that it is from is not empty.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from supervisor import registry
from supervisor.core.events import Emptied, Exited, MainPid, NotStarted, Started, Status, Used
from supervisor.core.immutable import replace
from supervisor.core.instance import Run
from supervisor.host import procfs
from supervisor.host.interface import CannotForkError, Happened, Launch
from supervisor.host.loop import Loop
from supervisor.host.pidfd import from_wait, kernel_tells, status_of
from supervisor.host.retry import Retries
from supervisor.host.sd_notify import Notifier
from supervisor.host.step import SCARCE
from supervisor.runs.evidence import Evidence
from supervisor.runs.fdstore import Store
from supervisor.runs.members import ByMark, InCgroup, Members, ProcessTable
from supervisor.spawn.child import reason, split_report
from supervisor.spawn.launch import spec_of
from supervisor.spawn.spawning import Spawning

REAPED_WITHIN = 3.0
"""Seconds that an adopted run that has ended may wait for its parent to reap it. Then the kernel tells its status."""


class Process:
    """One living run, as far as it is known."""

    def __init__(
        self, key: str, run: int, pid: int, members: Members, pidfd: int = -1, channel: int | None = None
    ) -> None:
        self.key = key
        self.run = run
        self.pid = pid
        self.birth = 0  # the birth of the leader, as the kernel has it
        self.users: frozenset[int] = frozenset()  # the user id of its task; empty until it is known
        self.members = members
        self.pidfd = pidfd
        self.channel = channel  # to the child until its exec, for go byte and report; None if adopted
        self.ours = channel is not None  # it is our child, so its exit status will be known
        self.failure = ""  # what the child reported between fork and exec
        self.scarce = False  # it lacked a resource
        self.ended = False  # the leader is gone, but a process of the run is left
        self.group = True  # its process group may live, so no stranger can have its number
        self.stop_to = ""  # the receivers of the stop signal: "main", "group" or "all"
        self.chase = 0  # the running errand that kills what is left of it; 0 for none

    def send(self, number: int) -> bool:
        """Send a signal to the leader. Return False if it is gone, or may not be signalled."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except (ProcessLookupError, OSError):
            return False
        return True

    def refuses(self) -> bool:
        """Return whether the leader lives, and the supervisor may not signal it: it has another user by now."""
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except PermissionError:
            return not self.ended
        except OSError:
            return False
        return False

    def send_group(self, number: int) -> None:
        """Send a signal to the process group; or to the child alone, which has no group before its setsid."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if not self.ended:
                self.send(number)
        except PermissionError:
            pass  # every member has another user by now; the state tells what is left

    def is_of(self, *users: int) -> None:
        """Set the user ids of its task; -1: the supervisor's own."""
        self.users = frozenset(os.geteuid() if user < 0 else user for user in users)
        if isinstance(self.members, ByMark):
            self.members.is_of(self.users)

    def group_lives(self) -> bool:
        """Return whether a process of the run's group is left. The leader itself has been reaped by now.

        Zombies do not count. Their parent is another process, which may never reap them.

        Raises:
            OSError: it cannot be found out.
        """
        if not self.answers():
            return False
        members = [one for one in map(procfs.stat, procfs.pids()) if one.alive and one.group == self.pid]
        return any(map(self.members.waits_for, members))

    @property
    def helper(self) -> bool:
        """Whether it is a helper of ours. Nobody needs to know how a helper ended, and no spawner waits for its end."""
        return self.key.startswith("@")

    def answers(self) -> bool:
        """Return whether a process is in its process group, even a zombie."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class Processes:
    """Every living run, by instance and by pid."""

    def __init__(self, loop: Loop, spawning: Spawning, notifier: Notifier, retries: Retries) -> None:
        """`loop` tells when a descriptor is readable, `spawning` makes children.

        `notifier` speaks to the service manager, which keeps the pidfds that outlive us. `retries` asks again what the
        machine could not tell.
        """
        self.retries = retries
        self.by_key: dict[str, Process] = {}
        self.by_pid: dict[int, Process] = {}
        self.others: dict[int, Callable[[Status], list[Happened]]] = {}  # children that are no runs, by pid
        self.reaps = True  # False while it is not known to whom an end belongs
        self._loop = loop
        self._spawner, self._cgroups = spawning.spawner, spawning.cgroups
        self._fd_holder = spawning.fd_holder
        self.process_table = ProcessTable(loop, self.by_pid, self._users)
        self._kernel_tells = kernel_tells()
        self.kept = Store(notifier, spawning.held, useful=self._kernel_tells)
        self._unreaped: dict[Process, float] = {}  # adopted runs that have ended: the deadline for their status
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the spawner and so the tasks keep the soft limit

    # -- up -----------------------------------------------------------------------------------------------------------

    def fork(self, launch: Launch, output: tuple[str, str]) -> tuple[int, int, str]:
        """See `interface.Host.fork`. `output`: the FIFOs of stdout and stderr."""
        try:
            spec = spec_of(launch, output)
            helper = registry.of(launch.task)
            if helper and helper.reads_output:  # FIFOs that it has not opened must outlive parent and spawner
                spec["kept"] = self._fd_holder.theirs.fileno()
            spare = self._spawner.spawn(spec, launch.task.group_limits)
        except OSError as error:
            raise CannotForkError(f"fork: {error.strerror or error}", scarce=error.errno in SCARCE) from error
        evidence = Evidence(launch.run.id, launch.runtime_dir, spare.birth)
        members = self._members_of(evidence, spare.pid, spare.cgroup, ours=True)
        process = Process(launch.key, launch.run.number, spare.pid, members, spare.pidfd, spare.channel)
        process.birth = spare.birth
        if launch.task.user is None:
            process.is_of(-1)
        try:
            self._add(process)
            self._loop.watch(spare.channel, lambda _: self._reported(process))
        except OSError as error:
            self._loop.unwatch(spare.pidfd)
            self._forget(process)
            spare.close()
            raise CannotForkError(f"epoll: {error.strerror}", scarce=error.errno in SCARCE) from error
        if not process.helper:
            self.kept.store(spare.pid, spare.birth, spare.pidfd)
        return spare.pid, spare.birth, spare.cgroup

    def _members_of(self, evidence: Evidence, pid: int, cgroup: str, *, ours: bool) -> Members:
        if cgroup:
            return InCgroup(self._loop, pid, cgroup)
        return ByMark(self._loop, self.process_table, pid, evidence, ours=ours)

    def _users(self) -> frozenset[int]:
        """Return the user ids of all tasks that run."""
        return frozenset().union(*(process.users for process in self.by_key.values()))

    def send_go(self, key: str) -> None:
        """See `interface.Host.send_go`."""
        process = self.by_key.get(key)
        if process and process.channel is not None:
            with suppress(OSError):  # it has died meanwhile; its end will be reported
                os.write(process.channel, b"g")

    def abandon(self, key: str, reason: str) -> None:
        """See `interface.Host.abandon`. The child notices that, and ends. SIGKILL ends a child that hangs."""
        process = self.by_key.get(key)
        if process and process.channel is not None:
            process.failure = reason
            self._close_channel(process)
            process.send(signal.SIGKILL)

    def adopt(self, key: str, run: Run, runtime_dir: str) -> bool:
        """See `interface.Host.adopt`. The birth tells whether another process has the pid by now."""
        evidence = Evidence(run.id, runtime_dir, 0 if run.group else run.birth)
        members = self._members_of(evidence, run.pid, run.cgroup, ours=False)
        process = Process(key, run.number, run.pid, members)
        process.birth = run.birth
        process.is_of(*_users_of(run))
        if run.group:  # the main process is not the first one: no group has its number
            self._forget_group(process)
        with suppress(ProcessLookupError):
            process.pidfd = os.pidfd_open(run.pid)
            leader = procfs.stat(run.pid)
            process.ours = leader.parent == os.getpid()  # ours by an exec: its end is reported, also if it is over
            told = process.ours or self._kernel_tells  # also how a zombie ended, once its parent reaps it
            if leader.birth == run.birth and (leader.alive or told):
                self._add(process)
                if not process.helper:
                    self.kept.store_in_spawner(run.pid, run.birth, process.pidfd)
                self._cgroups.adopt(run.cgroup)
                return True
            os.close(process.pidfd)
        return self._adopt_members(process)

    def _adopt_members(self, process: Process) -> bool:
        """Adopt what is left of a run whose leader has ended. Its pid may be a stranger's by now."""
        process.ended, process.pidfd, process.ours = True, -1, False
        self._forget_group(process)
        try:
            lives = process.members.lives()
        except OSError as error:  # not known: the run counts as living until it is
            lives = True
            self._unknown(process, error)
        if not lives:
            self._close(process)
            return False
        self.by_key[process.key] = self.by_pid[process.pid] = process
        if isinstance(process.members, InCgroup):
            self._cgroups.adopt(process.members.cgroup.path)
        self._watch_members(process)
        return True

    def promote(self, key: str, pid: int, pidfd: int) -> list[Happened]:
        """Make another process of a run its main process (MAINPID= of sd_notify). Take over its pidfd.

        Once the first main process has ended, nobody holds the number of its process group. The number may then be a
        stranger's. So from here on the run is known by its cgroup or its mark only.
        """
        process = self.by_key.get(key)
        if process is None or process.ended or process.pid == pid:
            os.close(pidfd)
            return []
        what = f"take pid {pid} as the main process of {key}"
        return self.retries.attempt(what, lambda: self._promote(process, pid, pidfd))

    def _promote(self, process: Process, pid: int, pidfd: int) -> list[Happened]:
        if process.ended or self.by_key.get(process.key) is not process:
            os.close(pidfd)
            return []
        found = procfs.stat(pid)
        self._loop.unwatch(process.pidfd)
        os.close(process.pidfd)
        del self.by_pid[process.pid]
        self._forget_group(process)
        process.members.lead(pid)
        self.kept.drop(process.pid, process.birth)
        process.pid, process.pidfd, process.ours = pid, pidfd, found.parent == os.getpid()
        process.birth = found.birth
        self.kept.store(pid, found.birth, pidfd)
        self._add(process)
        return [Happened(process.key, MainPid(process.run, pid, found.birth))]

    def _add(self, process: Process) -> None:
        self.by_key[process.key] = self.by_pid[process.pid] = process
        self._loop.watch(process.pidfd, lambda _: self._leader_ended(process))

    def reported(self, key: str) -> list[Happened]:
        """Look whether the program of a run has begun. It has sent a message, so it has."""
        process = self.by_key.get(key)
        return self._reported(process) if process else []

    def _reported(self, process: Process) -> list[Happened]:
        """Read the child's report from the channel: a failure in words, or the end of file that the exec makes.

        A SIGKILL between the go byte and the exec also makes an end of file. It is reported as a start with an end
        that follows at once. The kernel could tell (PF_FORKNOEXEC in /proc/PID/stat), but that would cost every start
        12 µs.
        """
        channel = process.channel
        if channel is None:
            return []
        user, text = split_report(_read(channel))
        if user >= 0:
            process.is_of(user)
            text = text or _read(channel)
        if text is None:
            return []
        if text:
            process.failure, process.scarce = reason(text)
            return []  # the child ends by itself now, and its end is the event
        self._close_channel(process)
        user = next(iter(process.users), -1)
        begun = Started(process.run, -1 if user == os.geteuid() else user)
        return [] if process.failure else [Happened(process.key, begun)]

    def _close_channel(self, process: Process) -> None:
        if process.channel is not None:
            self._loop.unwatch(process.channel)
            os.close(process.channel)
            process.channel = None

    def of(self, key: str, run: Run) -> Process | None:
        """Return this run, if it lives."""
        process = self.by_key.get(key)
        return process if process and process.run == run.number else None

    def state_of(self, key: str) -> str:
        """See `interface.Host.state_of`."""
        process = self.by_key.get(key)
        try:
            return procfs.stat(process.pid).state if process and not process.ended else ""
        except OSError:
            return "?"

    # -- ends ---------------------------------------------------------------------------------------------------------

    def reap(self) -> tuple[list[Happened], list[tuple[int, Status]]]:
        """Reap every child that has ended. Return the events of runs, and the ends of others (errands, orphans)."""
        events: list[Happened] = []
        others: list[tuple[int, Status]] = []
        ends = list(iter(_end_of, None)) if self.reaps else []
        self.process_table.freshen()  # one look at our children serves all of them
        for pid, status in ends:
            process = self.by_pid.get(pid)
            if process and not process.ended:
                events += self._ended(process, status)
            elif pid in self.others:
                events += self.others.pop(pid)(status)
            else:
                others.append((pid, status))
        return events + (self._check_leaderless() if others else []), others

    def _leader_ended(self, process: Process) -> list[Happened]:
        events = self._reap_alone(process) if process.ours and isinstance(process.members, InCgroup) else self.reap()[0]
        if process.pidfd >= 0:
            if not process.ours:  # the child of another process
                events += self._ended_elsewhere(process)
            else:  # a tracer (ptrace(2)) keeps it from being reaped; SIGCHLD follows
                self._loop.watch(process.pidfd, lambda _: self._leader_ended(process), 0)
        return events

    def _reap_alone(self, process: Process) -> list[Happened]:
        """Reap only the leader of a run in a cgroup. To find any ended child, the kernel goes through all of them.

        A process that is still in its process group may be a zombie that has become our child just now.
        """
        end = _end_of(process.pid) if self.reaps else None
        if end is None:
            return []
        others = self.reap()[0] if process.answers() else []
        return [*others, *self._ended(process, end[1])]

    def _ended_elsewhere(self, process: Process, events: int = 0) -> list[Happened]:
        """Handle the end of another's child. Its status is known once it is reaped; then its pidfd reports EPOLLHUP."""
        status = status_of(process.pidfd)
        if status is None and self._kernel_tells and not events & select.EPOLLHUP:
            if process not in self._unreaped:
                self._unreaped[process] = time.monotonic() + REAPED_WITHIN
                self._loop.watch(process.pidfd, lambda events: self._ended_elsewhere(process, events), 0)
            return []
        self._unreaped.pop(process, None)
        return self._ended(process, status)

    def next_deadline(self) -> float | None:
        """Return when the wait for the status of an adopted run ends."""
        return min(self._unreaped.values(), default=None)

    def postpone(self, seconds: float) -> None:
        """Postpone all deadlines: we stood still for so long."""
        self._unreaped = {process: deadline + seconds for process, deadline in self._unreaped.items()}

    def due(self, now: float) -> list[Happened]:
        """End the adopted runs that no parent reaps. Their status stays unknown."""
        events: list[Happened] = []
        for process in [process for process, deadline in self._unreaped.items() if deadline <= now]:
            events += self._ended_elsewhere(process, select.EPOLLHUP)
        return events

    def post_mortem(self, run: Run) -> Status | None:
        """See `interface.Host.post_mortem`."""
        return self.kept.status(run.pid, run.birth)

    def is_leader(self, pid: int, birth: int) -> bool:
        """Return whether this is the leader of a living run."""
        process = self.by_pid.get(pid)
        return process is not None and process.birth == birth

    def _ended(self, process: Process, status: Status | None) -> list[Happened]:
        key, run = process.key, process.run
        before: list[Happened] = self.reported(key)
        if status and status.signal == "SIGKILL" and isinstance(process.members, InCgroup):
            status = replace(status, why=process.members.cgroup.out_of_memory())
        failure = process.failure
        self._close_channel(process)
        self._loop.unwatch(process.pidfd)
        os.close(process.pidfd)
        process.pidfd = -1
        self.kept.drop(process.pid, process.birth)
        if failure or not self._may_be_left(process):
            self._forget(process)
            if failure:
                return [*before, Happened(key, NotStarted(run, failure, scarce=process.scarce))]
            return [*before, Happened(key, Exited(run, status, empty=True))]
        process.ended = True
        self._watch_members(process)
        return [*before, Happened(key, Exited(run, status, empty=False))]

    def _may_be_left(self, process: Process) -> bool:
        """Return whether a process of the run lives, or may live. The leader is gone. If unknown, ask again later."""
        try:
            left = self._anything_left(process)
        except OSError as error:
            self._unknown(process, error)
            return True
        self.retries.done(_looking(process))
        return left

    def _unknown(self, process: Process, error: OSError) -> None:
        """Look again later: it is unknown whether a process of the run lives, or no event would report its end."""
        self.retries.later(_looking(process), lambda: self.check_empty(process), error)

    def _anything_left(self, process: Process) -> bool:
        """Return whether a process of the run lives. Its group counts, too: root may have moved it to another cgroup.

        Raises:
            OSError: it cannot be found out.
        """
        process.group = process.group and process.group_lives()
        if isinstance(process.members, ByMark) and not process.group:
            process.members.outlive()
        return process.group or process.chase > 0 or process.members.lives()

    def _forget_group(self, process: Process) -> None:
        """Forget the number of its process group: it may be a stranger's by now."""
        process.group = False
        if isinstance(process.members, ByMark):
            process.members.forget_leader()

    def _watch_members(self, process: Process) -> None:
        try:
            process.members.watch(lambda _: self.check_empty(process))
        except OSError as error:  # no event would report its end
            self._unknown(process, error)

    def _check_leaderless(self) -> list[Happened]:
        """Look at our runs without a leader: an orphan was reaped, perhaps the last process of a run."""
        seen = [process for process in self.by_key.values() if process.ended and process.ours]
        return [event for process in seen for event in self.check_empty(process)]

    def check_empty(self, process: Process) -> list[Happened]:
        """Look whether a run whose leader has ended is over. Return the event if so."""
        if not process.ended or self.by_key.get(process.key) is not process:
            return []
        if self._may_be_left(process):
            self._watch_members(process)
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
        self.retries.done(_looking(process))
        process.members.unwatch()
        if isinstance(process.members, InCgroup):
            self._cgroups.remove(process.members.cgroup.path)


def _looking(process: Process) -> str:
    """Return the name of the retry that looks whether a process of a run lives."""
    return f"find the processes of {process.key}, run {process.run}"


def _read(channel: int) -> bytes | None:
    """Return the report of a child: empty at its exec or end, None if there is nothing yet."""
    try:
        return os.read(channel, 4096)
    except ConnectionResetError:  # it ended without having read its go byte
        return b""
    except BlockingIOError:
        return None


def _users_of(run: Run) -> tuple[int, ...]:
    """Return the users of an adopted run. If an older version has not recorded the user, the leader shows it."""
    leader = procfs.stat(run.pid)
    if run.user >= 0 or leader.birth != run.birth:
        return (run.user,)
    return run.user, *procfs.users(leader)


def _end_of(child: int = -1) -> tuple[int, Status] | None:
    """Reap one child (-1: any). Return its pid and its status, or None if none has ended.

    The status has what the child used, with the children that it had waited for (getrusage(2)).
    """
    try:
        pid, code, used = os.wait4(child, os.WNOHANG)
    except ChildProcessError:
        return None
    if not pid:
        return None
    cost = Used(round(used.ru_utime + used.ru_stime, 6), used.ru_maxrss * 1024)
    return pid, replace(from_wait(code), used=cost)
