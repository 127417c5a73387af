"""The freeze switch as the shell sees it: where freezes come from, and where they are kept.

`core.freeze` says what a freeze forbids. Here: those of `supctl freeze` and of the supervisor itself, which take effect
at once and are then written to the journal (for a crash) and to the state directory (for a boot); and those of the
config's lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from supervisor import errands
from supervisor.core.definition import Config
from supervisor.core.fleet import kept_freezes
from supervisor.core.freeze import CONFIG, KEPT, SUPCTL, Freeze
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance
from supervisor.host.interface import Done
from supervisor.store.freezes import NOTHING, Kept, usable

if TYPE_CHECKING:
    from supervisor.parent import Parent


class Switch:
    """Every freeze of one supervisor."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._fleet, self._host, self._announce = parent.fleet, parent.host, parent.announce
        self._keeping = False  # a write of the freezes is under way
        self._keepers: list[Callable[[Done], None]] = []  # who waits for the next one
        self._count = 0  # of the last change that is kept

    def freeze(self, freezes: Iterable[Freeze], then: Callable[[Done], None]) -> None:
        """Freezes at once; `then` is called when that is on the disk, too, or cannot be."""
        self._parent.gates_moved = True
        for freeze in freezes:
            self._fleet.freeze(freeze, self._host.now())
            self._announce.frozen(freeze)
            self._parent.notices.frozen(freeze)
        self._keep(then)

    def thaw(self, freezes: Iterable[Freeze], by: str, then: Callable[[Done], None] | None = None) -> list[Instance]:
        """Undoes freezes. Returns the instances that start by it."""
        released: list[Instance] = []
        for freeze in freezes:
            now_free = self._fleet.thaw((freeze,), self._host.now())
            released += now_free
            self._announce.thawed(freeze, by, now_free)
            self._parent.notices.thawed(freeze, by)
        self._keep(then or _ignored)
        return released

    def _keep(self, then: Callable[[Done], None]) -> None:
        """One write at a time, so that an older one never comes after a newer one."""
        self._count += 1
        self._parent.memory.facts.append({"fleet": "freezes", **self._records()})
        self._keepers.append(then)
        if not self._keeping:
            self._keep_now()

    def _keep_now(self) -> None:
        keepers, self._keepers, self._keeping = self._keepers, [], True

        def kept(done: Done) -> None:
            self._keeping = False
            for then in keepers:
                then(done)
            if self._keepers:
                self._keep_now()

        self._parent.errand(kept, errands.keep_freezes, self._parent.running_settings.state_dir, self._records())

    def _records(self) -> Kept:
        names = ("scope", "source", "by", "since", "until", "reason")
        freezes = kept_freezes(self._fleet.freezes)
        return {"count": self._count, "freezes": [{name: getattr(one, name) for name in names} for one in freezes]}

    def recall(self, journal: Kept | None, disk: Kept | None) -> None:
        """Takes over what an earlier supervisor kept: the newer of the two, as either may not have been writable."""
        if journal and not usable(journal):
            self._host.log("error", "the record of the freezes is not usable and not trusted; those on the disk count")
            journal = None
        newest = max(filter(None, (journal, disk)), key=lambda kept: int(kept["count"]), default=NOTHING)
        self._count = newest["count"]
        for entry in newest["freezes"]:
            self._fleet.freeze(self._kept(entry), self._host.now())

    def _kept(self, entry: dict[str, Any]) -> Freeze:
        until = entry.get("until")
        expires = self._host.moment(until) if until else None
        source = entry.get("source")
        source = source if source in KEPT else SUPCTL  # none: kept by an older version
        return Freeze(entry["scope"], source, entry["by"], entry["since"], entry.get("reason", ""), until, expires)

    def clock_set(self) -> None:
        """A freeze ends at the time that people were told, whatever was done to the clock."""
        for freeze in self._fleet.freezes:
            if freeze.until:
                self._fleet.freeze(replace(freeze, expires=self._host.moment(freeze.until)), self._host.now())

    def follow(self, config: Config) -> None:
        """Takes over what the config's lines say, the new ones before the old ones go, so that there is no gap."""
        self._parent.gates_moved = True
        now = self._host.now()
        old = {freeze.scope: freeze for freeze in self._fleet.freezes if freeze.source == CONFIG}
        new = {item.scope: item for item in config.freezes}
        for scope, item in new.items():
            if scope not in old:
                freeze = Freeze(scope, CONFIG, item.where, self._host.stamp())
                self._fleet.freeze(freeze, now)
                self._announce.frozen(freeze)
                self._parent.notices.frozen(freeze)
            elif old[scope].by != item.where:  # the line has moved
                self._fleet.freeze(replace(old[scope], by=item.where), now)
                self._fleet.thaw((old[scope],), now)
        for scope in old.keys() - new.keys():
            released = self._fleet.thaw((old[scope],), now)
            self._announce.thawed(old[scope], "the config", released)
            self._parent.notices.thawed(old[scope], "the config")


def _ignored(_: Done) -> None:
    """Nobody waits for it."""
