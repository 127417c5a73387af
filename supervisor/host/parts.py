"""The loop of a helper, and the parts of @scribe, which share one process, one loop and one thread.

A part of @scribe registers its descriptors, has at most one deadline, and can be ended. Each call of a part does a
bounded amount of work. A part with more work returns a deadline that is over. It gets its next turn after the other
parts had theirs.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Protocol

from supervisor.host.deadlines import Timed, nearest, overdue
from supervisor.host.descriptors import Descriptors

_SINCE = Struct("d")

Reader = Callable[[int], None]
"""Called with the epoll events of a descriptor."""


class Part(Timed[None], Protocol):
    """One of the jobs of @scribe."""

    def attach(self, loop: Loop) -> None:
        """Register its descriptors. Called once, before anything else."""

    def configure(self, manifest: dict[str, object]) -> None:
        """Take the parent's manifest, at first and after each change (`store.manifest` describes its content)."""

    def finish(self) -> None:
        """End, at SIGTERM: write the data that has come so far, then close everything."""


class Busy:
    """The moment since which a process is at work, in shared memory. Another process reads it, to notice a hang."""

    def __init__(self, fd: int = -1) -> None:
        """`fd` is a memory file (memfd_create(2)); -1: no other process reads the moment."""
        self._shared = mmap.mmap(fd, 8) if fd >= 0 else None
        self._at_work = True

    @property
    def since(self) -> float:
        """Return the monotonic moment; 0.0: the process rests."""
        return float(_SINCE.unpack(self._shared[:8])[0]) if self._shared else 0.0

    def works(self, now: float) -> None:
        """Note that its work begins, if it has not begun."""
        if self._shared and not self._at_work:
            self._at_work = True
            self._shared[:8] = _SINCE.pack(now)

    def rests(self) -> None:
        """Note that its work is done."""
        if self._shared and self._at_work:
            self._at_work = False
            self._shared[:8] = _SINCE.pack(0.0)

    def begins(self, now: float) -> None:
        """Note that the process was made, and its work begins."""
        self._at_work = False
        self.works(now)


class Loop(Descriptors[Reader]):
    """The loop of a helper."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = Busy()

    def turn(self, parts: Sequence[Timed[None]], now: Callable[[], float], *, wait: bool = True) -> None:
        """Sleep until something happens or a deadline is over. Give each part concerned a turn."""
        moment = nearest(parts)
        timeout = None if moment is None else max(0.0, moment - now())
        self.busy.rests()
        for _, reader, events in self.ready(timeout if wait else 0):
            self.busy.works(now())
            reader(events)
        for part in overdue(parts, now()):
            self.busy.works(now())
            part.due(now())
