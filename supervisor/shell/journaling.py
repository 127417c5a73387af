"""What the next supervisor has to know, and what follows when it cannot be written.

The facts of one turn are one write, before anything that depends on them is done. If that write fails (the runtime
directory is full, or gone), no new run is let go: a run that no record tells of would be started a second time by the
next supervisor. What runs goes on, stops are carried out, and the write is tried again every second, because wishes
(a `supctl stop`) have to reach the journal also when nothing else happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supervisor.core.states import State
from supervisor.store.records import record_of

if TYPE_CHECKING:
    from supervisor.core.fleet import Change
    from supervisor.host.interface import Host

AGAIN = 1.0
"""Seconds between two tries to write what could not be written."""


class Memory:
    """The journal as the parent sees it."""

    def __init__(self, host: Host) -> None:
        self.facts: list[dict[str, Any]] = []  # of the fleet; they are written with the next records
        self.trouble = ""  # why the last write failed; "" when it did not
        self.again: float | None = None  # when to try once more
        self._host = host

    def write(self, changes: Iterable[Change], now: float) -> None:
        """Remembers the newest state of every instance that has changed. Failure is told by `trouble`."""
        newest = {change.old.key: change.new for change in changes if change.new is not change.old or change.new.run}
        # What is failed comes last: a torn write must not have the give-up without what follows from it.
        ordered = sorted(newest.items(), key=lambda item: bool(item[1] and item[1].state is State.FAILED))
        records = [record_of(one) if one else {"instance": key, "gone": True} for key, one in ordered]
        facts, self.facts = self.facts, []
        if not (records or facts) and (self.again is None or self.again > now):
            return
        try:
            self._host.remember([*facts, *records])
        except OSError as error:
            self._failed(f"cannot write the journal: {error.strerror or error}", now)
        else:
            self._succeeded()

    def tried(self, now: float) -> str:
        """Whether anything can be written, tried at this moment. Returns why not, "" when it can."""
        try:
            self._host.remember([{"fleet": "nothing", "gone": True}])
        except OSError as error:
            self._failed(f"cannot write the journal: {error.strerror or error}", now)
        else:
            self._succeeded()
        return self.trouble

    def _failed(self, text: str, now: float) -> None:
        if text != self.trouble:
            self._host.log("error", f"{text}; what runs goes on, and nothing is started until it can be written")
        self.trouble, self.again = text, now + AGAIN

    def _succeeded(self) -> None:
        if self.trouble:
            self._host.log("warning", "the journal can be written again")
        self.trouble, self.again = "", None
