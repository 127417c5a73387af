"""Read the state, parent, birth, name and children of processes from /proc (proc(5)).

A process that is gone is no error: some processes that are not our children always end before the look. Such a process
has the state "X" and no parent. Every other error is raised: then nothing is known (`lookup`).

A process chooses the bytes of its name and its environment. Names are decoded with replacement characters; environments
stay bytes. Only `environment` can block: see there.
"""

from __future__ import annotations

import os
import stat as modes

from supervisor.host.lookup import CLOSED, GONE, with_reserve

OPEN_FOR_WRITING = modes.S_IWUSR
"""The mode bits in /proc/PID/fd show how the process has a file open, not the file's permissions (proc_pid_fd(5))."""


class Stat:
    """A process at one moment. Not a dataclass, because the spawner does not import `typing` and `dataclasses`."""

    __slots__ = ("birth", "evidence", "group", "mark", "name", "owner", "parent", "pid", "session", "state", "users")

    def __init__(self, pid: int, name: str, state: str, *numbers: int) -> None:
        """`state` is R, S, D … (Z: a zombie, X: gone). The numbers are those of /proc, and the birth."""
        self.pid = pid
        self.name = name
        self.state = state
        self.parent, self.group, self.session, self.birth = numbers or (0, 0, 0, 0)
        self.mark: int | None = None  # of its run, and other evidence of runs, once looked up (`runs.evidence`)
        self.evidence: frozenset[str] | None = None
        self.users: frozenset[int] | None = None  # its user ids, once looked up (`users`)
        self.owner: int | None = None  # likewise (`owner`)

    @property
    def alive(self) -> bool:
        """Whether it can still do anything."""
        return self.state not in "ZX"


@with_reserve
def stat(pid: int) -> Stat:
    """Return one process.

    Raises:
        OSError: it is not known, because no descriptor or memory is left.
    """
    name, fields = stat_fields(pid)
    if not fields:
        return Stat(pid, "", "X")
    state, parent, group, session, *_, birth = fields[:20]
    return Stat(pid, name, state.decode(), int(parent), int(group), int(session), int(birth))


def stat_fields(pid: int) -> tuple[str, list[bytes]]:
    """Return the name of a process, and the fields of /proc/PID/stat from the state on; no fields when it is gone.

    Raises:
        OSError: the file cannot be read, for example because no descriptor is left.
    """
    try:
        head, _, tail = _read(f"/proc/{pid}/stat", 4096).rpartition(b") ")
    except (FileNotFoundError, ProcessLookupError):
        return "", []
    return head.partition(b" (")[2].decode(errors="replace"), tail.split()


def _read(path: str, most: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, most)
    finally:
        os.close(fd)


def birth(pid: int) -> int:
    """Return a process's start in clock ticks since boot; 0 when it is gone. Pid and birth identify one process."""
    return stat(pid).birth


def users(one: Stat) -> frozenset[int]:
    """Return the real, effective, saved and file system user id of a process; nothing for one that is gone.

    The owner of /proc/PID is no substitute. It is root for every process that is not dumpable (proc(5)), and any
    process can make itself not dumpable. Two different ids mean a set-user-ID program, which its caller controls in
    part.

    Raises:
        OSError: the ids are not known.
    """
    if one.users is None:
        one.users = frozenset(_users(one.pid))
    return one.users


@with_reserve
def _users(pid: int) -> list[int]:
    try:
        _, _, rest = _read(f"/proc/{pid}/status", 4096).partition(b"\nUid:")
    except OSError as error:
        if error.errno in GONE:
            return []
        raise
    return [int(number) for number in rest.partition(b"\n")[0].split()]


def owner(one: Stat) -> int:
    """Return the owner of /proc/PID: its effective user, or root if it is not dumpable; -1 when it is gone.

    This is cheaper than `users`, and enough to rule a process out.

    Raises:
        OSError: the owner is not known.
    """
    if one.owner is None:
        try:
            one.owner = os.stat(f"/proc/{one.pid}").st_uid
        except OSError as error:
            if error.errno not in GONE:
                raise
            one.owner = -1
    return one.owner


@with_reserve
def pids() -> list[int]:
    """Return every process that we may see.

    Raises:
        OSError: they cannot be listed.
    """
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


@with_reserve
def children(pid: int) -> list[int]:
    """Return the children of all threads of a process, also those that are zombies.

    Raises:
        FileNotFoundError: it is gone, or this kernel has no such files (CONFIG_PROC_CHILDREN).
        OSError: the children are not known.
    """
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            found += map(int, file.read().split())
    return found


def ancestors(pid: int) -> list[int]:
    """Return its parent, the parent of that, and so on, as far as we may see."""
    found: list[int] = []
    while (pid := stat(pid).parent) > 0:
        found.append(pid)
    return found


@with_reserve
def environment(pid: int) -> list[bytes]:
    """Return the environment as it was at the exec; nothing for a process that is gone, or that we may not inspect.

    This call can block for ever, because the kernel reads the memory of that process. Somebody may hold the lock of
    that memory, or its pages may be on a file system that does not answer. So only `foreign` calls it, in a child.

    Raises:
        OSError: the environment is not known.
    """
    try:
        return _read(f"/proc/{pid}/environ", 1 << 17).split(b"\0")
    except OSError as error:
        if error.errno in GONE | CLOSED:
            return []
        raise


@with_reserve
def writes_to(pid: int) -> list[str]:
    """Return the files that a process has open for writing, as the kernel names them; none if we may not look.

    Raises:
        OSError: the files are not known.
    """
    folder = f"/proc/{pid}/fd"
    try:
        return list(filter(None, [_written(f"{folder}/{name}") for name in os.listdir(folder)]))
    except OSError as error:
        if error.errno in GONE | CLOSED:
            return []
        raise


def _written(link: str) -> str:
    """Return the file that is open there for writing; "" when it is not for writing, or has just been closed."""
    try:
        return os.readlink(link) if os.lstat(link).st_mode & OPEN_FOR_WRITING else ""
    except FileNotFoundError:
        return ""


def tells_children() -> bool:
    """Whether this kernel lists the children of a process (CONFIG_PROC_CHILDREN)."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


NAMED = 8
"""The number of processes that a text names; it only counts the others."""


def names(of: list[Stat], *, state: bool = False) -> tuple[str, ...]:
    """Name processes for people: "sleep (pid 12)"; with `state`, "sh (pid 13, state D)" for one that cannot die."""
    told = [f"{one.name} (pid {one.pid}{', state D' * (state and one.state == 'D')})" for one in of[:NAMED]]
    return (*told, f"{len(of) - NAMED} more") if len(of) > NAMED else tuple(told)
