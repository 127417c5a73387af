"""Write to the journal what the next supervisor needs, and handle a failure of that write.

The facts of one turn are one write. It comes before any act that depends on them. The write fails if the runtime
directory is full or gone. Then the parent does the following:

- It lets no new run go. The next supervisor would start a run again that has no record.
- It lets living runs go on, and carries out stops.
- It tries the write again every second. A request (`supctl stop`) has to reach the journal, also when nothing else
  happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supervisor.core.states import State
from supervisor.store.journal import record_of

if TYPE_CHECKING:
    from supervisor.core.roster import Change
    from supervisor.host.interface import Host

SHUTDOWN = "fleet shutdown"
"""The name of the fact that the supervisor was shutting down."""

AGAIN = 1.0
"""Seconds between two tries to write what could not be written."""


class Journaling:
    """The journal as the parent sees it."""

    def __init__(self, host: Host) -> None:
        self.facts: list[dict[str, Any]] = []  # of the fleet; they are written with the next records
        self.trouble = ""  # why the last write failed; "" when it did not
        self._again: float | None = None  # when to try once more
        self._host = host

    def write(self, changes: Iterable[Change], now: float) -> None:
        """Write the newest state of every instance that has changed. `trouble` has the error if that fails."""
        newest = {change.old.key: change.new for change in changes if change.new is not change.old or change.new.run}
        # Failed instances come last: a torn write must not have the give-up without its consequences.
        ordered = sorted(newest.items(), key=lambda item: bool(item[1] and item[1].state is State.FAILED))
        records = [record_of(one) if one else {"instance": key, "gone": True} for key, one in ordered]
        facts, self.facts = self.facts, []
        if records or facts:
            self._remember([*facts, *records], now)

    def tried(self, now: float) -> str:
        """Try to write now. Return why that fails, or "" if it succeeds."""
        self._remember([{"fleet": "nothing", "gone": True}], now)
        return self.trouble

    def next_deadline(self) -> float | None:
        """See `Timed`: the next try of a write that has failed."""
        return self._again

    def due(self, now: float) -> None:
        """See `Timed`."""
        self._remember([], now)

    def _remember(self, records: list[dict[str, Any]], now: float) -> None:
        try:
            self._host.remember(records)
        except OSError as error:
            self._failed(f"cannot write the journal: {error.strerror or error}", now)
        else:
            self._succeeded()

    def _failed(self, text: str, now: float) -> None:
        if text != self.trouble:
            self._host.log("error", f"{text}; running tasks go on, but nothing is started until it can be written")
        self.trouble, self._again = text, now + AGAIN

    def _succeeded(self) -> None:
        if self.trouble:
            self._host.log("warning", "the journal can be written again")
        self.trouble, self._again = "", None
