"""Measure the memory and the number of processes of a run quickly, for limits that the kernel does not enforce.

`usage` measures everything that people want to see. This module is asked each second, so it reads as little as it can.
The memory of a run is the resident memory of its processes. Only if that is too much, the memory that they share is
divided among them (PSS).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.host import procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.procload import Load, loads, proportional
from supervisor.runs import proctree
from supervisor.runs.evidence import Evidence
from supervisor.runs.ownership import Strangers, owners


class Census:
    """The processes of each run at one moment. Only proven ones count: an orphan that changed its user does not.

    A cgroup lists its processes. For runs without one, the census reads the processes of the machine in one pass. It
    does so when it is first asked for such a run.
    """

    def __init__(
        self, runs: Mapping[str, dict[str, Any]], runtime_dir: str, strangers: Strangers | None = None
    ) -> None:
        """`runs` by the key of the instance, with the keys of `instance.Run`; `strangers`: of the census before."""
        self._runs = runs
        self._runtime_dir = runtime_dir
        self._strangers = strangers or Strangers()
        self._owned: dict[str, list[Load]] | None = None

    def members(self, key: str) -> list[Load]:
        """Return the living processes of a run, by the key of its instance."""
        if cgroup := self._runs[key].get("cgroup"):
            return loads(Cgroup(cgroup).pids())
        if self._owned is None:
            bare = {key: run for key, run in self._runs.items() if not run.get("cgroup")}
            families = {key: _family(run, self._runtime_dir) for key, run in bare.items()}
            self._owned = owners(families, loads(procfs.pids()), self._strangers)
        return self._owned.get(key, [])


def _family(run: dict[str, Any], runtime_dir: str) -> proctree.Family:
    promoted = bool(run.get("group"))  # the main process is not the first one: no group has its number
    leader = 0 if promoted or run.get("outcome") else run["pid"]
    since = 0 if promoted else run.get("birth", 0)
    user = run.get("user", -1)
    users = frozenset({os.geteuid() if user < 0 else user})
    return proctree.family(Evidence(run["id"], runtime_dir, since), leader, users)


def processes(members: Iterable[Load]) -> int:
    """Return the number of processes with their threads, as pids.max counts them."""
    return sum(one.threads for one in members)


def memory(members: Iterable[Load], enough: int) -> int:
    """Return the bytes of all of them, just exact enough to know whether they are more than `enough`."""
    members = list(members)
    resident = sum(one.resident for one in members)
    return resident if resident <= enough else proportional(one.pid for one in members)
