"""The one place where the supervisor sleeps: epoll over descriptors, nothing else, and no thread.

Signals arrive as bytes in a pipe (signal.set_wakeup_fd), so they are one more descriptor.
"""

from __future__ import annotations

import os
import signal

from supervisor.host.descriptors import Descriptors
from supervisor.host.interface import Occurrence, Reader


class Loop(Descriptors[Reader]):
    """The parent's."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0  # how often it has slept

    def wait(self, timeout: float | None) -> list[Occurrence]:
        """Sleeps up to `timeout` seconds (None: for ever) and returns what occurred."""
        occurred: list[Occurrence] = []
        self.turns += 1
        for reader, events in self.ready(timeout):
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

    def hold(self) -> None:
        """No more are delivered; what has come and was not read yet waits in the kernel again, also over an exec."""
        numbers = [signal.Signals[name] for name in self.NAMES]
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for name in self.read():
            os.kill(os.getpid(), signal.Signals[name])

    def release(self) -> None:
        """They are delivered: a program comes up with them blocked (`app.supervise`), as nobody could obey yet."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.Signals[name] for name in self.NAMES])

    def read(self) -> set[str]:
        """What has arrived since the last call."""
        try:
            numbers = os.read(self.fd, 65536)
        except BlockingIOError:
            return set()
        return {signal.Signals(number).name for number in numbers}
