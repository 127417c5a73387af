"""Queue the alerts for `notify_command`: one command at a time, not too often, with a limited size.

- The queue sends the first alert at once. It sends those of the next half minute together, as one message.
- The queue is bounded. When it is full, it drops the oldest alert and counts it. The next message states the count.
- When a command fails, the queue tries the message again with increasing delays, together with newer alerts. In the
  end it drops and counts the message, too.

`records` has every alert that is not known to be delivered, also those that are being sent. The next supervisor begins
with them. So each alert is sent at least once. It is sent twice, with the same `id`, when the supervisor dies while
the command runs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from supervisor.core.alerts import Notice, count, is_alert

PAUSE = 30.0
"""Seconds from the start of a command to that of the next one."""

KEPT = 50
"""The maximum number of waiting alerts. People still read a mail of fifty lines."""

TRIES = 4
"""The failed commands in a row, after 30, 60 and 120 s, after which the queue drops a message."""


class AlertQueue:
    """The alerts that are not delivered yet."""

    def __init__(self) -> None:
        self.changed = False  # since `records` was last called
        self.failures = 0  # commands that failed in a row
        self._waiting: list[Notice] = []
        self._under_way: list[Notice] = []
        self._suppressed: Counter[str] = Counter()
        self._not_before = 0.0

    @property
    def busy(self) -> bool:
        """Whether any alert waits or is being sent."""
        return bool(self._waiting or self._under_way)

    def put(self, notice: Notice) -> None:
        """Add an alert."""
        self.changed = True
        self._waiting.append(notice)
        if len(self._waiting) > KEPT:
            self._suppressed += count([self._waiting.pop(0)])

    def next_deadline(self, *, hurry: bool) -> float | None:
        """Return when `take` has something. `hurry`: there is no later, so send everything as soon as possible."""
        if self._under_way or not self._waiting:
            return None
        return 0.0 if hurry else self._not_before

    def take(self, now: float, *, hurry: bool) -> tuple[list[Notice], dict[str, int]] | None:
        """Return the alerts to send now, and how many were suppressed. The caller must call `done` after it."""
        moment = self.next_deadline(hurry=hurry)
        if moment is None or moment > now:
            return None
        self._under_way, self._waiting = self._waiting, []
        self._not_before = now + PAUSE * 2 ** min(self.failures, TRIES)
        return self._under_way, dict(self._suppressed)

    def done(self, *, ok: bool, hurry: bool) -> None:
        """Note that the command has ended."""
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
        """Drop all alerts: there is no receiver any more."""
        self.changed = self.changed or self.busy
        self._waiting, self._under_way = [], []
        self._suppressed.clear()

    def records(self) -> dict[str, Any]:
        """Return the content of the queue for the journal."""
        self.changed = False
        return {"notices": [*self._under_way, *self._waiting], "suppressed": dict(self._suppressed)}

    def restore(self, records: dict[str, Any]) -> None:
        """Take over what an earlier supervisor had not delivered; leave out what is no alert."""
        notices, suppressed = records.get("notices"), records.get("suppressed")
        if isinstance(notices, list):
            self._waiting = [*filter(is_alert, notices[-KEPT:]), *self._waiting]
        if isinstance(suppressed, dict):
            self._suppressed.update({what: one for what, one in suppressed.items() if isinstance(one, int)})
