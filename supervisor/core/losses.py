"""Decide which losses of output are news. Output is lost when it cannot be written: a full disk, a lost directory.

The scribe counts the losses of each instance as long as they last. Each growth of a sum is an event. People get an
alert for the first loss, and for a loss after an hour without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Loss = dict[str, Any]
"""As JSON has it: `bytes`, `lines`, `why`, and `at`, the time of the last loss."""

CALM = 3600.0
"""Seconds without a loss after which the next one causes an alert again."""

SHOWN = 86400.0
"""Seconds for which the `why` column mentions the last loss: in the morning people see the losses of the night."""


class NewLoss(NamedTuple):
    """The loss since the last look."""

    key: str
    bytes: int
    lines: int
    why: str
    first: bool

    @property
    def says(self) -> str:
        """Return the loss in words."""
        return f"{self.bytes} bytes ({self.lines} lines) of its output could not be written: {self.why}"


class Losses:
    """The known losses of every instance."""

    def __init__(self, moment: Callable[[str], float]) -> None:
        """`moment`: returns the monotonic moment of a wall-clock time."""
        self._known: dict[str, Loss] = {}
        self._moment = moment

    def restore(self, found: dict[str, Loss]) -> None:
        """Take over the losses that an earlier supervisor already knew."""
        self._known = found

    def add(self, found: dict[str, Loss]) -> list[NewLoss]:
        """Return the news of these sums."""
        before, self._known = self._known, found
        return [self._news(key, before.get(key), loss) for key, loss in found.items() if loss != before.get(key)]

    def _news(self, key: str, before: Loss | None, loss: Loss) -> NewLoss:
        if before is None or loss["bytes"] < before["bytes"]:  # the scribe has begun a new count
            return NewLoss(key, loss["bytes"], loss["lines"], loss["why"], first=True)
        first = self._moment(loss["at"]) - self._moment(before["at"]) >= CALM
        return NewLoss(key, loss["bytes"] - before["bytes"], loss["lines"] - before["lines"], loss["why"], first)

    def of(self, key: str) -> Loss | None:
        """Return the total loss of an instance."""
        return self._known.get(key)

    def describe(self, key: str, now: float) -> str:
        """Return the words for the `why` column; empty when there was no recent loss."""
        loss = self._known.get(key)
        if loss is None or now - self._moment(loss["at"]) >= SHOWN:
            return ""
        return f"{loss['bytes']} bytes of its output dropped, the last at {loss['at']}: {loss['why']}"
