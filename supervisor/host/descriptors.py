"""Descriptors and who reads them: what the parent's loop and that of @scribe have in common."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Generic, TypeVar

Reader = TypeVar("Reader")

LONGEST = 86400.0
"""Seconds of one sleep. epoll takes no more than 24 days; to wake up once a day for nothing harms nobody."""


FD_SETSIZE = 1024
"""What select(2) can take. Ours may be beyond: a service manager passes thousands of kept descriptors after a crash."""


class Descriptors(Generic[Reader]):
    """An epoll(7), and a reader for each descriptor in it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}

    def watch(self, fd: int, reader: Reader, mask: int = select.EPOLLIN) -> None:
        """Has the reader called with the epoll events whenever one of the events of `mask` is there."""
        if fd in self._readers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._readers[fd] = reader

    def unwatch(self, fd: int) -> None:
        """Must be called before the descriptor is closed: a child may still hold a copy of it."""
        if self._readers.pop(fd, None):
            self._epoll.unregister(fd)

    def ready(self, timeout: float | None) -> Iterator[tuple[Reader, int]]:
        """Sleeps up to `timeout` seconds (None: for ever); readers and events, in the order of the kernel.

        epoll_wait(2) counts whole milliseconds, and a grace would be over up to one of them too late. select(2) counts
        no such, and takes an epoll for a descriptor like others, as long as its number is small.
        """
        timeout = None if timeout is None else min(timeout, LONGEST)
        if timeout and self._epoll.fileno() < FD_SETSIZE:
            select.select((self._epoll,), (), (), timeout)
            timeout = 0
        for fd, events in self._epoll.poll(timeout):
            reader = self._readers.get(fd)  # an earlier reader of this turn may have closed it
            if reader:
                yield reader, events
