"""Output that could not be written (a full disk, a lost directory): what of it is news.

The scribe counts per instance, and goes on counting as long as it lasts. Each time that a sum has grown is an event;
people are told of the first one, and again when nothing had been lost for an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Loss = dict[str, Any]
"""As JSON has it: `bytes`, `lines`, `why`, and `at`, the time of the last loss."""

CALM = 3600.0
"""Seconds without a loss after which the next one is told to people again."""

SHOWN = 86400.0
"""Seconds for which the `why` column mentions the last loss: whoever looks in the morning sees the night."""


class News(NamedTuple):
    """What was lost since the last look."""

    key: str
    bytes: int
    lines: int
    why: str
    first: bool

    @property
    def says(self) -> str:
        """In words."""
        return f"{self.bytes} bytes ({self.lines} lines) of its output could not be written: {self.why}"


class Losses:
    """What is known of every instance."""

    def __init__(self, moment: Callable[[str], float]) -> None:
        """`moment`: the monotonic moment of a time."""
        self._known: dict[str, Loss] = {}
        self._moment = moment

    def recall(self, found: dict[str, Loss]) -> None:
        """What an earlier supervisor was told already."""
        self._known = found

    def see(self, found: dict[str, Loss]) -> list[News]:
        """What is new of these sums."""
        before, self._known = self._known, found
        return [self._news(key, before.get(key), loss) for key, loss in found.items() if loss != before.get(key)]

    def _news(self, key: str, before: Loss | None, loss: Loss) -> News:
        if before is None or loss["bytes"] < before["bytes"]:  # it is counted afresh
            return News(key, loss["bytes"], loss["lines"], loss["why"], first=True)
        first = self._moment(loss["at"]) - self._moment(before["at"]) >= CALM
        return News(key, loss["bytes"] - before["bytes"], loss["lines"] - before["lines"], loss["why"], first)

    def of(self, key: str) -> Loss | None:
        """All that an instance has lost."""
        return self._known.get(key)

    def note(self, key: str, now: float) -> str:
        """The words for the `why` column; empty when nothing was lost lately."""
        loss = self._known.get(key)
        if loss is None or now - self._moment(loss["at"]) >= SHOWN:
            return ""
        return f"{loss['bytes']} bytes of its output dropped, the last at {loss['at']}: {loss['why']}"
