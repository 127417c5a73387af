"""Which processes belong to a run, where no cgroup tells: by mark, descent, process group, session, traces and memory.

The mark (`mark`) is found in whatever a run has forked, also after setsid, a double fork, an emptied environment and
closed descriptors. Any process may take it off itself; it is then known by the session, by having been seen below one
that is known, or, as an orphan, by its environment and by the output that it holds open (`traces`). What can escape is
a process that has none of all that and whose parent ended before anybody looked, or one that forks faster than it can
be found: a kill therefore chases (`chase`). It stops what it finds, so that it forks no longer, looks again until
nothing new is found, kills, and looks again. It is bounded in time, and runs in a child of the supervisor: a look at
all of /proc takes 25 µs per process of the machine, several times.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from supervisor.core.immutable import immutable
from supervisor.host import mark, procfs, traces
from supervisor.host.traces import Traces

PATIENCE = 3.0
"""Seconds of one chase; what is left then is told, and chased again."""

DYING = 0.5
"""Seconds for what got SIGKILL to be gone. In state D it may take for ever."""


@immutable
class Family:
    """By what the processes of a run are known."""

    mark: int
    leader: int  # the number of its process group and session; 0 when that may be somebody else's by now
    traces: Traces | None = None  # what its orphans have without the mark
    known: frozenset[tuple[int, int]] = frozenset()  # who was found to be of it before, by pid and birth


def family(traces: Traces, leader: int) -> Family:
    """That of a run which has these traces."""
    return Family(mark.number(traces.run, traces.runtime_dir), leader, traces)


@immutable
class Chased:
    """What came of a chase."""

    killed: tuple[str, ...]  # whom SIGKILL met besides the leader, as people read it
    left: tuple[str, ...]  # what it did not end, and why


def find(family: Family, everyone: list[procfs.Stat] | None = None) -> list[procfs.Stat]:
    """Every living process of the run, the leader too. Looks at all of /proc, or at what an earlier look found."""
    alive = {one.pid: one for one in (look() if everyone is None else everyone) if one.pid != os.getpid()}
    heirs = traces.heirs()
    found = {one.pid for one in alive.values() if belongs(family, one, orphan=traces.orphaned(one, heirs))}
    more = found
    while more:
        more = {one.pid for one in alive.values() if one.parent in more and one.pid not in found}
        found |= more
    return [alive[pid] for pid in sorted(found)]


def look() -> list[procfs.Stat]:
    """Every living process of the machine."""
    return [one for one in map(procfs.stat, procfs.pids()) if one.alive]


def belongs(family: Family, one: procfs.Stat, *, orphan: bool) -> bool:
    """Whether a process is of the run by itself. `orphan`: its parent is gone, and can tell nothing of it."""
    by_number = family.leader > 0 and family.leader in (one.group, one.session)
    if by_number or (one.pid, one.birth) in family.known or traces.marked(one) == family.mark:
        return True
    return orphan and family.traces is not None and family.traces.on(one)


def descendants(roots: list[int]) -> list[int]:
    """All that are below these, and they themselves. Costs what they are, not what the machine is.

    Raises:
        FileNotFoundError: this kernel does not tell.
    """
    found = dict.fromkeys(roots)
    new = list(roots)
    while new:
        try:
            below = procfs.children(new.pop())
        except FileNotFoundError:
            if not procfs.tells_children():
                raise
            continue  # it has ended meanwhile
        new += [pid for pid in below if pid not in found]
        found.update(dict.fromkeys(below))
    return list(found)


# -- the chase --------------------------------------------------------------------------------------------------------


def chase(family: Family, leader: int) -> Chased:
    """SIGKILL to the whole run, however fast it forks. To be called aside: it takes its time.

    Args:
        family: by what it is known.
        leader: the pid of the leader, who is not told of: its end is told otherwise.
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
    return Chased(procfs.names(gone), (*procfs.names(left, state=True), *_refused(left)))


def _stop_marked(family: Family, met: dict[tuple[int, int], procfs.Stat]) -> bool:
    """Stops each at the moment at which it is seen, the newest first: a chain of short lives is ahead of any list.

    Returns whether there was one that had not been met.
    """
    before = len(met)
    for pid in sorted(procfs.pids(), reverse=True):
        if mark.of(pid) == family.mark:
            with suppress(ProcessLookupError, PermissionError):  # gone; `_refused` tells
                os.kill(pid, signal.SIGSTOP)
            one = procfs.stat(pid)
            if one.alive:
                met[pid, one.birth] = one
    return len(met) > before


def _refused(left: list[procfs.Stat]) -> tuple[str, ...]:
    """Why not, when the reason is that we may not: a set-user-ID program, a user namespace."""
    refused = [one for one in left if not _send(one, 0)]
    return (f"not permitted to signal {len(refused)} of them",) if refused else ()


def _send(one: procfs.Stat, number: int) -> bool:
    """False when it is not permitted. The pidfd makes sure that nobody else is hit who got the pid meanwhile."""
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
    """Until they are gone, or the time is over."""
    end = time.monotonic() + seconds
    for one in dying:
        with suppress(OSError):
            pidfd = os.pidfd_open(one.pid)
            try:
                select.select([pidfd], [], [], max(0.0, end - time.monotonic()))
            finally:
                os.close(pidfd)
