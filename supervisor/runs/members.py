"""Know the members of a run: the processes besides its leader that live, and the moment when none is left.

There are two ways to know them:

- `InCgroup`: the kernel keeps the list.
- `ByMark`: we look at the marks, the descent and the evidence of processes (`proctree`, `evidence`).

`ByMark` is cheap because the supervisor is a subreaper. A process that a run of ours leaves behind is below a process
that has become our own child. So after the end of a leader we look only at our children. We look at all of /proc only
for runs of an earlier supervisor, as their orphans are not ours.

A process that was found once is remembered, since any process may take off its mark. So before a stop we look at what
is below the leader.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from typing import Protocol

from supervisor.core.immutable import replace
from supervisor.host import cgroup, procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.interface import Reader
from supervisor.host.lookup import with_reserve
from supervisor.host.loop import Loop
from supervisor.runs import proctree
from supervisor.runs.evidence import Evidence


class Members(Protocol):
    """Every process of one run but its leader. Each method raises OSError when the machine cannot tell or do it."""

    def lives(self) -> bool:
        """Return whether any of them lives."""

    def others(self) -> list[int]:
        """Return their pids. A moment later there may be more."""

    def send(self, pids: Iterable[int], *numbers: int) -> None:
        """Send signals to those of these processes that still are members. Skip those that we may not signal."""

    def lead(self, pid: int) -> None:
        """Take another process as the leader from now on."""

    def pause(self) -> None:
        """Pause all of them."""

    def resume(self) -> None:
        """Resume all of them."""

    def watch(self, reader: Reader) -> None:
        """Call `reader` when possibly none is left. It must then look, and watch again if one is left."""

    def unwatch(self) -> None:
        """Stop watching."""

    def ignore(self, refused: Iterable[procfs.Stat]) -> None:
        """Wait no longer for these processes. We may not signal them, so they end when they like."""

    def waits_for(self, one: procfs.Stat) -> bool:
        """Return whether this process has not been given up."""


class InCgroup:
    """Members of a run in a cgroup: the kernel knows them."""

    def __init__(self, loop: Loop, leader: int, path: str) -> None:
        """`path` is the directory of a cgroup that belongs to this run only."""
        self.cgroup = Cgroup(path)
        self._loop = loop
        self._leader = leader

    def lives(self) -> bool:
        """See `Members.lives`. Called when the leader has ended."""
        return self.cgroup.alive()

    def others(self) -> list[int]:
        """See `Members.others`."""
        return [pid for pid in self.cgroup.pids() if pid != self._leader]

    def send(self, pids: Iterable[int], *numbers: int) -> None:
        """See `Members.send`."""
        name = cgroup.in_hierarchy(self.cgroup.path)
        _send(pids, numbers, lambda pid: bool(name) and f"{cgroup.of_process(pid)}/".startswith(f"{name}/"))

    def lead(self, pid: int) -> None:
        """See `Members.lead`."""
        self._leader = pid

    def pause(self) -> None:
        """See `Members.pause`. This pauses the leader, too. `Cgroup.frozen` tells when all stand still."""
        self.cgroup.freeze(frozen=True)

    def resume(self) -> None:
        """See `Members.resume`. This resumes the leader, too."""
        self.cgroup.freeze(frozen=False)

    def watch(self, reader: Reader) -> None:
        """See `Members.watch`."""
        self._loop.watch(self.cgroup.watch(), reader, select.EPOLLPRI)

    def unwatch(self) -> None:
        """See `Members.unwatch`."""
        if self.cgroup.watched >= 0:
            self._loop.unwatch(self.cgroup.watched)
        self.cgroup.close()

    def ignore(self, refused: Iterable[procfs.Stat]) -> None:
        """See `Members.ignore`. Never called, as the kernel kills every process in a cgroup."""

    def waits_for(self, one: procfs.Stat) -> bool:
        """See `Members.waits_for`."""
        return True


class ProcessTable:
    """A look at /proc that serves all runs. It reads all of /proc at most once in a turn of the loop."""

    def __init__(self, loop: Loop, leaders: Container[int], users: Callable[[], frozenset[int]]) -> None:
        """`leaders`: the pids of the leaders of runs, which are no orphans. `users`: the user ids of all tasks."""
        self.users = users
        self._loop = loop
        self._leaders = leaders
        self._turn = -1
        self._everyone: list[procfs.Stat] = []
        self._children: list[procfs.Stat] | None = None

    def everyone(self) -> list[procfs.Stat]:
        """Return every living process, as of the first call in this turn of the loop: after all ends of this turn."""
        if self._turn != self._loop.turns:
            self._turn, self._everyone = self._loop.turns, proctree.snapshot()
        return self._everyone

    def freshen(self) -> None:
        """Look at our children anew: there may be others, as one was reaped or time has passed."""
        self._children = None

    def forget(self) -> None:
        """Forget the look of this turn: it is out of date, as processes were signalled since."""
        self._turn, self._children = -1, None

    def children(self) -> list[procfs.Stat]:
        """Return our children that lead no run, such as errands and orphans. A zombie among them will be reaped soon.

        Raises:
            FileNotFoundError: this kernel does not report it.
        """
        if self._children is None:
            ours = procfs.children(os.getpid())
            self._children = [procfs.stat(pid) for pid in ours if pid not in self._leaders]
        return self._children


ROUNDS = 20
"""The most looks of a pause for processes that the run has forked meanwhile."""


class ByMark:
    """Members of a run without a cgroup: we look for them."""

    def __init__(self, loop: Loop, process_table: ProcessTable, leader: int, evidence: Evidence, *, ours: bool) -> None:
        """`evidence`: the evidence of the run. `ours`: its orphans become our children."""
        self.family = proctree.family(evidence, leader, heir=os.getpid())
        self._loop = loop
        self._process_table = process_table
        self._leader = leader
        self._roots = [leader]  # all below these are of the run; empty once the pid may be a stranger's
        self._ours = ours and procfs.tells_children()
        self._witness = -1  # a pidfd of one member: while it lives, the run is not empty
        self._given_up: set[tuple[int, int]] = set()  # processes that we may not signal, by pid and birth

    def is_of(self, users: frozenset[int]) -> None:
        """Set the user ids of the run's task."""
        self.family = replace(self.family, users=users)

    def ignore(self, refused: Iterable[procfs.Stat]) -> None:
        """See `Members.ignore`."""
        self._given_up.update((one.pid, one.birth) for one in refused)

    def waits_for(self, one: procfs.Stat) -> bool:
        """See `Members.waits_for`."""
        return (one.pid, one.birth) not in self._given_up

    def lives(self) -> bool:
        """See `Members.lives`. Called when the leader has ended."""
        return bool(self._orphans() if self._ours and not self._given_up else self._awaited())

    def _awaited(self) -> list[int]:
        return [pid for pid in self.others() if not self._given_up or self.waits_for(procfs.stat(pid))]

    def others(self) -> list[int]:
        """See `Members.others`."""
        if self._ours:
            found = _living(proctree.descendants([*self._roots, *self._orphans()]))
        else:
            self._learn_rivals()
            found = proctree.find(self.family, self._process_table.everyone())
        return self._remember([one for one in found if one.pid != self._leader])

    def send(self, pids: Iterable[int], *numbers: int) -> None:
        """See `Members.send`. `others` has remembered the birth of each."""
        _send(pids, numbers, lambda pid: (pid, procfs.birth(pid)) in self.family.known)

    def _orphans(self) -> list[int]:
        session = os.getsid(0)  # a child in our session was forked by us
        found = self._process_table.children()
        self._learn_rivals()
        return [
            one.pid
            for one in proctree.members(self.family, found, {one.pid for one in found if one.session != session})
        ]

    def _learn_rivals(self) -> None:
        self.family = replace(self.family, rivals=self._process_table.users() - self.family.users)

    def remember_descendants(self) -> None:
        """Remember the processes below the leader. After its end descent tells nothing. The cost grows with the run."""
        with suppress(FileNotFoundError):  # this kernel does not report it
            self._remember(_living([pid for pid in proctree.descendants(self._roots) if pid != self._leader]))

    def _remember(self, met: list[procfs.Stat]) -> list[int]:
        """Count these as members until they are gone, whatever they do to themselves. Return their pids."""
        if not met and not self.family.known:
            return []
        new = {(one.pid, one.birth) for one in met}
        still = {(pid, birth) for pid, birth in self.family.known - new if procfs.birth(pid) == birth}
        self.family = replace(self.family, known=frozenset(new | still))
        return [one.pid for one in met]

    def lead(self, pid: int) -> None:
        """See `Members.lead`."""
        self._leader, self._roots = pid, [pid]

    def forget_leader(self) -> None:
        """Forget the number of the first leader: it may be a stranger's by now."""
        self.family = replace(self.family, leader=0)

    def outlive(self) -> None:
        """Note that leader and group are gone. The number stays the run's while its session has a process."""
        self._roots = []
        seen = self._process_table.children() if self._ours else self._process_table.everyone()
        if self.family.leader not in {one.session for one in seen}:
            self.forget_leader()

    def pause(self) -> None:
        """See `Members.pause`. It looks until it finds no new process: they may fork until they are stopped."""
        met: set[int] = set()
        for _ in range(ROUNDS):
            self._process_table.forget()
            new = [pid for pid in self.others() if pid not in met]
            if not new:
                return
            met.update(new)
            self.send(new, signal.SIGSTOP)

    def resume(self) -> None:
        """See `Members.resume`."""
        self._process_table.forget()
        self.send(self.others(), signal.SIGCONT)

    def watch(self, reader: Reader) -> None:
        """See `Members.watch`. SIGCHLD tells the end of our own orphans anyway."""
        self.unwatch()
        for pid in [] if self._ours else self._awaited():
            try:
                self._witness = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            self._loop.watch(self._witness, reader)
            return

    def unwatch(self) -> None:
        """See `Members.unwatch`."""
        if self._witness >= 0:
            self._loop.unwatch(self._witness)
            os.close(self._witness)
            self._witness = -1


def _living(pids: list[int]) -> list[procfs.Stat]:
    return [one for one in map(procfs.stat, pids) if one.alive]


def _send(pids: Iterable[int], numbers: Iterable[int], is_member: Callable[[int], bool]) -> None:
    """Send signals to those that are members. A pidfd keeps the pid from being a stranger's after that look."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):  # gone; a set-user-ID program
            _send_one(pid, numbers, is_member)


@with_reserve
def _send_one(pid: int, numbers: Iterable[int], is_member: Callable[[int], bool]) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        if is_member(pid):
            for number in numbers:
                signal.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)
