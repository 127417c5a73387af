"""Descriptors and their readers: the common base of the parent's loop and of @scribe's loop."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from supervisor.host import clock
from supervisor.host.inotify import Watch

Reader = TypeVar("Reader")

LONGEST = 86400.0
"""Seconds of one sleep. epoll takes no more than 24 days. One needless wake-up a day does no harm."""


FD_SETSIZE = 1024
"""The limit of select(2). Our epoll may be above it: a service manager can pass thousands of kept descriptors."""

POLL = 1.0
"""Seconds between two looks at directories that the kernel does not watch for us."""


class WatchEntry(Generic[Reader]):
    """A watch, its reader, and the interval at which the reader looks while the kernel reports nothing."""

    def __init__(self, watch: Watch, reader: Reader, every: float) -> None:
        self.watch, self.reader, self.every = watch, reader, every
        self.fd = -1  # what is in the epoll
        self.due: float | None = None  # the next look, while the kernel reports nothing


NOBODY = -1
"""In place of a descriptor: a reader that looks without the kernel."""


class Descriptors(Generic[Reader]):
    """An epoll(7), and a reader for each descriptor in it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self._masks: dict[int, int] = {}
        self._resting: set[int] = set()  # registered, but not in the epoll for a while
        self._entries: list[WatchEntry[Reader]] = []
        self._why = ""
        self.blind: Callable[[str], None] = lambda _: None
        """Called with why the kernel does not watch a directory for us; "" when it watches all of them again."""

    def add_watch(self, watch: Watch, reader: Reader, every: float = POLL) -> None:
        """Call the reader when a watch reports something, or every `every` seconds while the kernel refuses it."""
        self._entries.append(WatchEntry(watch, reader, every))

    def _next_poll(self) -> float | None:
        """Return the moment of the next look without the kernel; None while the kernel watches everything."""
        moments, why = [], ""
        for one in self._entries:
            if one.watch.fd != one.fd:
                self.watch(one.watch.fd, one.reader)
                one.fd = one.watch.fd
            if one.watch.why:
                why = why or one.watch.why
                one.due = clock.now() + one.every if one.due is None else one.due
                moments.append(one.due)
        if why != self._why:
            self._why = why
            self.blind(why)
        return min(moments, default=None)

    def _polled(self) -> Iterator[Reader]:
        """Yield the readers that must look now without the kernel. Ask the kernel again first, to miss nothing."""
        for one in self._entries:
            if one.due is not None and one.due <= clock.now():
                one.due = None
                one.watch.retry()
                yield one.reader

    def watch(self, fd: int, reader: Reader, mask: int = select.EPOLLIN) -> None:
        """Call the reader with the epoll events whenever one of the events of `mask` occurs."""
        if fd in self._masks and fd not in self._resting:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._resting.discard(fd)
        self._readers[fd], self._masks[fd] = reader, mask

    def unwatch(self, fd: int) -> None:
        """Remove a descriptor. Call this before it is closed: a child may still hold a copy of it."""
        self.suspend(fd)
        self._resting.discard(fd)
        self._readers.pop(fd, None)
        self._masks.pop(fd, None)

    def suspend(self, fd: int) -> None:
        """Take a descriptor out of the epoll until `resume`."""
        if fd in self._masks and fd not in self._resting:
            self._epoll.unregister(fd)
            self._resting.add(fd)

    def resume(self) -> None:
        """Put the descriptors that rest back into the epoll.

        Raises:
            OSError: no memory is left for some of them. Those continue to rest.
        """
        for fd in list(self._resting):
            self.watch(fd, self._readers[fd], self._masks[fd])

    def ready(self, timeout: float | None) -> Iterator[tuple[int, Reader, int]]:
        """Sleep up to `timeout` seconds (None: for ever). Yield descriptors, readers and events, in the kernel's order.

        epoll_wait(2) counts whole milliseconds, so a grace could end up to one millisecond too late. select(2) is more
        precise. It accepts an epoll descriptor like any other, as long as its number is small.
        """
        if (poll := self._next_poll()) is not None:
            timeout = min(LONGEST if timeout is None else timeout, max(0.0, poll - clock.now()))
        timeout = None if timeout is None else min(timeout, LONGEST)
        if timeout and self._epoll.fileno() < FD_SETSIZE:
            select.select((self._epoll,), (), (), timeout)
            timeout = 0
        for fd, events in self._epoll.poll(timeout):
            reader = self._readers.get(fd)  # an earlier reader of this turn may have closed it
            if reader:
                yield fd, reader, events
        for reader in self._polled():
            yield NOBODY, reader, 0
