"""The limits of groups, which several runs share: that what lives has those of the config in force.

Two write them: the child of each run, before its program begins, as it may be the first of its group (`host.confine`);
and the parent, by an errand, when the config says others. A child that was launched before that brings the old ones,
and may take its time (a slow environment file). So they are said once more when each run that was under way has come
through.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from supervisor import errands
from supervisor.core.fleet import Change
from supervisor.core.instance import Run
from supervisor.host.interface import Done

if TYPE_CHECKING:
    from supervisor.parent import Parent


class GroupLimits:
    """Those of one supervisor."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._early: dict[str, str] = {}  # the group of each run that may still write what it was launched with, by id

    def begin(self) -> None:
        """What an earlier supervisor has left is under the limits of this one's config."""
        groups = self._parent.config.groups.values()
        self.changed(group.name for group in groups if any(group.limits.of_the_run.values()))

    def changed(self, groups: Iterable[str]) -> None:
        """What lives of these groups has their limits from now on; what is launched later brings them along."""
        names = set(groups)
        runs = [i.run for i in self._parent.fleet.instances.values() if i.run]
        self._early |= {run.id: group for run in runs if not run.program and (group := _group_of(run)) in names}
        for name in sorted(names):
            self._say(name)

    def see(self, changes: Iterable[Change]) -> None:
        """Some of the runs may have come through, or ended on the way."""
        for change in changes if self._early else ():
            old, new = change.old.run, change.new.run if change.new else None
            if old and old.id in self._early and (new is None or new.id != old.id or new.program):
                self._say(self._early.pop(old.id))

    def _say(self, name: str) -> None:
        group, place = self._parent.config.groups.get(name), self._parent.host.place_of(name)
        if group and place:
            wanted = (place, name, group.limits.of_the_run, group.limits.best_effort)
            self._parent.errand(self._said, errands.limit, *wanted)

    def _said(self, done: Done) -> None:
        if done.error:
            self._parent.host.log("error", f"a limit is not in force for what runs already: {done.error}")


def _group_of(run: Run) -> str:
    """The group with limits in whose cgroup this run is; "": none."""
    name = os.path.basename(os.path.dirname(run.cgroup))
    return name[1:] if name.startswith("@") else ""
