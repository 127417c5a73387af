"""The one place where the supervisor sleeps: epoll over descriptors, nothing else, and no thread.

Signals arrive as bytes in a pipe (signal.set_wakeup_fd), so they are one more descriptor.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.deadlines import Alarm, first, overdue
from supervisor.host.descriptors import Descriptors
from supervisor.host.interface import Occurrence, Reader

REST = 0.5
"""Seconds without a look at a descriptor whose reader has failed. The kernel would report it as ready all the time."""


class Loop(Descriptors[Reader]):
    """The parent's loop. When a reader raises OSError, the loop calls it again later, and goes on with the others."""

    def __init__(self, log: Callable[[str, str], None] = lambda level, text: None) -> None:
        """`log(level, text)`."""
        super().__init__()
        self.turns = 0  # how often it has slept
        self._log = log
        self._waking = Alarm(self._listen_again)  # of the descriptors that rest
        self._complaint = ""

    def wait(self, timeout: float | None) -> list[Occurrence]:
        """Sleep up to `timeout` seconds (None: for ever) and return what occurred."""
        occurred: list[Occurrence] = []
        self.turns += 1
        if self._waking.at is not None:
            timeout = first((timeout, max(0.0, self._waking.at - clock.now())))
        for fd, reader, events in self.ready(timeout):
            try:
                occurred += reader(events)
            except OSError as error:
                self._failed(fd, error)
        for alarm in overdue((self._waking,), clock.now()):
            alarm.due(clock.now())
        return occurred

    def _failed(self, fd: int, error: OSError) -> None:
        """Handle a reader that has raised an error: call it again after a rest."""
        if in_words(error) != self._complaint:
            self._complaint = in_words(error)
            self._log("error", f"an event cannot be handled now: {self._complaint}; tried again until it works")
        self.suspend(fd)
        self._waking.at = clock.now() + REST

    def _listen_again(self, now: float) -> None:
        try:
            self.resume()
        except OSError:
            self._waking.at = now + REST


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
        ):  # other programs reopen their logs at the last two; this one ignores them
            signal.signal(signal.Signals[name], signal.SIG_IGN)

    def block(self) -> None:
        """Block the signals. Those that came and were not read wait in the kernel again, also over an exec."""
        numbers = [signal.Signals[name] for name in self.NAMES]
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for name in self.read():
            os.kill(os.getpid(), signal.Signals[name])

    def release(self) -> None:
        """Unblock the signals. `program.main.supervise` starts with them blocked, as they cannot be handled yet."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.Signals[name] for name in self.NAMES])

    def read(self) -> set[str]:
        """Return the signals that have arrived since the last call."""
        try:
            numbers = os.read(self.fd, 65536)
        except BlockingIOError:
            return set()
        return {signal.Signals(number).name for number in numbers}
