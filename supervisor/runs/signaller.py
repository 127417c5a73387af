"""Send signals to runs: the stop signal, SIGKILL, and those that pause and resume a run (kill(2), cgroups(7)).

The leader is signalled by its pidfd. The process group is signalled by number, as long as the number is its own.
`members` knows the other processes. The processes in a cgroup die and stand still together. Without a cgroup a chase
(`proctree`) kills them, which takes an errand.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from supervisor.core.definition import StopPolicy
from supervisor.core.events import Killed, Paused
from supervisor.core.instance import Run
from supervisor.core.words import in_words
from supervisor.host import procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.interface import Done, Happened
from supervisor.runs import proctree
from supervisor.runs.members import ByMark, InCgroup, Members
from supervisor.runs.process import Process, Processes

Chase = Callable[[Callable[..., proctree.Chased], proctree.Family, int], int]
"""Runs a function in an errand, and returns the number of the errand."""


class Signaller:
    """Sends signals to runs."""

    def __init__(self, processes: Processes, aside: Chase) -> None:
        """`processes` has the runs that live. `aside` begins an errand."""
        self._processes = processes
        self._aside = aside

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """See `interface.Host.terminate`. SIGCONT follows: a stopped process (SIGSTOP, a debugger) could not obey."""
        process = self._processes.of(key, run)
        if process is None:
            return
        self._processes.process_table.freshen()
        number = signal.Signals[policy.signal]
        if process.ended:
            self._terminate_members(process, number)
            return
        process.stop_to = policy.to
        if isinstance(process.members, ByMark) and process.send(0):  # the pid is still that of the leader
            with suppress(OSError):  # they are found later, by other proofs
                process.members.remember_descendants()
        if policy.to == "all" or (policy.to == "group" and not process.group):
            self._signal_others(process, number)
        send = process.send if policy.to == "main" or not process.group else process.send_group
        send(number)
        send(signal.SIGCONT)

    def _terminate_members(self, process: Process, number: int) -> None:
        """Send the stop signal to all that have not had it. One call signals the group, as it may fork meanwhile."""
        if process.stop_to == "all":
            return
        if process.group and process.stop_to != "group":
            process.send_group(number)
            process.send_group(signal.SIGCONT)
        self._signal_others(process, number)

    def _signal_others(self, process: Process, number: int) -> None:
        """Send it to all but the leader and its group, as soon as they can be found."""

        def send() -> list[Happened]:
            if self._processes.by_key.get(process.key) is process:
                others = process.members.others()
                told = [pid for pid in others if not (process.group and procfs.stat(pid).group == process.pid)]
                process.members.send(told, number, signal.SIGCONT)
            return []

        self._processes.retries.attempt(f"send {process.key}, run {process.run}, the stop signal", send)

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> list[Happened]:
        """See `interface.Host.destroy`. It also reports runs of which nothing is left to kill.

        It kills the leaders of all runs in cgroups first. The look for their members takes time, and no leader may
        outlive its grace by that time. Without a cgroup the look begins at the living leader.
        """
        found = [(process, run) for key, run in doomed if (process := self._processes.of(key, run))]
        for process, _ in found:
            if isinstance(process.members, InCgroup) and not process.ended:
                process.send(signal.SIGKILL)
        return [event for process, run in found for event in self._destroy(process, again=run.kills > 1)]

    def _destroy(self, process: Process, *, again: bool) -> list[Happened]:
        self._processes.process_table.freshen()
        met, unknown = _living(process)
        if process.group:
            process.send_group(signal.SIGKILL)
        if not process.ended:
            process.send(signal.SIGKILL)
        others = [one for one in met if one.pid != process.pid]
        told: list[Happened] = []
        if isinstance(process.members, InCgroup):
            unknown = _kill_cgroup(process.members.cgroup) or unknown
        if isinstance(process.members, ByMark) and (others or unknown):
            process.chase = process.chase or self._aside(proctree.chase, process.members.family, process.pid)
        elif unknown:
            told = [Happened(process.key, Killed(process.run, procfs.names(others), (unknown,)))]
        else:
            told = _killed(process, met, others, again=again)
        return told + self._processes.check_empty(process)

    def chased(self, done: Done) -> list[Happened] | None:
        """Handle the end of an errand. Return None if it was no chase."""
        process = next((one for one in self._processes.by_key.values() if one.chase == done.errand), None)
        if process is None:
            return None
        process.chase = 0
        self._processes.process_table.freshen()
        came = done.value or proctree.Chased((), (f"cannot search for its processes: {done.error}",))
        spared = [one for one in map(procfs.stat, came.refused) if process.ended or one.pid != process.pid]
        process.members.ignore(spared)
        refused = _refused(process)
        killed = Killed(process.run, came.killed, (*refused, *came.left), procfs.names(spared), bool(refused))
        return [Happened(process.key, killed), *self._processes.check_empty(process)]

    def signal(self, key: str, name: str) -> bool:
        """See `interface.Host.signal`."""
        process = self._processes.by_key.get(key)
        return process is not None and not process.ended and process.send(signal.Signals[name])

    def pause(self, key: str, run: Run) -> list[Happened]:
        """See `interface.Host.pause`. The leader is first: it is known best. In a cgroup all are stopped together."""
        process = self._processes.of(key, run)
        if process is None or process.ended:
            return []
        self._processes.retries.done(_going_on(process))
        if isinstance(process.members, ByMark):  # no event reports that SIGSTOP has arrived; it has no handler
            process.send(signal.SIGSTOP)
        return self._processes.retries.attempt(_standing_still(process), lambda: self._pause(process, process.members))

    def _pause(self, process: Process, rest: Members) -> list[Happened]:
        if process.ended or self._processes.by_key.get(process.key) is not process:
            return []
        rest.pause()
        if isinstance(rest, InCgroup):
            rest.watch(lambda _: self._stands(process))
        return self._stands(process)

    def _stands(self, process: Process) -> list[Happened]:
        """Report a pause once all processes of the run stand still."""
        if isinstance(process.members, InCgroup) and not process.members.cgroup.frozen():
            return []
        process.members.unwatch()
        return [Happened(process.key, Paused(process.run))]

    def resume(self, key: str, run: Run) -> None:
        """See `interface.Host.resume`."""
        process = self._processes.of(key, run)
        if process is None:
            return
        self._processes.retries.done(_standing_still(process))
        if not process.ended:
            process.members.unwatch()
        if isinstance(process.members, ByMark) and not process.ended:
            process.send(signal.SIGCONT)

        def resume() -> list[Happened]:
            if self._processes.by_key.get(process.key) is process:
                process.members.resume()
            return []

        self._processes.retries.attempt(_going_on(process), resume)


def _living(process: Process) -> tuple[list[procfs.Stat], str]:
    """Return the living processes of a run, its leader too; or why they cannot be found."""
    try:
        pids = [*([] if process.ended else [process.pid]), *process.members.others()]
        return [one for one in map(procfs.stat, pids) if one.alive], ""
    except OSError as error:
        return [], f"perhaps others, which cannot be found: {in_words(error)}"


def _kill_cgroup(cgroup: Cgroup) -> str:
    """Kill all of a cgroup. Return why that is not possible just now; then the core asks for it again."""
    try:
        cgroup.kill()
    except OSError as error:
        return f"perhaps others, as its cgroup cannot be killed: {in_words(error)}"
    return ""


def _standing_still(process: Process) -> str:
    return f"pause {process.key}, run {process.run}"


def _going_on(process: Process) -> str:
    return f"resume {process.key}, run {process.run}"


def _killed(process: Process, met: list[procfs.Stat], others: list[procfs.Stat], *, again: bool) -> list[Happened]:
    """Report the processes that SIGKILL met besides the leader. One that is met again, even a leader, has survived."""
    refused = _refused(process)
    survived = [one for one in met if one.pid != process.pid or not refused] if again else []
    left = (*refused, *procfs.names(survived, state=True))
    if again and not left:
        left = ("a process of another pid namespace",)
    killed = Killed(process.run, procfs.names(others), left, refused=bool(refused))
    return [Happened(process.key, killed)] if others or again or refused else []


def _refused(process: Process) -> tuple[str, ...]:
    """Return the leader in words, if we may not signal it; empty otherwise."""
    if not process.refuses():
        return ()
    one = procfs.stat(process.pid)
    users = ", ".join(f"uid {user}" for user in sorted(procfs.users(one)))
    return (f"{one.name} (pid {one.pid}, {users}), which the supervisor may not signal",)
