"""How much memory, and how many processes, a run has: quick to tell, for limits that nobody else enforces.

`usage` has all that people want to see; this is asked each second, so it asks as little as it can. Memory is what
processes have resident; only where that is too much, what they share is divided among them (PSS, 1 ms each).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from supervisor.host import mark, procfs
from supervisor.host.cgroup import Cgroup

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Census:
    """Who belongs to which run, at one moment. Without cgroups all processes of the machine are looked at, once."""

    def __init__(self) -> None:
        self._marked: dict[int, list[int]] | None = None

    def members(self, cgroup: str, run_id: str, runtime_dir: str) -> list[int]:
        """The processes of a run; `cgroup`: the directory of its own, "" for none."""
        if cgroup:
            return Cgroup(cgroup).pids()
        if self._marked is None:
            self._marked = {}
            for pid in procfs.pids():
                self._marked.setdefault(mark.of(pid), []).append(pid)
        return self._marked.get(mark.number(run_id, runtime_dir), [])


def processes(pids: Iterable[int]) -> int:
    """Processes and their threads, as pids.max counts them."""
    count = 0
    for pid in pids:
        with suppress(OSError):
            count += len(os.listdir(f"/proc/{pid}/task"))
    return count


def memory(pids: list[int], enough: int) -> int:
    """Bytes of all of them together; not more exact than it takes to know whether it is more than `enough`."""
    resident = sum(map(_resident, pids))
    return resident if resident <= enough else sum(map(_proportional, pids))


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration):  # gone, or not ours to look at
        return _resident(pid)
