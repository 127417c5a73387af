"""How much memory, and how many processes, a run has: quick to tell, for limits that nobody else enforces.

`usage` has all that people want to see; this is asked each second, so it asks as little as it can. Memory is what
processes have resident; only where that is too much, what they share is divided among them (PSS, 1 ms each).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from supervisor.host import kin, procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.traces import Traces

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Census:
    """Who belongs to which run, at one moment. Without cgroups all processes of the machine are looked at, once."""

    def __init__(self) -> None:
        self._everyone: list[procfs.Stat] | None = None

    def members(self, run: dict[str, Any], runtime_dir: str) -> list[int]:
        """The processes of a run; `run` has the keys of `instance.Run`."""
        if run.get("cgroup"):
            return Cgroup(run["cgroup"]).pids()
        if self._everyone is None:
            self._everyone = kin.look()
        promoted = bool(run.get("group"))  # another process than the first one is the main one: no group has its number
        leader = 0 if promoted or run.get("outcome") else run["pid"]
        since = 0 if promoted else run.get("birth", 0)
        family = kin.family(Traces(run["id"], runtime_dir, since), leader)
        return [one.pid for one in kin.find(family, self._everyone)]


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
