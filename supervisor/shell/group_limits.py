"""Keep the limits of each group's cgroup, which several runs share, as the config in force says.

Two processes write the limits:

- The child of each run, before its program begins (`sandbox.steps`). It may be the first of its group.
- An errand of the parent, when the config has changed the limits.

A child that was launched before the change writes the old limits, and may be late (a slow environment file). So the
parent writes the limits again whenever such a run has begun its program or has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from supervisor.core.instance import Run
from supervisor.core.roster import Change
from supervisor.host.interface import Done
from supervisor.shell import offloaded

if TYPE_CHECKING:
    from supervisor.shell.context import Context


class GroupLimits:
    """The group limits of one supervisor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._early: dict[str, str] = {}  # by run id, the group of each run that may still write its old limits

    def begin(self) -> None:
        """Apply the limits of this config to the runs that an earlier supervisor has left."""
        groups = self._context.config.groups.values()
        self.changed(group.name for group in groups if any(group.limits.of_the_run.values()))

    def changed(self, groups: Iterable[str]) -> None:
        """Apply the limits to the living runs of these groups. Later runs bring the limits along."""
        names = set(groups)
        runs = [i.run for i in self._context.fleet.instances.values() if i.run]
        self._early |= {run.id: group for run in runs if not run.program and (group := _group_of(run)) in names}
        for name in sorted(names):
            self._say(name)

    def observe(self, changes: Iterable[Change]) -> None:
        """Write the limits again for each early run that has begun its program, or has ended before that."""
        for change in changes if self._early else ():
            old, new = change.old.run, change.new.run if change.new else None
            if old and old.id in self._early and (new is None or new.id != old.id or new.program):
                self._say(self._early.pop(old.id))

    def _say(self, name: str) -> None:
        group, place = self._context.config.groups.get(name), self._context.host.place_of(name)
        if group and place:
            wanted = (place, name, group.limits.of_the_run, group.limits.best_effort)
            self._context.errand(self._said, offloaded.limit, *wanted)

    def _said(self, done: Done) -> None:
        if done.error:
            self._context.host.log("error", f"a limit is not in force for the existing runs: {done.error}")


def _group_of(run: Run) -> str:
    """Return the group with limits in whose cgroup this run is, or "" if there is none."""
    name = os.path.basename(os.path.dirname(run.cgroup))
    return name[1:] if name.startswith("@") else ""
