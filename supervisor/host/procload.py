"""Read the CPU time, threads and resident memory of a process from one short file, /proc/PID/stat (proc(5)).

Reading that file takes about 10 µs. The same figures through psutil take twenty times as long. `figures` reads the
other figures, too, for a process in which psutil shall not be loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from supervisor.host import foreign, procfs

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Load(procfs.Stat):
    """A process, and its resource usage at one moment."""

    __slots__ = ("cpu", "resident", "threads")

    def __init__(self, pid: int, name: str, fields: list[bytes]) -> None:
        """`fields` are those of `procfs.stat_fields`; at least one."""
        parent, group, session = fields[1:4]
        super().__init__(pid, name, fields[0].decode(), int(parent), int(group), int(session), int(fields[19]))
        self.cpu = sum(map(int, fields[11:15])) * _TICK  # seconds, with those of children that it has waited for
        self.threads = int(fields[17])
        self.resident = int(fields[21]) * _PAGE  # bytes


def load(pid: int) -> Load | None:
    """Return a living process; None when it is a zombie or gone.

    Raises:
        OSError: the file cannot be read, for example because no descriptor is left.
    """
    name, fields = procfs.stat_fields(pid)
    return Load(pid, name, fields) if fields and fields[0] not in (b"Z", b"X") else None


COUNTS = ("threads", "read", "written", "switches", "files")
"""The figures of a process beside its CPU time."""


def figures(pid: int, *, with_io: bool) -> dict[str, Any]:
    """Return what a process uses, in all: `cpu` (seconds) and COUNTS. Empty when it is gone, or a zombie.

    0 stands for what we may not read. `with_io`: also the bytes from and to disks.
    """
    found: dict[str, Any] = dict.fromkeys(COUNTS, 0)
    with suppress(OSError, KeyError, ValueError):
        one = load(pid)
        if one is None:
            return {}
        found |= {"cpu": one.cpu, "threads": one.threads}
        status = _pairs(f"/proc/{pid}/status")
        found["switches"] = int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
        found["files"] = len(os.listdir(f"/proc/{pid}/fd"))
        if with_io:
            io = _pairs(f"/proc/{pid}/io")
            found |= {"read": int(io["read_bytes"]), "written": int(io["write_bytes"])}
    return found if "cpu" in found else {}


def _pairs(path: str) -> dict[str, str]:
    """Return the lines "NAME: VALUE" of a file."""
    with open(path, "rb", buffering=0) as file:
        lines = file.read(4096).decode(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def loads(pids: list[int]) -> list[Load]:
    """Return those of the processes that live and can be read."""
    found = []
    for pid in pids:
        with suppress(OSError):
            if one := load(pid):
                found.append(one)
    return found


def file_pages(pid: int) -> int:
    """Return the bytes of resident memory that belong to files, which other processes often map as well."""
    with suppress(OSError, IndexError, ValueError), open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
        return int(file.read(200).split()[2]) * _PAGE
    return 0


def proportional(pids: Iterable[int]) -> int:
    """Return the memory of processes in bytes; shared memory is divided among them (PSS).

    If a process's map cannot be read in time (`foreign`), or at all, its resident memory counts.
    """
    pids = list(pids)
    found = foreign.answers(pids, _pss)
    return sum(pss if (pss := found.get(pid)) else _resident(pid) for pid in pids)


def _pss(pid: int) -> int:
    """Return the PSS; 0 for a process that is gone, or that we may not read. Can block."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb", buffering=0) as file:
        for line in file.read(4096).splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _resident(pid: int) -> int:
    with suppress(OSError):
        one = load(pid)
        return one.resident if one else 0
    return 0
