"""The config in force: as it was written, with `supctl scale` on top; and how a new one takes its place.

Files are read by errands. A reload takes all of a config or nothing; between reloads only the freeze keys of
a file that changed are taken (contract, section 4). `core.reload` says what a new config means for the fleet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor import errands, planning
from supervisor.control.wait import Asker
from supervisor.core import reload, scales
from supervisor.core.definition import Config
from supervisor.core.immutable import replace
from supervisor.core.reload import Plan
from supervisor.grouplimits import GroupLimits
from supervisor.host.interface import Done
from supervisor.store import lastgood

if TYPE_CHECKING:
    from supervisor.parent import Parent


_NO_PATHS = ("none", "inherit", "journal", "file")
"""Where the output of a task goes when `log.to` is no path."""


class Configuration:
    """The config of one supervisor."""

    def __init__(self, parent: Parent, config: Config) -> None:
        self.written = config  # as it is in the files
        self.current = config  # with `supctl scale` on top
        self.loaded = parent.host.stamp()
        self.errors: tuple[str, ...] = ()  # of the files as they are now
        self.limits = GroupLimits(parent)
        self._parent = parent
        self._scales: dict[str, int] = {}  # until the config says another number
        self._rereading = False
        self._touched_again = False
        self._reloads: list[Callable[[Done], None]] = []  # the first one is being read

    @property
    def under_way(self) -> bool:
        """Whether a reload is."""
        return bool(self._reloads)

    def recall(self, kept: dict[str, Any]) -> None:
        """Takes over the scales that an earlier supervisor kept, but those of which the config says another number."""
        self._scales = scales.standing(kept, self.written)
        self.current = scales.scaled(self.written, self._scales)

    def _record(self) -> dict[str, Any]:
        """The scales, each with what the config says in its place."""
        return {"fleet": "scales", "scales": scales.kept(self._scales, self.written)}

    def keep(self, packed: str) -> None:
        """The config in force goes to the journal: the next supervisor may find a broken one on the disk."""
        if packed:
            self._parent.memory.facts.append(lastgood.record(self.written.path, packed))

    def begin(self) -> None:
        """What lives is adopted: what the config says of it counts from now on."""
        self.limits.begin()
        self._warn(self.written)

    def broken(self, errors: tuple[str, ...]) -> None:
        """The supervisor came up with the last good config, as the one on the disk has errors and tasks were left."""
        if errors:
            self.errors = errors
            self._parent.announce.event("config-error", why="; ".join(errors))
            for error in errors:
                self._parent.host.log("error", f"config: {error}")
            text = "there are tasks, so the one that was last in force stays so until the errors are mended"
            self._parent.host.log("warning", f"the config has errors; {text}, and `supctl reload`")

    def reread(self) -> None:
        """The config was touched: its freeze keys count at once, the rest at the next reload."""
        if self._rereading:
            self._touched_again = True
            return
        self._rereading, self._touched_again = True, False
        self._parent.errand(self._reread_done, errands.load, self.written.path)

    def _reread_done(self, done: Done) -> None:
        self._rereading = False
        if self._touched_again:
            self.reread()
            return
        if done.error:  # the machine's fault, not the config's: once more, as soon as anything happens
            self._parent.host.log("error", f"cannot read the freeze keys of the config: {done.error}")
            self._parent.unsure = True
            return
        config = self._checked(done)
        if config:
            self._parent.switch.follow(config)
            self._parent.host.watch(config.watched)  # a directory may have been replaced

    def _checked(self, done: Done) -> Config | None:
        """The config of an errand, or None: what is wrong is kept for `status` and told once."""
        errors = (f"{self.written.path}: {done.error}",) if done.error else tuple(done.value.errors)
        if errors and errors != self.errors:
            self._parent.announce.event("config-error", why="; ".join(errors))
            for error in errors:
                self._parent.host.log("error", f"config: {error}")
        self.errors = errors
        return None if errors else done.value.config

    def reload(self, client: Asker | None, by: str, *, dry_run: bool = False) -> None:
        """Reads the config anew and applies it as a whole, or refuses it as a whole."""
        if self._refused(client):
            return
        if not dry_run:
            self._reloading()
        self._reloads.append(lambda done: self._reload_done(done, client, by, dry_run))
        if len(self._reloads) == 1:
            self._read()

    def _refused(self, client: Asker | None) -> bool:
        """Nothing is reloaded any more while everything is being stopped."""
        shutdown = self._parent.fleet.shutdown
        if shutdown and client:
            client.fail(f"the supervisor is shutting down, nothing was reloaded: {shutdown.reason}")
        elif shutdown:
            self._parent.host.log("warning", f"not reloaded, the supervisor is shutting down: {shutdown.reason}")
        return shutdown is not None

    def _next_reload(self, done: Done) -> None:
        """One at a time, each with what the files say after the one before: the newest is applied last."""
        self._reloads.pop(0)(done)
        if self._reloads:
            self._read()

    def _read(self) -> None:
        """With the scales, as a new config must be possible with them."""
        remembered = scales.kept(self._scales, self.written)
        self._parent.errand(self._next_reload, errands.load, self.written.path, remembered)

    def _reloading(self) -> None:
        micros = int(self._parent.host.now() * 1e6)
        self._parent.host.notify("RELOADING=1", f"MONOTONIC_USEC={micros}")

    def _reload_done(self, done: Done, client: Asker | None, by: str, dry_run: bool) -> None:
        if self._refused(client):  # it has begun to shut down meanwhile
            return
        new = self._checked(done)
        if new is None:
            self._parent.announce.reloaded()
            if client:
                client.fail("the config has errors, nothing was changed:\n" + "\n".join(self.errors), 1)
            return
        standing = scales.standing(scales.kept(self._scales, self.written), new)
        up = {i.task.name for i in self._parent.fleet.instances.values() if i.run or i.wanted}
        plan = reload.compare(self.current, scales.scaled(new, standing), up)
        if not dry_run:
            self._scales = standing
            self._parent.memory.facts.append(self._record())
            self._apply(plan, new, by)
            self.keep(done.value.packed)
        if client:
            client.answer(_plan_json(plan, dry_run=dry_run))

    def _apply(self, plan: Plan, new: Config, by: str) -> None:
        now = self._parent.host.now()
        self.written = replace(new, settings=reload.settled(new.settings, self._parent.running_settings))
        self.current = scales.scaled(self.written, self._scales)
        self.loaded = self._parent.host.stamp()
        self._parent.announce.name = new.settings.name
        self._parent.switch.follow(new)
        reload.apply(self._parent.fleet, plan, self.current, by, now)
        self.limits.changed(plan.limited)
        self._warn(new)
        planning.publish(self._parent)
        self._parent.start_helpers(now)
        self._parent.host.watch(new.watched)
        text = _in_words(plan)
        self._parent.host.log("warning", f"reloaded by {by}: {text}")
        self._parent.announce.event("reload", by=by, why=text)
        self._parent.announce.reloaded()

    def _warn(self, config: Config) -> None:
        for warning in config.warnings:
            self._parent.host.log("warning", f"config: {warning}")

    def scale_checked(self, wanted: dict[str, int], then: Callable[[str], None]) -> None:
        """Calls `then` with "", or with why there cannot be so many: a file belongs to one instance only.

        At once, unless there is a task whose log has a path of its own: what is there is for an errand to look at.
        """
        tasks = self.current.tasks
        if max(wanted.values()) <= 1 or all(task.log.to in _NO_PATHS for task in tasks.values()):
            then("")
            return
        config = scales.scaled(self.current, wanted)
        self._parent.errand(lambda done: then(done.error or "; ".join(done.value)), errands.clashes, config)

    def scale(self, task: str, replicas: int, by: str) -> None:
        """Another number of instances, until the config says another one."""
        self._scales[task] = replicas
        self.current = scales.scaled(self.written, self._scales)
        self._parent.memory.facts.append(self._record())
        now = self._parent.host.now()
        reload.redefine(self._parent.fleet, self.current.tasks[task], by, now)
        self._parent.fleet.connect(self.current)
        planning.publish(self._parent)
        self._parent.fleet.settle(now)


def _plan_json(plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "added": list(plan.added),
        "removed": list(plan.removed),
        "changed": {name: list(keys) for name, keys in plan.changed.items()}
        | {f"@{g}": ["limits"] for g in plan.limited},
        "restarted": {name: list(keys) for name, keys in plan.restarted.items()},
        "unchanged": list(plan.unchanged),
        "at_next_start": list(plan.at_next_start),
    }


def _in_words(plan: Plan) -> str:
    parts = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("added", plan.added),
            ("removed", plan.removed),
            ("changed", (*plan.changed, *(f"@{name}" for name in plan.limited))),
            ("restarted", plan.restarted),
            ("at the next start only", plan.at_next_start),
        )
        if names
    ]
    return "; ".join(parts) or "no change"
