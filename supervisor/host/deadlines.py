"""The protocol of everything that has a deadline, in the parent and in the helpers.

A part says when its next work is due, and has one method that does this work. A loop sleeps until the nearest deadline
of its parts. Then it calls the parts that are due. A part of parts does the same with its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Timed(Protocol[Result_co]):
    """A part that has at most one deadline."""

    def next_deadline(self) -> float | None:
        """Return the monotonic moment of its next work, even if nothing happens before; None: there is none."""

    def due(self, now: float) -> Result_co:
        """Do the work of its deadline, which is over. Call it only then."""


class Alarm(Generic[Result]):
    """A part that consists of one function, and of the moment at which to call it."""

    def __init__(self, act: Callable[[float], Result], at: float | None = None) -> None:
        self.at = at  # None: not before it is set
        self._act = act

    def no_later_than(self, moment: float) -> None:
        """Bring the call forward to a moment, if it would come later or not at all."""
        self.at = first((self.at, moment))

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self.at

    def due(self, now: float) -> Result:
        """See `Timed`."""
        self.at = None
        return self._act(now)


def first(moments: Iterable[float | None]) -> float | None:
    """Return the first of these moments; None: there is none."""
    return min((moment for moment in moments if moment is not None), default=None)


def nearest(parts: Iterable[Timed[object]]) -> float | None:
    """Return the nearest deadline of these parts."""
    return first(part.next_deadline() for part in parts)


def overdue(parts: Iterable[Timed[Result]], now: float) -> Iterator[Timed[Result]]:
    """Yield the parts whose deadline is over. Each is asked when the parts before it have done their work."""
    for part in parts:
        moment = part.next_deadline()
        if moment is not None and moment <= now:
            yield part
