"""What /proc tells of processes: their state, parent, birth, name and children (proc(5)).

A process that is gone is no error: whoever looks at processes that are not his own children always comes too late
for some. It has the state "X" and no parent.
"""

from __future__ import annotations

import os
import stat as modes
from contextlib import suppress

OPEN_FOR_WRITING = modes.S_IWUSR
"""Of what is in /proc/PID/fd: how the process has it open, not what may be done with the file (proc_pid_fd(5))."""


class Stat:
    """A process at one moment. Written by hand, as the spawner has no use for `typing` and `dataclasses`."""

    __slots__ = ("birth", "group", "mark", "name", "parent", "pid", "session", "state", "traces")

    def __init__(self, pid: int, name: str, state: str, *numbers: int) -> None:
        """`state` is R, S, D … Z: a zombie, X: gone; the numbers are those of /proc, and the birth."""
        self.pid = pid
        self.name = name
        self.state = state
        self.parent, self.group, self.session, self.birth = numbers or (0, 0, 0, 0)
        self.mark: int | None = None  # that of its run, and other traces of runs, once somebody has looked (`traces`)
        self.traces: frozenset[str] | None = None

    @property
    def alive(self) -> bool:
        """Whether it can still do anything."""
        return self.state not in "ZX"


def stat(pid: int) -> Stat:
    """One process.

    Raises:
        OSError: it cannot be told, as no descriptor is left.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            head, _, tail = os.read(fd, 4096).rpartition(b") ")
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return Stat(pid, "", "X")
    name = head.partition(b" (")[2].decode(errors="replace")
    state, parent, group, session, *_, birth = tail.split(None, 20)[:20]
    return Stat(pid, name, state.decode(), int(parent), int(group), int(session), int(birth))


def birth(pid: int) -> int:
    """When a process began, in clock ticks since boot: with the pid, it names one process; 0 when it is gone."""
    return stat(pid).birth


def pids() -> list[int]:
    """Every process that we may see."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid: int) -> list[int]:
    """The children of all threads of a process, also those that are zombies.

    Raises:
        FileNotFoundError: it is gone, or this kernel has no such files (CONFIG_PROC_CHILDREN).
    """
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            found += map(int, file.read().split())
    return found


def ancestors(pid: int) -> list[int]:
    """Its parent, the parent of that, and so on: as far as we may see."""
    found: list[int] = []
    while (pid := stat(pid).parent) > 0:
        found.append(pid)
    return found


def environment(pid: int) -> list[bytes]:
    """As it was at its exec; nothing for one that is gone, or not ours to look at."""
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(fd, 1 << 17).split(b"\0")
    except OSError:
        return []
    finally:
        os.close(fd)


def writes_to(pid: int) -> list[str]:
    """What a process has open for writing, as the kernel names it; nothing for one that is not ours to look at."""
    folder, found = f"/proc/{pid}/fd", []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in names:
        with suppress(OSError):  # it has just been closed
            if os.lstat(f"{folder}/{name}").st_mode & OPEN_FOR_WRITING:
                found.append(os.readlink(f"{folder}/{name}"))
    return found


def tells_children() -> bool:
    """Whether this kernel does (CONFIG_PROC_CHILDREN)."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


NAMED = 8
"""So many processes are named to people; the rest is counted."""


def names(of: list[Stat], *, state: bool = False) -> tuple[str, ...]:
    """Processes as people read them: "sleep (pid 12)"; with `state`, "sh (pid 13, state D)" of one that cannot die."""
    told = [f"{one.name} (pid {one.pid}{', state D' * (state and one.state == 'D')})" for one in of[:NAMED]]
    return (*told, f"{len(of) - NAMED} more") if len(of) > NAMED else tuple(told)
