"""Find the processes of a run where no cgroup tells: by mark, descent, group, session, evidence and memory.

Every process that a run forks has the mark (`mark`). The mark survives setsid, a double fork, an emptied environment
and closed descriptors. But any process may take off its own mark, or set that of another run. There
are two kinds of proof:

- What the kernel vouches for counts for any user, as a set-user-ID program may have changed the user. This is descent
  from a process of the run, the session and process group of its leader, and having been found before.
- What anybody can set counts only for a process that has the run's user by each of its ids. This is the mark, the
  environment and an output. The mark also counts for an orphan that has become our child, as it descends from some task
  of ours. It does not count if the orphan has the user of another task, which could set it.

A process may change its user and leave its parent, its session and its group. Then the next supervisor loses it, as
nothing tells it from a stranger.

A process that has taken off its mark is known by the other proofs. Two kinds of processes can escape:

- a process without any proof whose parent ended before anybody looked;
- a process that forks faster than it can be found.

A kill therefore chases (`chase`). The chase stops what it finds, so that it forks no longer. It looks again until it
finds nothing new, kills, and looks again. Its time is bounded. It runs in a child of the supervisor, because it looks
at all of /proc several times. Each look takes 25 µs per process of the machine.

We report the processes that we may not signal, and do not wait for them. A set-user-ID program ends when it likes
(`Chased.refused`).
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Container
from contextlib import suppress

from supervisor.core.immutable import immutable
from supervisor.host import mark, procfs
from supervisor.runs import evidence
from supervisor.runs.evidence import Evidence

PATIENCE = 3.0
"""Seconds of one chase. What is left then is reported, and chased again."""

DYING = 0.5
"""Seconds for killed processes to be gone. In state D that may take for ever."""


@immutable
class Family:
    """The properties by which the processes of a run are known."""

    mark: int
    leader: int  # the number of its process group and session; 0 when it may be a stranger's
    evidence: Evidence | None = None  # the evidence that its orphans show without the mark
    known: frozenset[tuple[int, int]] = frozenset()  # processes that were found before, by pid and birth
    users: frozenset[int] = frozenset()  # the user ids of its task, whose marks and evidence count
    heir: int = 0  # the pid of the supervisor, if orphans of the run become its children
    rivals: frozenset[int] = frozenset()  # the user ids of other tasks


def family(evidence: Evidence, leader: int, users: frozenset[int] = frozenset(), heir: int = 0) -> Family:
    """Return the family of a run with this evidence."""
    return Family(mark.number(evidence.run, evidence.runtime_dir), leader, evidence, users=users, heir=heir)


@immutable
class Chased:
    """The result of a chase."""

    killed: tuple[str, ...]  # the processes that SIGKILL ended besides the leader, as people read them
    left: tuple[str, ...]  # the processes that it did not end, and why
    refused: tuple[int, ...] = ()  # the pids of those that we may not signal


def find(family: Family, everyone: list[procfs.Stat] | None = None) -> list[procfs.Stat]:
    """Return every living process of the run, the leader too. Look at all of /proc, or at an earlier look."""
    alive = {one.pid: one for one in (snapshot() if everyone is None else everyone) if one.pid != os.getpid()}
    heirs = evidence.heirs()
    orphans = {one.pid for one in alive.values() if evidence.orphaned(one, heirs)}
    found = more = {one.pid for one in members(family, list(alive.values()), orphans)}
    while more:
        more = {one.pid for one in alive.values() if one.parent in more and one.pid not in found}
        found |= more
    return [alive[pid] for pid in sorted(found)]


def snapshot() -> list[procfs.Stat]:
    """Return every living process of the machine."""
    return [one for one in map(procfs.stat, procfs.pids()) if one.alive]


def members(family: Family, seen: list[procfs.Stat], orphans: Container[int]) -> list[procfs.Stat]:
    """Return those that are of the run by themselves. `orphans`: pids whose parent is gone and proves nothing."""
    if family.evidence:
        evidence.gather([one for one in seen if one.pid in orphans and _is_asked(family, family.evidence, one)])
    return [one for one in seen if belongs(family, one, orphan=one.pid in orphans)]


def _is_asked(family: Family, by: Evidence, one: procfs.Stat) -> bool:
    """Return whether only its evidence can tell, and counts."""
    return not _is_proven(family, one) and _is_of_users(family, one) and by.may_be_on(one)


def belongs(family: Family, one: procfs.Stat, *, orphan: bool) -> bool:
    """Return whether a process is of the run by itself. `orphan`: its parent is gone, so it proves nothing."""
    if _is_proven(family, one):
        return True
    if not _may_count(family, one):
        return False
    if evidence.marked(one) == family.mark:
        return _is_of_users(family, one) or _is_inherited(family, one)
    return orphan and family.evidence is not None and _is_of_users(family, one) and family.evidence.on(one)


def _is_proven(family: Family, one: procfs.Stat) -> bool:
    """Return whether the kernel vouches for it."""
    by_number = family.leader > 0 and family.leader in (one.group, one.session)
    return by_number or (one.pid, one.birth) in family.known


def _may_count(family: Family, one: procfs.Stat) -> bool:
    """Return whether to read its mark. For most processes of the machine the user already tells, which is cheaper."""
    return one.parent == family.heir or procfs.owner(one) in (0, *family.users)


def _is_of_users(family: Family, one: procfs.Stat) -> bool:
    return bool(users := procfs.users(one)) and users <= family.users


def _is_inherited(family: Family, one: procfs.Stat) -> bool:
    """Return whether it has become a child of the supervisor, and could not have been made by another task."""
    return one.parent == family.heir and not procfs.users(one) & family.rivals


def descendants(roots: list[int]) -> list[int]:
    """Return these and all processes below them. The cost grows with them, not with the machine.

    Raises:
        FileNotFoundError: this kernel does not report it.
    """
    found = dict.fromkeys(roots)
    new = list(roots)
    while new:
        try:
            below = procfs.children(new.pop())
        except FileNotFoundError:
            if not procfs.tells_children():
                raise
            continue  # the process has ended meanwhile
        new += [pid for pid in below if pid not in found]
        found.update(dict.fromkeys(below))
    return list(found)


# -- the chase --------------------------------------------------------------------------------------------------------


def chase(family: Family, leader: int) -> Chased:
    """Kill the whole run, however fast it forks. Call this in an errand, as it takes time.

    Args:
        family: the properties by which its processes are known.
        leader: the pid of the leader. Its end is not reported here, nor that we may not signal it.
    """
    end = time.monotonic() + PATIENCE
    met: dict[tuple[int, int], procfs.Stat] = {}
    while _stop_marked(family, met) and time.monotonic() < end:
        pass
    for one in find(family):
        met[one.pid, one.birth] = one
        _send(one, signal.SIGSTOP)
    while left := find(family):
        refused = [one for one in left if not _send(one, signal.SIGKILL)]
        met |= {(one.pid, one.birth): one for one in left}
        _wait(left, min(DYING, max(0.0, end - time.monotonic())))
        if time.monotonic() >= end or refused:
            break
    left = find(family)
    gone = [one for one in met.values() if one.pid != leader and one.pid not in {other.pid for other in left}]
    refused = [one for one in left if not _send(one, 0)]
    left = [one for one in left if one.pid != leader or one not in refused]
    others = sum(one.pid != leader for one in refused)
    told = (f"not permitted to signal {others} of them",) if others else ()
    return Chased(procfs.names(gone), (*procfs.names(left, state=True), *told), tuple(one.pid for one in refused))


def _stop_marked(family: Family, met: dict[tuple[int, int], procfs.Stat]) -> bool:
    """Stop each process when it is seen, the newest first. A list would be too late for a chain of short lives.

    Return whether a new one was found.
    """
    before = len(met)
    for pid in sorted(procfs.pids(), reverse=True):
        if mark.of(pid) == family.mark and belongs(family, one := procfs.stat(pid), orphan=False) and one.alive:
            _send(one, signal.SIGSTOP)
            met[pid, one.birth] = one
    return len(met) > before


def _send(one: procfs.Stat, number: int) -> bool:
    """Return False if it is not permitted. The pidfd makes sure that no process is hit that got the pid meanwhile."""
    try:
        pidfd = os.pidfd_open(one.pid)
    except OSError:
        return True  # gone
    try:
        if procfs.birth(one.pid) == one.birth:
            signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    finally:
        os.close(pidfd)
    return True


def _wait(dying: list[procfs.Stat], seconds: float) -> None:
    """Wait until they are gone, or the time is over."""
    end = time.monotonic() + seconds
    for one in dying:
        with suppress(OSError):
            pidfd = os.pidfd_open(one.pid)
            try:
                select.select([pidfd], [], [], max(0.0, end - time.monotonic()))
            finally:
                os.close(pidfd)
