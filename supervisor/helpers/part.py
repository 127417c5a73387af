"""What @scribe is made of: parts, which share one process, one loop and one thread.

A part registers its descriptors, has at most one moment at which it wants to be woken, and can come to an end.
Everything that it is asked to do is bounded: a part that has more to do says so by a deadline that is over, and gets
its turn again after the others had theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from supervisor.host.descriptors import Descriptors

Reader = Callable[[int], None]
"""Called with the epoll events of a descriptor."""


class Part(Protocol):
    """One of the things that @scribe does."""

    def attach(self, loop: Loop) -> None:
        """Registers its descriptors. Called once, before anything else."""

    def planned(self, plan: dict[str, object]) -> None:
        """The parent's plan, at first and whenever it changes (`store.plan` says what is in it)."""

    def replaced(self) -> None:
        """The runtime directory is another one than at first: what was open in it is there no longer."""

    def deadline(self) -> float | None:
        """When it wants to be woken though nothing happens, monotonic; None: it does not."""

    def due(self, now: float) -> None:
        """Its deadline is over."""

    def finish(self) -> None:
        """The end, at SIGTERM: what has come so far is written, then everything is closed."""


class Loop(Descriptors[Reader]):
    """The scribe's."""

    def turn(self, parts: Sequence[Part], now: Callable[[], float], *, wait: bool = True) -> None:
        """Sleeps until something happens or somebody's deadline is over, and lets everybody concerned have a turn."""
        moments = [moment for part in parts if (moment := part.deadline()) is not None]
        timeout = max(0.0, min(moments) - now()) if moments else None
        for reader, events in self.ready(timeout if wait else 0):
            reader(events)
        for part in parts:
            moment = part.deadline()
            if moment is not None and moment <= now():
                part.due(now())
