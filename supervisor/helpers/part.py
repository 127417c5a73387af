"""What @scribe is made of: parts, which share one process, one loop and one thread.

A part registers its descriptors, has at most one moment at which it wants to be woken, and can come to an end.
Everything that it is asked to do is bounded: a part that has more to do says so by a deadline that is over, and gets
its turn again after the others had theirs.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Protocol

Reader = Callable[[int], None]
"""Called with the epoll events of a descriptor."""

LONGEST = 86400.0
"""Seconds of one sleep: epoll takes no more than 24 days."""


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


class Loop:
    """Descriptors, and who reads them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}

    def watch(self, fd: int, reader: Reader, mask: int = select.EPOLLIN) -> None:
        """Has `reader(events)` called whenever one of the events of `mask` is there."""
        if fd in self._readers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._readers[fd] = reader

    def unwatch(self, fd: int) -> None:
        """Call it before the descriptor is closed."""
        if self._readers.pop(fd, None):
            self._epoll.unregister(fd)

    def turn(self, parts: Sequence[Part], now: Callable[[], float], *, wait: bool = True) -> None:
        """Sleeps until something happens or somebody's deadline is over, and lets everybody concerned have a turn."""
        moments = [moment for part in parts if (moment := part.deadline()) is not None]
        timeout = min(max(0.0, min(moments) - now()), LONGEST) if moments else None
        for fd, events in self._epoll.poll(timeout if wait else 0):
            reader = self._readers.get(fd)  # an earlier reader of this turn may have closed it
            if reader:
                reader(events)
        for part in parts:
            moment = part.deadline()
            if moment is not None and moment <= now():
                part.due(now())
