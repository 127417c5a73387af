"""Notice that the parent stood still: SIGSTOP, a frozen cgroup or machine, no processor time.

There are two signs of a stall:

- a sleep ends much later than planned;
- work takes much longer than the processor time that it used.

A stall that ends before the sleep leaves no sign. So no sleep is longer than a share of the time until the next
deadline.
"""

from __future__ import annotations

import time

BOUND = 1.0
"""Seconds of delay that count as a stall. A busy machine delays a process by less."""

SHARE = 0.1
"""Longest sleep, as a share of the time until the next deadline: a stall of more than that is noticed."""


class Pulse:
    """The moment at which the parent last ran."""

    def __init__(self) -> None:
        self._ran: float | None = None
        self._used = 0.0
        self._slept_at = 0.0
        self._planned: float | None = None
        self._blocked = 0.0

    def sleep(self, now: float, until: float | None, deadline: float | None) -> float | None:
        """Return how long to sleep (None: for ever) until this moment, with this deadline ahead."""
        used = time.process_time()
        self._blocked = 0.0 if self._ran is None else now - self._ran - (used - self._used)
        left = None if until is None else max(0.0, until - now)
        if left is not None and deadline is not None:
            left = min(left, max(BOUND, SHARE * (deadline - now)))
        self._slept_at, self._planned = now, left
        return left

    def time_stood_still(self, now: float) -> float:
        """Return the seconds for which the parent stood still since the last call; 0.0: it did not."""
        slept = now - self._slept_at
        late = self._planned is not None and slept - self._planned > BOUND
        self._ran, self._used = now, time.process_time()
        return (self._blocked if self._blocked > BOUND else 0.0) + (slept if late else 0.0)
