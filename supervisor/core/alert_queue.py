"""The queue before `notify_command`: one command at a time, not too often, never too much.

The first notice goes out at once; what comes within the next half minute goes out together, as one message. The queue
is bounded: of what does not fit the oldest is dropped, counted, and said in the next message. A message whose command
failed is tried again, later and later, together with what has come since; then it is dropped and counted, too.

`records` has everything that is not known to be delivered, also what is under way: the next supervisor begins with it.
So a notice is told at least once, and twice when the supervisor dies while its command runs; its `id` is the same then.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from supervisor.core.notices import Notice, count

PAUSE = 30.0
"""Seconds from the start of a command to that of the next one."""

KEPT = 50
"""Notices that wait. A mail of fifty lines is still read."""

TRIES = 4
"""Commands that fail in a row, after 30, 60 and 120 s, until a message is given up."""


class Outbox:
    """Notices that are to be told."""

    def __init__(self) -> None:
        self.changed = False  # since `records` was last called
        self.failures = 0  # commands that failed in a row
        self._waiting: list[Notice] = []
        self._under_way: list[Notice] = []
        self._suppressed: Counter[str] = Counter()
        self._not_before = 0.0

    @property
    def busy(self) -> bool:
        """Whether anything waits or is under way."""
        return bool(self._waiting or self._under_way)

    def put(self, notice: Notice) -> None:
        """One more."""
        self.changed = True
        self._waiting.append(notice)
        if len(self._waiting) > KEPT:
            self._suppressed += count([self._waiting.pop(0)])

    def next_deadline(self, *, hurry: bool) -> float | None:
        """When `take` has something; `hurry`: there is no later, everything goes out as soon as it can."""
        if self._under_way or not self._waiting:
            return None
        return 0.0 if hurry else self._not_before

    def take(self, now: float, *, hurry: bool) -> tuple[list[Notice], dict[str, int]] | None:
        """What is to be told now, and how many were suppressed; `done` has to follow."""
        moment = self.next_deadline(hurry=hurry)
        if moment is None or moment > now:
            return None
        self._under_way, self._waiting = self._waiting, []
        self._not_before = now + PAUSE * 2 ** min(self.failures, TRIES)
        return self._under_way, dict(self._suppressed)

    def done(self, *, ok: bool, hurry: bool) -> None:
        """The command has ended."""
        self.changed = True
        told, self._under_way = self._under_way, []
        if ok:
            self.failures = 0
            self._suppressed.clear()
            return
        self.failures += 1
        if hurry or self.failures % TRIES == 0:
            self._suppressed += count(told)
            return
        everything = [*told, *self._waiting]
        self._suppressed += count(everything[:-KEPT])
        self._waiting = everything[-KEPT:]

    def clear(self) -> None:
        """Nobody is to be told any more."""
        self.changed = self.changed or self.busy
        self._waiting, self._under_way = [], []
        self._suppressed.clear()

    def records(self) -> dict[str, Any]:
        """For the journal."""
        self.changed = False
        return {"notices": [*self._under_way, *self._waiting], "suppressed": dict(self._suppressed)}

    def recall(self, records: dict[str, Any]) -> None:
        """What an earlier supervisor had not got rid of."""
        self._waiting = [*records["notices"][-KEPT:], *self._waiting]
        self._suppressed.update(records["suppressed"])
