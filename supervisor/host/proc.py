"""What /proc says of one process (proc_pid_stat(5)). The spawner needs it too: it imports nothing."""

from __future__ import annotations

import os


def birth(pid: int) -> int:
    """The start time of a process in clock ticks since boot (proc_pidstat(5), field 22); 0 when it is gone.

    Raises:
        OSError: it cannot be told, as no descriptor is left.
    """
    return int(stat(pid, 20)[19])


def is_zombie(pid: int) -> bool:
    """Whether it has ended, and nobody has asked yet how."""
    return stat(pid, 1)[0] in b"ZX"


def stat(pid: int, count: int) -> list[bytes]:
    """The first fields of /proc/PID/stat after the name: state, parent, group …; "X" for a process that is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            return os.read(fd, 4096).rpartition(b") ")[2].split(None, count)[:count]
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return [b"X", *[b"0"] * (count - 1)]
