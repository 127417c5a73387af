"""Start, replace and retire the helpers that the config needs (`registry`), and remember which of them fail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from supervisor import registry
from supervisor.core import events as ev
from supervisor.core.definition import Task
from supervisor.core.instance import Instance
from supervisor.core.states import State

if TYPE_CHECKING:
    from supervisor.core.roster import Change
    from supervisor.shell.context import Context


class Helpers:
    """The helpers of one supervisor."""

    def __init__(self, context: Context) -> None:
        self._down: dict[str, tuple[float, str]] = {}  # by key: the result of `down`
        self._context = context

    def needed(self) -> dict[str, Task]:
        """Return the helpers that the config in force needs, by the key of their instance."""
        config, runtime_dir = self._context.config, self._context.settings.runtime_dir
        found = (helper for helper in registry.every() if helper.needed(config))
        return {helper.key: helper.task(runtime_dir, config.settings) for helper in found}

    def start(self, now: float) -> None:
        """Start those that the config needs, replace those that changed, and retire the others."""
        fleet, needed = self._context.fleet, self.needed()
        for key, task in needed.items():
            old = fleet.instances.get(key)
            if old is None:
                fleet.add(Instance(task, 1, since=now))
            elif old.task != task:
                fleet.step(key, ev.Redefine(task), now)
                fleet.step(key, ev.Outdate("its part of the config changed"), now)
            if old is None or not old.wanted:
                fleet.step(key, ev.Want("start", "the supervisor"), now)
        staying = {helper.name for helper in registry.every() if helper.stays}
        for key, instance in list(fleet.instances.items()):
            if instance.task.helper and instance.task.name not in staying and key not in needed:
                fleet.step(key, ev.Retire("the config, which no longer needs it"), now)

    def observe(self, changes: Iterable[Change]) -> None:
        """Remember since when a helper fails repeatedly, and the last line of its stderr."""
        for change in changes:
            if change.new and change.new.task.helper:
                self.down(change.new)

    def down(self, helper: Instance) -> tuple[float, str]:
        """Return since when a helper fails repeatedly, and the last line of its stderr.

        A client may ask in the same turn in which the helper ends, so before `observe`.
        """
        if helper.state in (State.BACKOFF, State.FAILED):
            since = helper.since if helper.streak <= 1 else self._down.get(helper.key, (helper.since, ""))[0]
            self._down[helper.key] = since, self._context.host.complaint(helper.key)
        return self._down.get(helper.key, (helper.since, ""))

    def renew(self) -> None:
        """Restart all of them, so that they use the runtime directory that was made anew."""
        fleet, now = self._context.fleet, self._context.host.now()
        for helper in [i for i in fleet.instances.values() if i.task.helper]:
            fleet.apply(helper.key, ev.Outdate("the runtime directory was made anew"), now)


def comes_back(instance: Instance) -> bool:
    """Return whether a helper is started again that needs a correct manifest, whatever happened to the file."""
    helper = registry.of(instance.task)
    return bool(helper and helper.reads_manifest) and instance.state is State.STARTING and instance.streak > 0
