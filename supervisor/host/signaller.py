"""What a run is sent: the stop signal, SIGKILL, and what has it stand still and go on (kill(2), cgroups(7)).

The leader is signalled by its pidfd; its process group by number, as long as that is its own; the others as `rest`
knows them. In a cgroup they die and stand still together. Without one they are chased (`kin`), which takes an errand.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from supervisor.core.definition import StopPolicy
from supervisor.core.events import Killed, Paused
from supervisor.core.instance import Run
from supervisor.host import kin, procfs
from supervisor.host.interface import Done, Happened
from supervisor.host.process import Process, Processes
from supervisor.host.rest import ByMark, InCgroup

Chase = Callable[[Callable[..., kin.Chased], kin.Family, int], int]
"""Has a function called aside; returns the number of the errand."""


class Signaller:
    """Sends them."""

    def __init__(self, processes: Processes, aside: Chase) -> None:
        """`processes` are the runs that live; `aside` begins an errand."""
        self._processes = processes
        self._aside = aside

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """See `interface.Host.terminate`. SIGCONT follows: one that is stopped (SIGSTOP, a debugger) could not obey."""
        process = self._processes.of(key, run)
        if process is None:
            return
        self._processes.sight.freshen()
        number = signal.Signals[policy.signal]
        if process.ended:
            self._terminate_rest(process, number)
            return
        process.told = policy.to
        if isinstance(process.rest, ByMark) and process.send(0):  # its pid is still its own
            process.rest.meet()
        if policy.to == "all" or (policy.to == "group" and not process.group):
            self._terminate_rest(process, number)
        send = process.send if policy.to == "main" or not process.group else process.send_group
        send(number)
        send(signal.SIGCONT)

    def _terminate_rest(self, process: Process, number: int) -> None:
        """To all that have not had it. The group is told as one, as it may fork meanwhile."""
        if process.ended and process.told == "all":
            return
        if process.ended and process.group and process.told != "group":
            process.send_group(number)
            process.send_group(signal.SIGCONT)
        for pid in process.rest.others():
            if not (process.group and procfs.stat(pid).group == process.pid):
                for one in (number, signal.SIGCONT):
                    with suppress(ProcessLookupError, PermissionError):  # gone; a set-user-ID program
                        os.kill(pid, one)

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> list[Happened]:
        """See `interface.Host.destroy`. Tells also when it finds that nothing is left to kill.

        Every leader first: to look for the rest of each takes time, by which nobody shall outlive the grace. Without a
        cgroup that look begins at the living leader.
        """
        found = [(process, run) for key, run in doomed if (process := self._processes.of(key, run))]
        for process, _ in found:
            if isinstance(process.rest, InCgroup) and not process.ended:
                process.send(signal.SIGKILL)
        return [event for process, run in found for event in self._destroy(process, again=run.kills > 1)]

    def _destroy(self, process: Process, *, again: bool) -> list[Happened]:
        self._processes.sight.freshen()
        others = process.rest.others()
        met = [one for one in map(procfs.stat, others) if one.alive]
        if process.group:
            process.send_group(signal.SIGKILL)
        if not process.ended:
            process.send(signal.SIGKILL)
        told: list[Happened] = []
        if isinstance(process.rest, InCgroup):
            process.rest.cgroup.kill()
        if others and isinstance(process.rest, ByMark):
            process.chase = process.chase or self._aside(kin.chase, process.rest.family, process.pid)
        else:
            told = _killed(process, met, again=again)
        return told + self._processes.look(process)

    def chased(self, done: Done) -> list[Happened] | None:
        """An errand is done. None when it was no chase."""
        process = next((one for one in self._processes.by_key.values() if one.chase == done.errand), None)
        if process is None:
            return None
        process.chase = 0
        self._processes.sight.freshen()
        came = done.value or kin.Chased((), (f"cannot look for it: {done.error}",))
        killed = Happened(process.key, Killed(process.run, came.killed, came.left))
        return [killed, *self._processes.look(process)]

    def signal(self, key: str, name: str) -> bool:
        """See `interface.Host.signal`."""
        process = self._processes.by_key.get(key)
        return process is not None and not process.ended and process.send(signal.Signals[name])

    def pause(self, key: str, run: Run) -> list[Happened]:
        """See `interface.Host.pause`. The leader first, who is known best; in a cgroup all are stopped together."""
        process = self._processes.of(key, run)
        if process is None or process.ended:
            return []
        if isinstance(process.rest, ByMark):  # nobody tells when a signal has arrived; to SIGSTOP there is no handler
            process.send(signal.SIGSTOP)
            process.rest.pause()
            return [Happened(process.key, Paused(process.run))]
        process.rest.pause()
        process.rest.watch(lambda _: self._stands(process))
        return self._stands(process)

    def _stands(self, process: Process) -> list[Happened]:
        """Whether all of a run that is to stand still does."""
        if isinstance(process.rest, InCgroup) and not process.rest.cgroup.frozen():
            return []
        process.rest.unwatch()
        return [Happened(process.key, Paused(process.run))]

    def resume(self, key: str, run: Run) -> None:
        """See `interface.Host.resume`."""
        process = self._processes.of(key, run)
        if process is None:
            return
        if not process.ended:
            process.rest.unwatch()
        if isinstance(process.rest, ByMark) and not process.ended:
            process.send(signal.SIGCONT)
        process.rest.resume()


def _killed(process: Process, met: list[procfs.Stat], *, again: bool) -> list[Happened]:
    """What SIGKILL met besides the leader. Who is met again, also the leader, has outlived it."""
    left: tuple[str, ...] = ()
    if again:
        still = met if process.ended else [one for one in (procfs.stat(process.pid), *met) if one.alive]
        left = procfs.names(still, state=True) or ("a process of another pid namespace",)
    return [Happened(process.key, Killed(process.run, procfs.names(met), left))] if met or again else []
