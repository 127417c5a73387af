"""The one place where the supervisor sleeps: epoll over descriptors, nothing else, and no thread.

Signals arrive as bytes in a pipe (signal.set_wakeup_fd), so they are one more descriptor.
"""

from __future__ import annotations

import os
import select
import signal

from supervisor.host.interface import Occurrence, Reader

LONGEST = 86400.0
"""Seconds of one sleep. epoll takes no more than 24 days; to wake up once a day for nothing harms nobody."""


class Loop:
    """Descriptors and who reads them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self.turns = 0  # how often it has slept

    def watch(self, fd: int, reader: Reader, mask: int = select.EPOLLIN) -> None:
        """Has `reader(events)` called whenever one of the events of `mask` is there."""
        if fd in self._readers:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)
        self._readers[fd] = reader

    def unwatch(self, fd: int) -> None:
        """Must be called before the descriptor is closed: a child may still hold a copy of it."""
        if self._readers.pop(fd, None):
            self._epoll.unregister(fd)

    def wait(self, timeout: float | None) -> list[Occurrence]:
        """Sleeps up to `timeout` seconds (None: for ever) and returns what occurred, in the order of the kernel."""
        timeout = None if timeout is None else min(timeout, LONGEST)
        occurred: list[Occurrence] = []
        ready = self._epoll.poll(timeout)
        self.turns += 1
        for fd, events in ready:
            reader = self._readers.get(fd)  # an earlier reader of this turn may have closed it
            if reader:
                occurred += reader(events)
        return occurred


class Signals:
    """The signals that concern the supervisor, as names, in the order of arrival."""

    NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGCHLD")

    def __init__(self) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for name in self.NAMES:
            signal.signal(signal.Signals[name], lambda *_: None)
        for name in (
            "SIGPIPE",
            "SIGUSR1",
            "SIGUSR2",
        ):  # the last two are "reopen your logs" for others; here for nothing
            signal.signal(signal.Signals[name], signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.Signals[name] for name in self.NAMES])  # as we were started

    def hold(self) -> None:
        """No more are delivered; what has come and was not read yet waits in the kernel again, also over an exec."""
        numbers = [signal.Signals[name] for name in self.NAMES]
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for name in self.read():
            os.kill(os.getpid(), signal.Signals[name])

    def release(self) -> None:
        """As before."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.Signals[name] for name in self.NAMES])

    def read(self) -> set[str]:
        """What has arrived since the last call."""
        try:
            numbers = os.read(self.fd, 65536)
        except BlockingIOError:
            return set()
        return {signal.Signals(number).name for number in numbers}
