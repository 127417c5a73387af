"""The mark of a run: a number that every process of it inherits, whatever it does to itself.

A process may leave its process group, its session and its parent, empty its environment and close its descriptors.
But it keeps its resource limits. One of them is free: RLIMIT_LOCKS limits nothing since Linux 2.4.25 (getrlimit(2)).
The kernel still keeps it, passes it on over fork and exec, and shows it to everybody in /proc/PID/limits. So each child
sets this soft limit to a number made from the id of its run. The hard limit stays as it was.

The mark is no secret, and anyone can set it. So it proves nothing by itself. It counts only for processes of the run's
user, or for orphans that the kernel has given to us (`runs.proctree`). It never identifies the sender of an sd_notify
message (`runs.notify_sender`).

A cgroup is better where there is one. No process can leave it, and the kernel kills all processes in it at once.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from resource import getrlimit, setrlimit

from supervisor.host.lookup import CLOSED, GONE, with_reserve

TYPE_CHECKING = False  # the spawner must stay small
if TYPE_CHECKING:
    from collections.abc import Iterator

RLIMIT_LOCKS = 10

COUNT = 0xFFFF << 1
"""The bits of a question's mark that distinguish it from other questions to the same run."""

_ROW = b"Max file locks"


def number(run_id: str, runtime_dir: str) -> int:
    """Return the mark of a run: 62 bits of FNV-1a, odd, so never 0.

    Two supervisors of one machine may use the same run id. They never have the same runtime directory.
    """
    found = 0xCBF29CE484222325
    for byte in os.fsencode(f"{runtime_dir.rstrip('/')} {run_id}"):
        found = (found ^ byte) * 0x100000001B3 % (1 << 64)
    return found >> 2 | 1


def question(run_id: str, runtime_dir: str, count: int = 0) -> int:
    """Return the mark of a question to a run: the command of a question is not one of the run's processes.

    Processes of an earlier question may still be dying while the next one is asked. So each question has a `count`.
    """
    return number(f"{run_id}?", runtime_dir) & ~COUNT | count << 1 & COUNT


def set_own(mark: int) -> None:
    """Give the mark to the calling process. If a hard limit prevents that, there is less evidence of its run."""
    try:
        setrlimit(RLIMIT_LOCKS, (mark, getrlimit(RLIMIT_LOCKS)[1]))
    except (OSError, ValueError):
        return


@contextmanager
def inherited_by_children(mark: int) -> Iterator[None]:
    """Give the mark to children that the caller forks in this context. Restore the caller's own mark afterwards."""
    before = getrlimit(RLIMIT_LOCKS)
    set_own(mark)
    try:
        yield
    finally:
        setrlimit(RLIMIT_LOCKS, before)


@with_reserve
def of(pid: int) -> int:
    """Return the mark of a process or zombie; 0 when it has none, is gone, or we may not look at it.

    Raises:
        OSError: it is not known, because no descriptor or memory is left.
    """
    try:
        fd = os.open(f"/proc/{pid}/limits", os.O_RDONLY)
        try:
            _, row, rest = os.read(fd, 4096).partition(_ROW)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in GONE | CLOSED:
            return 0
        raise
    soft = rest.split(None, 1)[0] if row else b""
    return int(soft) if soft.isdigit() else 0
