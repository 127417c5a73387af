"""The rest of a run: what of it lives besides its leader, and how the end of that is noticed.

There are two ways to know. `InCgroup`: the kernel keeps the list. `ByMark`: the marks, the descent and the traces of
processes are looked at (`kin`). The second is made cheap by the supervisor being a subreaper: whatever a run of ours
leaves behind is below a process that has become our own child. So after the end of a leader only our children are
looked at, and /proc as a whole only for runs of an earlier supervisor, whose orphans are not ours. Whoever was found
once is remembered, since any process may take off its mark: what is below the leader is looked at before a stop.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Container
from contextlib import suppress
from typing import Protocol

from supervisor.core.immutable import replace
from supervisor.host import kin, procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.interface import Reader
from supervisor.host.loop import Loop
from supervisor.host.traces import Traces


class Rest(Protocol):
    """Every process of one run but its leader."""

    def lives(self) -> bool:
        """Whether there is any."""

    def others(self) -> list[int]:
        """Who they are; a moment later there may be more."""

    def lead(self, pid: int) -> None:
        """Another one is the leader from now on."""

    def pause(self) -> None:
        """Has all of them stand still."""

    def resume(self) -> None:
        """Lets them go on."""

    def watch(self, told: Reader) -> None:
        """Has `told` called when none may be left; it must then look, and watch again if there still is."""

    def unwatch(self) -> None:
        """No longer."""


class InCgroup:
    """The kernel knows."""

    def __init__(self, loop: Loop, leader: int, path: str) -> None:
        """`path` is the directory of a cgroup that is the run's alone."""
        self.cgroup = Cgroup(path)
        self._loop = loop
        self._leader = leader

    def lives(self) -> bool:
        """See `Rest.lives`. For when the leader has ended."""
        return self.cgroup.alive()

    def others(self) -> list[int]:
        """See `Rest.others`."""
        return [pid for pid in self.cgroup.pids() if pid != self._leader]

    def lead(self, pid: int) -> None:
        """See `Rest.lead`."""
        self._leader = pid

    def pause(self) -> None:
        """See `Rest.pause`. The leader, too; `Cgroup.frozen` says when it is so."""
        self.cgroup.freeze(frozen=True)

    def resume(self) -> None:
        """See `Rest.resume`. The leader, too."""
        self.cgroup.freeze(frozen=False)

    def watch(self, told: Reader) -> None:
        """See `Rest.watch`."""
        try:
            self._loop.watch(self.cgroup.watch(), told, select.EPOLLPRI)
        except OSError:  # no descriptor is left: SIGCHLD tells what ends as our child, the next SIGKILL the rest
            return

    def unwatch(self) -> None:
        """See `Rest.unwatch`."""
        if self.cgroup.watched >= 0:
            self._loop.unwatch(self.cgroup.watched)
        self.cgroup.close()


class Sight:
    """What of /proc concerns every run. All of it is looked at no more than once in a turn of the loop."""

    def __init__(self, loop: Loop, leaders: Container[int]) -> None:
        """`leaders` are pids that are the leader of some run: no orphans."""
        self._loop = loop
        self._leaders = leaders
        self._turn = -1
        self._everyone: list[procfs.Stat] = []
        self._children: list[procfs.Stat] | None = None

    def everyone(self) -> list[procfs.Stat]:
        """Every living process, as it was when this turn of the loop first asked: after all ends that it deals with."""
        if self._turn != self._loop.turns:
            self._turn, self._everyone = self._loop.turns, kin.look()
        return self._everyone

    def freshen(self) -> None:
        """Others may be our children by now: something was reaped, or time has passed."""
        self._children = None

    def forget(self) -> None:
        """What has been seen in this turn is out of date: something has been done about it."""
        self._turn, self._children = -1, None

    def children(self) -> list[procfs.Stat]:
        """Our own children that are no leader, helpers and orphans. A zombie among them is about to be reaped.

        Raises:
            FileNotFoundError: this kernel does not tell.
        """
        if self._children is None:
            ours = procfs.children(os.getpid())
            self._children = [procfs.stat(pid) for pid in ours if pid not in self._leaders]
        return self._children


ROUNDS = 20
"""So often a run that is to stand still is looked for those that it has forked meanwhile."""


class ByMark:
    """We look."""

    def __init__(self, loop: Loop, sight: Sight, leader: int, traces: Traces, *, ours: bool) -> None:
        """`traces` are those of the run; `ours`: its orphans come to us."""
        self.family = kin.family(traces, leader)
        self._loop = loop
        self._sight = sight
        self._leader = leader
        self._roots = [leader]  # below whom all are of the run: nobody, once his pid may be somebody else's
        self._ours = ours and procfs.tells_children()
        self._witness = -1  # a pidfd of one of them: as long as it lives, some do

    def lives(self) -> bool:
        """See `Rest.lives`. For when the leader has ended."""
        return bool(self._orphans() if self._ours else self.others())

    def others(self) -> list[int]:
        """See `Rest.others`."""
        if self._ours:
            found = _living(kin.descendants([*self._roots, *self._orphans()]))
        else:
            found = kin.find(self.family, self._sight.everyone())
        return self._remember([one for one in found if one.pid != self._leader])

    def _orphans(self) -> list[int]:
        session = os.getsid(0)  # a child that is in it has been forked by us
        found = self._sight.children()
        return [one.pid for one in found if kin.belongs(self.family, one, orphan=one.session != session)]

    def meet(self) -> None:
        """Remembers who is below the leader: by its end, descent no longer tells. Costs what the run is."""
        with suppress(FileNotFoundError):  # this kernel does not tell
            self._remember(_living([pid for pid in kin.descendants(self._roots) if pid != self._leader]))

    def _remember(self, met: list[procfs.Stat]) -> list[int]:
        """These are of the run until they are gone, whatever they do to themselves. Returns their pids."""
        if not met and not self.family.known:
            return []
        new = {(one.pid, one.birth) for one in met}
        still = {(pid, birth) for pid, birth in self.family.known - new if procfs.birth(pid) == birth}
        self.family = replace(self.family, known=frozenset(new | still))
        return [one.pid for one in met]

    def lead(self, pid: int) -> None:
        """See `Rest.lead`."""
        self._leader, self._roots = pid, [pid]

    def leave_number(self) -> None:
        """That of its first leader is no longer known to be its own."""
        self.family = replace(self.family, leader=0)

    def outlive(self) -> None:
        """The leader and its group are gone. Its number stays the run's as long as somebody is in its session."""
        self._roots = []
        seen = self._sight.children() if self._ours else self._sight.everyone()
        if self.family.leader not in {one.session for one in seen}:
            self.leave_number()

    def pause(self) -> None:
        """See `Rest.pause`. Looks again until there is nobody new: they may fork until they are stopped."""
        met: set[int] = set()
        for _ in range(ROUNDS):
            self._sight.forget()
            new = [pid for pid in self.others() if pid not in met]
            if not new:
                return
            met.update(new)
            _send(new, signal.SIGSTOP)

    def resume(self) -> None:
        """See `Rest.resume`."""
        self._sight.forget()
        _send(self.others(), signal.SIGCONT)

    def watch(self, told: Reader) -> None:
        """See `Rest.watch`. The end of orphans of ours is told by SIGCHLD anyway."""
        self.unwatch()
        for pid in [] if self._ours else self.others():
            try:
                self._witness = os.pidfd_open(pid)
            except OSError:
                continue
            self._loop.watch(self._witness, told)
            return

    def unwatch(self) -> None:
        """See `Rest.unwatch`."""
        if self._witness >= 0:
            self._loop.unwatch(self._witness)
            os.close(self._witness)
            self._witness = -1


def _living(pids: list[int]) -> list[procfs.Stat]:
    return [one for one in map(procfs.stat, pids) if one.alive]


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):  # gone; a set-user-ID program
            os.kill(pid, number)
