"""Hold the config in force (the files, with `supctl scale` on top), and replace it by a new one.

Errands read the files. A reload takes all of a config or nothing. Between reloads the supervisor takes only the freeze
keys of a file that changed (contract, section 4). `core.reload` says what a new config means for the fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from supervisor.control.wait import Asker
from supervisor.core import reload, scales
from supervisor.core.definition import Config
from supervisor.core.immutable import immutable, replace
from supervisor.core.reload import Plan
from supervisor.host.interface import Done
from supervisor.shell import manifest, offloaded
from supervisor.shell.group_limits import GroupLimits
from supervisor.store import lastgood

if TYPE_CHECKING:
    from supervisor.shell.context import Context
    from supervisor.shell.firings import FiringRuns
    from supervisor.shell.freezes import Freezes
    from supervisor.shell.helpers import Helpers


UNSURE_FOR = 3.0
"""Seconds that the first starts may delay the second look at the config: reading a long one competes with them."""

_NO_PATHS = ("none", "inherit", "journal", "file")
"""The values of `log.to` that are no path."""


@immutable
class Proposal:
    """A config that was read, and the changes that it would make."""

    config: Config
    scales: dict[str, int]  # of `supctl scale`, as far as they still hold
    plan: Plan
    warnings: tuple[str, ...] = ()


class ConfigInForce:
    """The config of one supervisor."""

    def __init__(self, context: Context, freezes: Freezes, helpers: Helpers, firing_runs: FiringRuns) -> None:
        self.written = context.config  # as it is in the files
        self.loaded = context.host.stamp()
        self.errors: tuple[str, ...] = ()  # of the files as they are now
        self.limits = GroupLimits(context)
        self._context = context
        self._freezes = freezes
        self._helpers = helpers
        self._firing_runs = firing_runs
        self._unsure = True  # the config may have been saved after it was read and before it was watched
        self._sure_at = context.host.now() + UNSURE_FOR
        self._scales: dict[str, int] = {}  # until the config says another number
        self._rereading = False
        self._touched_again = False
        self._reloads: list[Callable[[Done], None]] = []  # the first one is being read

    def restore(self, kept: dict[str, Any]) -> None:
        """Take over the scales that an earlier supervisor kept, except where the config has changed the number."""
        self._scales = scales.standing(kept, self.written)
        self._context.config = scales.scaled(self.written, self._scales)

    def _record(self) -> dict[str, Any]:
        """Return the scales, each with the number in the config that it replaces."""
        return {"fleet": "scales", "scales": scales.to_record(self._scales, self.written)}

    def record(self, packed: str) -> None:
        """Write the config in force to the journal. The next supervisor may find a broken one on the disk."""
        if packed:
            self._context.journaling.facts.append(lastgood.record(self.written.path, packed))

    def begin(self) -> None:
        """Apply the group limits and report the warnings. Call it when all living runs are adopted."""
        self.limits.begin()
        self.warn(self.written.warnings)

    def broken(self, errors: tuple[str, ...]) -> None:
        """Report that the last good config is in force: the one on the disk has errors, and tasks were left."""
        if errors:
            self.errors = errors
            self._context.announcer.event("config-error", why="; ".join(errors))
            for error in errors:
                self._context.host.log("error", f"config: {error}")
            text = "the last good config stays in force for the tasks that an earlier supervisor left"
            self._context.host.log("warning", f"the config has errors; {text}; correct it, then run `supctl reload`")

    def reread_if_unsure(self) -> None:
        """Read the freeze keys again once the starts are done, if the file may have changed before it was watched.

        If the starts do not end, because runs fail all the time, this waits for `UNSURE_FOR` seconds.
        """
        if self._unsure and (self._context.fleet.next_deadline() != 0.0 or self._context.host.woke >= self._sure_at):
            self._unsure = False
            self._reread()

    def touched(self, *, certain: bool) -> None:
        """Read the freeze keys of a config that was touched. They count at once, the rest at the next reload.

        `certain`: it has changed. Otherwise it may have changed before it was watched. Soon after the start of the
        supervisor it is read for that reason anyway.
        """
        if certain or not self._unsure:
            self._reread()

    def _reread(self) -> None:
        if self._rereading:
            self._touched_again = True
            return
        self._rereading, self._touched_again = True, False
        self._context.errand(self._reread_done, offloaded.load, self.written.path)

    def _reread_done(self, done: Done) -> None:
        self._rereading = False
        if self._touched_again:
            self._reread()
            return
        if done.error:  # the machine's fault, not the config's: try again as soon as anything happens
            self._context.host.log("error", f"cannot read the freeze keys of the config: {done.error}")
            self._unsure = True
            return
        proposal = self._checked(done)
        if proposal:
            self._freezes.apply_config(proposal.config)
            self._context.host.watch(proposal.config.watched)  # a directory may have been replaced

    def _checked(self, done: Done) -> Proposal | None:
        """Return what the config of an errand would change, or None if there is no config. Errors refuse it.

        `errors` keeps them for `status`. The log reports them once.
        """
        proposal = None
        errors = (f"{self.written.path}: {done.error}",) if done.error else tuple(done.value.errors)
        if not errors:
            proposal = self._proposal(done.value.config)
            errors, warnings = reload.sort_out(done.value.machine_errors, proposal.plan, self.written, proposal.config)
            proposal = replace(proposal, warnings=warnings)
        if errors and errors != self.errors:
            self._context.announcer.event("config-error", why="; ".join(errors))
            for error in errors:
                self._context.host.log("error", f"config: {error}")
        self.errors = errors
        return proposal

    def _proposal(self, new: Config) -> Proposal:
        standing = scales.standing(scales.to_record(self._scales, self.written), new)
        up = {i.task.name for i in self._context.fleet.instances.values() if i.run or i.wanted}
        return Proposal(new, standing, reload.compare(self._context.config, scales.scaled(new, standing), up))

    def reload(self, client: Asker | None, by: str, *, dry_run: bool = False) -> None:
        """Read the config again, and apply it as a whole or refuse it as a whole."""
        if self._refused(client):
            return
        if not dry_run:
            self._reloading()
        self._reloads.append(lambda done: self._reload_done(done, client, by, dry_run))
        self._context.reloading = True
        if len(self._reloads) == 1:
            self._read()

    def _refused(self, client: Asker | None) -> bool:
        """Refuse a reload during a shutdown. Return whether it was refused."""
        shutdown = self._context.fleet.shutdown
        if shutdown and client:
            client.fail(f"the supervisor is shutting down, nothing was reloaded: {shutdown.reason}")
        elif shutdown:
            self._context.host.log("warning", f"not reloaded, the supervisor is shutting down: {shutdown.reason}")
        return shutdown is not None

    def _next_reload(self, done: Done) -> None:
        """Finish one reload and begin the next. Each reads the files after the one before, so the newest comes last."""
        self._reloads.pop(0)(done)
        self._context.reloading = bool(self._reloads)
        if self._reloads:
            self._read()

    def _read(self) -> None:
        """Read the config together with the scales, as a new config must be possible with them."""
        remembered = scales.to_record(self._scales, self.written)
        self._context.errand(self._next_reload, offloaded.load, self.written.path, remembered)

    def _reloading(self) -> None:
        micros = int(self._context.host.now() * 1e6)
        self._context.host.notify("RELOADING=1", f"MONOTONIC_USEC={micros}")

    def _reload_done(self, done: Done, client: Asker | None, by: str, dry_run: bool) -> None:
        if self._refused(client):  # it has begun to shut down meanwhile
            return
        proposal = self._checked(done)
        if proposal is None or self.errors:
            self._context.announcer.reloaded()
            if client:
                client.fail("the config has errors, nothing was changed:\n" + "\n".join(self.errors), 1)
            return
        if not dry_run:
            self._scales = proposal.scales
            self._context.journaling.facts.append(self._record())
            self._apply(proposal.plan, proposal.config, by)
            self.warn(proposal.warnings)
            self.record(done.value.packed)
        if client:
            client.answer(_plan_json(proposal.plan, dry_run=dry_run) | {"warnings": list(proposal.warnings)})

    def _apply(self, plan: Plan, new: Config, by: str) -> None:
        now = self._context.host.now()
        self.written = replace(new, settings=reload.effective(new.settings, self._context.settings))
        self._context.config = scales.scaled(self.written, self._scales)
        self.loaded = self._context.host.stamp()
        self._context.announcer.name = new.settings.name
        self._freezes.apply_config(new)
        reload.apply(self._context.fleet, plan, self._context.config, by, now)
        self.limits.changed(plan.limited)
        self.warn(new.warnings)
        manifest.publish(self._context)
        self._helpers.start(now)
        self._context.fleet.last_runs.define(self._context.config.tasks.values(), self._context.host.now())
        self._firing_runs.define()
        self._context.host.watch(new.watched)
        text = _in_words(plan)
        self._context.host.log("warning", f"reloaded by {by}: {text}")
        self._context.announcer.event("reload", by=by, why=text)
        self._context.announcer.reloaded()

    def warn(self, warnings: Iterable[str]) -> None:
        """Report problems that are no reason to refuse a config."""
        for warning in warnings:
            self._context.host.log("warning", f"config: {warning}")

    def scale_checked(self, wanted: dict[str, int], then: Callable[[str], None]) -> None:
        """Call `then` with "", or with why there cannot be so many: a file belongs to one instance only.

        The call comes at once, unless some task's log has a path of its own. Then an errand looks at the files first.
        """
        tasks = self._context.config.tasks
        if max(wanted.values()) <= 1 or all(task.log.to in _NO_PATHS for task in tasks.values()):
            then("")
            return
        config = scales.scaled(self._context.config, wanted)
        self._context.errand(lambda done: then(done.error or "; ".join(done.value)), offloaded.clashes, config)

    def scale(self, task: str, replicas: int, by: str) -> None:
        """Set another number of instances. It holds until the config has another number."""
        self._scales[task] = replicas
        self._context.config = scales.scaled(self.written, self._scales)
        self._context.journaling.facts.append(self._record())
        now = self._context.host.now()
        reload.redefine(self._context.fleet, self._context.config.tasks[task], by, now)
        self._context.fleet.connect(self._context.config)
        manifest.publish(self._context)
        self._context.fleet.propagate(now)


def _plan_json(plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "added": list(plan.added),
        "removed": list(plan.removed),
        "changed": {name: list(keys) for name, keys in plan.changed.items()}
        | {f"@{g}": ["limits"] for g in plan.limited}
        | {f"pool {name}": ["slots"] for name in plan.pools},
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
            ("changed", (*plan.changed, *(f"@{g}" for g in plan.limited), *(f"pool {name}" for name in plan.pools))),
            ("restarted", plan.restarted),
            ("at the next start only", plan.at_next_start),
        )
        if names
    ]
    return "; ".join(parts) or "no change"
