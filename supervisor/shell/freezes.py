"""Freeze and thaw, hold and release, and keep the freezes and the holds. `core.freeze` says what a freeze forbids.

Freezes have two origins:

- `supctl freeze` and the supervisor itself. They take effect at once. Then they are written to the journal (for a
  crash) and to the state directory (for a boot).
- Lines of the config.

Holds (`supctl schedule --hold`) are kept in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from supervisor.core.definition import Config
from supervisor.core.fleet import kept_freezes
from supervisor.core.freeze import CONFIG, HOLD, KEPT, SUPCTL, Freeze
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance
from supervisor.host.interface import Done
from supervisor.shell import offloaded
from supervisor.store.freezes import NOTHING, Kept, usable

if TYPE_CHECKING:
    from supervisor.shell.alerts import Alerts
    from supervisor.shell.context import Context


class Freezes:
    """Every freeze of one supervisor."""

    def __init__(self, context: Context, alerts: Alerts) -> None:
        self._context = context
        self._alerts = alerts
        self._fleet, self._host, self._announcer = context.fleet, context.host, context.announcer
        self._saving = False  # a write of the freezes is under way
        self._waiting: list[Callable[[Done], None]] = []  # callbacks that wait for the next write
        self._count = 0  # the number of the last change that is kept

    def freeze(self, freezes: Iterable[Freeze], then: Callable[[Done], None]) -> None:
        """Freeze at once. Call `then` when the freezes are on the disk, or cannot be written."""
        self._context.gates_changed = True
        for freeze in freezes:
            self._fleet.freeze(freeze, self._host.now())
            self._announcer.frozen(freeze)
            self._alerts.frozen(freeze)
        self._save(then)

    def thaw(self, freezes: Iterable[Freeze], by: str, then: Callable[[Done], None] | None = None) -> list[Instance]:
        """Undo freezes. Return the instances that start because of that."""
        self._context.gates_changed = True
        released: list[Instance] = []
        for freeze in freezes:
            now_free = self._fleet.thaw((freeze,), self._host.now())
            released += now_free
            self._announcer.thawed(freeze, by, now_free)
            self._alerts.thawed(freeze, by)
        self._save(then or _ignored)
        return released

    def hold(self, holds: Iterable[Freeze], then: Callable[[Done], None]) -> None:
        """Hold schedules at once. Call `then` when the holds are on the disk, or cannot be written."""
        self._context.gates_changed = True
        for hold in holds:
            self._fleet.hold(hold)
            self._announcer.held(hold)
        self._save(then)

    def release(self, holds: Iterable[Freeze], by: str, then: Callable[[Done], None] | None = None) -> None:
        """Undo holds."""
        self._context.gates_changed = True
        for hold in holds:
            self._fleet.release((hold,))
            self._announcer.released(hold, by)
        self._save(then or _ignored)

    def _save(self, then: Callable[[Done], None]) -> None:
        """Write the freezes. One write runs at a time, so that an older one never comes after a newer one."""
        self._count += 1
        self._context.journaling.facts.append({"fleet": "freezes", **self._records()})
        self._waiting.append(then)
        if not self._saving:
            self._save_now()

    def _save_now(self) -> None:
        waiting, self._waiting, self._saving = self._waiting, [], True

        def kept(done: Done) -> None:
            self._saving = False
            for then in waiting:
                then(done)
            if self._waiting:
                self._save_now()

        self._context.errand(kept, offloaded.save_freezes, self._context.settings.state_dir, self._records())

    def _records(self) -> Kept:
        names = ("scope", "source", "by", "since", "until", "reason")
        both = {"freezes": kept_freezes(self._fleet.freezes), "holds": self._fleet.holds}
        lists = {kind: [{name: getattr(one, name) for name in names} for one in some] for kind, some in both.items()}
        return {"count": self._count, **lists}

    def restore(self, journal: Kept | None, disk: Kept | None) -> None:
        """Take over an earlier supervisor's freezes from the newer of the two. Either may have been unwritable."""
        if journal and not usable(journal):
            self._host.log("error", "the journal's record of the freezes is not usable; those on the disk are used")
            journal = None
        newest = max(filter(None, (journal, disk)), key=lambda kept: int(kept["count"]), default=NOTHING)
        self._count = newest["count"]
        for entry in newest["freezes"]:
            self._fleet.freeze(self._from_record(entry), self._host.now())
        for entry in newest.get("holds", ()):
            self._fleet.hold(replace(self._from_record(entry), source=HOLD))
        if newest is not journal and not newest.get("unknown"):  # the disk may not answer the next supervisor
            self._context.journaling.facts.append({"fleet": "freezes", **self._records()})

    def _from_record(self, entry: dict[str, Any]) -> Freeze:
        until = entry.get("until")
        expires = self._host.moment(until) if until else None
        source = entry.get("source")
        source = source if source in KEPT else SUPCTL  # an older version kept no source
        return Freeze(entry["scope"], source, entry["by"], entry["since"], entry.get("reason", ""), until, expires)

    def clock_set(self) -> None:
        """Adapt the ends of freezes to a clock that was set. Each ends at the time that was shown."""
        for freeze in self._fleet.freezes:
            if freeze.until:
                self._fleet.freeze(replace(freeze, expires=self._host.moment(freeze.until)), self._host.now())
        for hold in self._fleet.holds:
            if hold.until:
                self._fleet.hold(replace(hold, expires=self._host.moment(hold.until)))

    def apply_config(self, config: Config) -> None:
        """Take over the freezes in the config. The new ones come before the old ones go, so that there is no gap."""
        self._context.gates_changed = True
        now = self._host.now()
        old = {freeze.scope: freeze for freeze in self._fleet.freezes if freeze.source == CONFIG}
        new = {item.scope: item for item in config.freezes}
        for scope, item in new.items():
            if scope not in old:
                freeze = Freeze(scope, CONFIG, item.where, self._host.stamp())
                self._fleet.freeze(freeze, now)
                self._announcer.frozen(freeze)
                self._alerts.frozen(freeze)
            elif old[scope].by != item.where:  # the line has moved
                self._fleet.freeze(replace(old[scope], by=item.where), now)
                self._fleet.thaw((old[scope],), now)
        for scope in old.keys() - new.keys():
            released = self._fleet.thaw((old[scope],), now)
            self._announcer.thawed(old[scope], "the config", released)
            self._alerts.thawed(old[scope], "the config")


def _ignored(_: Done) -> None:
    """Do nothing: no client waits for this write."""
