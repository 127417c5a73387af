"""Write lines for the operator to stderr, without blocking. Count the lines that stderr cannot take; report them later.

Under the journal each line begins with its priority ("<4>", sd-daemon(3)), elsewhere with the time.
"""

from __future__ import annotations

import os
import select

from supervisor.core.text import visible
from supervisor.host.clock import stamp

LEVELS = {"debug": 7, "info": 6, "warning": 4, "error": 3}
"""Names and syslog priorities, the least important first."""

ATOMIC = 4096
"""PIPE_BUF: a pipe that poll(2) calls writable takes this much without blocking."""


class Log:
    """A log that writes lines at least as important as `level`."""

    def __init__(self, fd: int = 2, level: str = "info") -> None:
        self.level = level
        self._fd = fd
        self._journal = "JOURNAL_STREAM" in os.environ
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._dropped = 0

    def write(self, level: str, text: str) -> None:
        """Write one line, or none."""
        if LEVELS[level] > LEVELS[self.level]:
            return
        if self._dropped and self._put("warning", f"{self._dropped} lines of this log were dropped: stderr was full"):
            self._dropped = 0
        if not self._put(level, text):
            self._dropped += 1

    def pass_on(self, line: bytes) -> None:
        """Write a line that another process has made. Drop it when stderr cannot take it now."""
        if not self._send(line[: ATOMIC - 1] + b"\n"):
            self._dropped += 1

    def _put(self, level: str, text: str) -> bool:
        head = f"<{LEVELS[level]}>" if self._journal else f"{stamp()} {level}: "
        line = (head + visible(text.replace("\n", " "))).encode(errors="replace")[: ATOMIC - 1] + b"\n"
        return self._send(line)

    def _send(self, line: bytes) -> bool:
        try:
            if not any(events & select.POLLOUT for _, events in self._poll.poll(0)):
                return False
            os.write(self._fd, line)
        except OSError:
            return False
        return True
