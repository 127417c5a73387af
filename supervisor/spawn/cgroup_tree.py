"""The cgroups of the runs of one supervisor: where each is made, and that it is removed when its run is over.

`Cgroups` is the parent's end. The spawner process makes a cgroup with the child in it (`clone`), and removes it
(`Remover`), so that no start waits for that work. Without cgroups, all paths are "".
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from supervisor.host import cgroup, procfs
from supervisor.spawn import fd_holder
from supervisor.spawn.orders import REMOVE

TYPE_CHECKING = False
if TYPE_CHECKING:  # it must stay small
    from supervisor.spawn.spawner_process import SpawnerProcess


class Cgroups:
    """The parent's end."""

    def __init__(self, process: SpawnerProcess) -> None:
        """Make the tree, if this is possible here. `process` removes cgroups."""
        self._process = process
        self._places: dict[str, str] = {}  # the directories of the groups with limits
        self._over: list[str] = []  # cgroups of runs that are over
        try:
            self.tree = cgroup.plant(os.getpid(), procfs.birth(os.getpid()))
            self.text = f"each run has a cgroup of its own, in {self.tree}"
        except cgroup.NoCgroupError as why:
            self.tree = ""
            self.text = f"no cgroups, the processes of a run are known by their mark: {why}"

    def place_of(self, group: str) -> str:
        """Return the cgroup of the runs of a group, or "". It may be an earlier supervisor's."""
        place = self._places.get(group) or f"{self.tree}/@{group}"
        return place if self.tree and os.path.isdir(place) else ""

    def folder(self, group: str) -> str:
        """Return the directory in which the cgroup of a run of this group is made."""
        if not group or not self.tree:
            return self.tree
        self._places[group] = self.place_of(group) or f"{self.tree}/@{group}"
        return self._places[group]

    def adopt(self, run: str) -> None:
        """Adopt the cgroup of an earlier supervisor's run. Later runs of its group share its limit, so they join it."""
        place = os.path.dirname(run)
        if os.path.basename(place).startswith("@"):
            self._places[os.path.basename(place)[1:]] = place

    def old_trees(self, last: str, runs: set[str]) -> set[str]:
        """Return the cgroup trees of earlier supervisors.

        These are the tree of the `last` one (`fd_holder.last_in_charge`), and the trees in which these runs live.
        """
        pid, _, birth = last.partition(" ")
        known = {cgroup.tree_of(run) for run in runs}
        if self.tree and pid.isdigit() and birth.isdigit() and fd_holder.identity(int(pid)) != last:
            known.add(cgroup.tree_in(os.path.dirname(self.tree), int(pid), int(birth)))
        return known - {self.tree}

    def remove(self, path: str) -> None:
        """Have the cgroup of a run that is over removed in a calm moment: not while the next run starts.

        "" means no cgroup. `close` or the next supervisor removes what the spawner process cannot remove.
        """
        if path:
            self._over.append(path)

    def do_deferred(self) -> None:
        """Order the removals."""
        with suppress(OSError):  # the process is gone or busy: try again in the next calm moment
            while self._over and self._process.begun:
                self._process.order(REMOVE, self._over[-1])
                self._over.pop()

    def close(self) -> None:
        """Remove the tree, as far as nothing lives in it."""
        if self.tree:
            cgroup.remove(self.tree)


def new_path(folder: str) -> str:
    """Return a path for a new cgroup in this directory. No path comes twice."""
    return f"{folder}/{time.monotonic_ns()}" if folder else ""


class Remover:
    """The end of the spawner process."""

    def __init__(self, tree: str) -> None:
        self._tree = tree
        self._used: set[str] = set()  # cgroups of runs that are over

    def clear_old(self) -> None:
        """Remove what earlier supervisors have left."""
        if self._tree:
            with suppress(OSError):  # a later supervisor removes what is left there now
                cgroup.clear_old(self._tree, lambda pid, birth: procfs.birth(pid) == birth)

    def remove(self, path: str, _: list[int]) -> None:
        """Remove this cgroup, and those that could not be removed before."""
        self._used = {old for old in (*self._used, path) if not _removed(old, self._tree)}


def _removed(path: str, tree: str) -> bool:
    """Remove a cgroup. Return whether it is gone.

    Also remove its group's cgroup, if this was the last run in it, and the tree, if it is an earlier supervisor's.
    """
    gone, above = cgroup.remove(path), os.path.dirname(path)
    if gone and os.path.basename(above).startswith("@"):
        with suppress(OSError):  # other runs are in it; how an ended one has ended may still be asked
            os.rmdir(above)
        above = os.path.dirname(above)
    if gone and above != tree:
        with suppress(OSError):
            os.rmdir(above)
    return gone
