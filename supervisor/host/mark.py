"""The mark of a run: a number that every process of it inherits, whatever it does to itself.

A process may leave its process group, its session and its parent, empty its environment and close its descriptors.
What it still has then are its resource limits. One of them is free: RLIMIT_LOCKS limits nothing since Linux 2.4.25
(getrlimit(2)), but is still kept, inherited over fork and exec, and shown to everybody in /proc/PID/limits. So the soft
limit of each child is set to a number made from the id of its run. The hard limit stays as it was.

A cgroup is better where there is one: it cannot be left, and all that is in it is killed at once.
"""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager

TYPE_CHECKING = False  # the spawner must stay small
if TYPE_CHECKING:
    from collections.abc import Iterator

RLIMIT_LOCKS = 10

COUNT = 0xFFFF << 1
"""The bits of the mark of a question that tell it from others to the same run."""

_ROW = b"Max file locks"


def number(run_id: str, runtime_dir: str) -> int:
    """The mark of a run: 62 bits of FNV-1a, odd, so never 0.

    The same run id may be given by two supervisors of one machine; the same runtime directory they never have.
    """
    found = 0xCBF29CE484222325
    for byte in f"{runtime_dir.rstrip('/')} {run_id}".encode():
        found = (found ^ byte) * 0x100000001B3 % (1 << 64)
    return found >> 2 | 1


def question(run_id: str, runtime_dir: str, count: int = 0) -> int:
    """The mark of a question to a run: a command that is asked is none of its processes.

    Of an earlier one something may still be dying while the next is asked, so each has a `count`.
    """
    return number(f"{run_id}?", runtime_dir) & ~COUNT | count << 1 & COUNT


def put(mark: int) -> None:
    """Gives it to the calling process. One that may not (a hard limit is in the way) is known by less."""
    try:
        resource.setrlimit(RLIMIT_LOCKS, (mark, resource.getrlimit(RLIMIT_LOCKS)[1]))
    except (OSError, ValueError):
        return


@contextmanager
def given(mark: int) -> Iterator[None]:
    """Whom the calling process forks meanwhile has it; itself has its own again afterwards."""
    before = resource.getrlimit(RLIMIT_LOCKS)
    put(mark)
    try:
        yield
    finally:
        resource.setrlimit(RLIMIT_LOCKS, before)


def of(pid: int) -> int:
    """The mark of a process, also of a zombie; 0 when it has none or is gone."""
    try:
        fd = os.open(f"/proc/{pid}/limits", os.O_RDONLY)
        try:
            _, row, rest = os.read(fd, 4096).partition(_ROW)
        finally:
            os.close(fd)
    except OSError:
        return 0
    soft = rest.split(None, 1)[0] if row else b""
    return int(soft) if soft.isdigit() else 0
