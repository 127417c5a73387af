"""Retry failed calls to the machine, at longer and longer intervals. Log each failure once.

An error of a look-up (`lookup`) must not end the supervisor, and is not an answer. So the caller registers here the
function that must be called again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from supervisor.core.immutable import immutable
from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.interface import Occurrence

FIRST, LAST = 0.1, 5.0
"""Seconds between two attempts: doubled each time."""

T = TypeVar("T", bound=Occurrence)


@immutable
class Open:
    """One thing that has failed so far."""

    attempt: Callable[[], Sequence[Occurrence]]
    at: float  # monotonic seconds of the next attempt
    interval: float


class Retries:
    """All attempts that will be tried again, by the name that the log gives them."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        """`log(level, text)`."""
        self._log = log
        self._open: dict[str, Open] = {}

    def attempt(self, what: str, attempt: Callable[[], Sequence[T]]) -> list[T]:
        """Call it now, and again later as long as it raises OSError. Returns the events of a call that succeeded.

        Args:
            what: the purpose of the call, as a verb with its object: "look for processes of web:1". Names the attempt.
            attempt: what to call. It may be called any number of times.
        """
        before = self._open.get(what)
        try:
            happened = attempt()
        except OSError as error:
            self.later(what, attempt, error)
            return []
        if self._open.get(what) is before:  # else it has asked for another attempt itself
            self.done(what)
        return list(happened)

    def later(self, what: str, attempt: Callable[[], Sequence[Occurrence]], error: OSError) -> None:
        """Register an attempt that has failed: call it again in a moment."""
        before = self._open.get(what)
        interval = min(before.interval * 2, LAST) if before else FIRST
        if before is None:
            self._log("warning", f"cannot {what}: {in_words(error)}; tried again until it works")
        self._open[what] = Open(attempt, clock.now() + interval, interval)

    def done(self, what: str) -> None:
        """Forget an attempt that has succeeded, or is no longer needed."""
        if self._open.pop(what, None):
            self._log("info", f"works again: {what}")

    def next_deadline(self) -> float | None:
        """Return the moment at which the next attempt is due."""
        return min((one.at for one in self._open.values()), default=None)

    def due(self, now: float) -> list[Occurrence]:
        """Try all that are due."""
        due = [(what, one.attempt) for what, one in self._open.items() if one.at <= now]
        return [event for what, attempt in due for event in self.attempt(what, attempt)]
