"""Send messages to the service manager with sd_notify(3), without a library, and without blocking.

When its socket is full, the notifier keeps the message and sends it a moment later. If READY=1 were lost, the start
would hang for ever.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from supervisor.host import clock
from supervisor.host.deadlines import Alarm, nearest, overdue

if TYPE_CHECKING:
    from supervisor.host.interface import Occurrence

AGAIN = 0.1
"""Seconds until a message that could not be sent is tried again."""

EXTEND_EVERY = 10.0
"""Seconds between two requests for more time while the start lasts."""

EXTENSION = 30.0
"""Seconds that each request asks for. The manager gives up a supervisor that hangs in its start after this time."""

KEPT = 64
"""The maximum number of datagrams that wait; beyond it, the oldest are dropped."""


class Notifier:
    """A datagram socket to $NOTIFY_SOCKET, or nothing when there is no service manager."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._late: list[bytes] = []
        self._every = self.watchdog()
        self._beat = Alarm(self._feed, None if self._every is None else 0.0)
        self._extension = Alarm(self._extend)
        self._retry = Alarm(lambda _: self.again())
        self._alarms = (self._beat, self._extension, self._retry)
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._extension.at = 0.0

    @property
    def late(self) -> bool:
        """Whether a message waits to be sent."""
        return bool(self._late)

    def send(self, *assignments: str) -> None:
        """Send "READY=1", "STATUS=…" and the like in one datagram. A manager that does not listen is no error."""
        if self._socket:
            self._late = [*self._late, "\n".join(assignments).encode(errors="replace")][-KEPT:]
            if "READY=1" in assignments or "STOPPING=1" in assignments:
                self._extension.at = None
            self.again()

    def next_deadline(self) -> float | None:
        """See `Timed`: a sign of life, a request for more time, or a message that could not be sent."""
        return nearest(self._alarms)

    def due(self, now: float) -> list[Occurrence]:
        """See `Timed`."""
        for alarm in overdue(self._alarms, now):
            alarm.due(now)
        return []

    def _feed(self, now: float) -> None:
        """Give a sign of life: the loop turns."""
        self.send("WATCHDOG=1")
        self._beat.at = now + (self._every or 0.0)

    def _extend(self, now: float) -> None:
        """Ask for more time to start: start-up tasks may take as long as their own limits allow."""
        self._extension.at = now + EXTEND_EVERY
        self.send(f"EXTEND_TIMEOUT_USEC={int(EXTENSION * 1e6)}")

    def again(self) -> None:
        """Send the messages that could not be sent before."""
        if self._socket is None:
            return
        try:
            while self._late:
                self._socket.sendto(self._late[0], self._address)
                del self._late[0]
        except BlockingIOError:
            self._retry.at = clock.now() + AGAIN
        except OSError:  # there is no listener
            self._late = []

    def hand(self, *assignments: str, fd: int) -> None:
        """Send assignments with a descriptor. Give up when they cannot be sent at once."""
        if self._socket:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
            with suppress(OSError):  # socket.send_fds leaves the address out, up to Python 3.12 at least
                self._socket.sendmsg(["\n".join(assignments).encode(errors="replace")], rights, 0, self._address)

    @staticmethod
    def watchdog() -> float | None:
        """Return the seconds between signs of life, half of the manager's limit (sd_watchdog_enabled(3)), or None."""
        micros = os.environ.get("WATCHDOG_USEC", "")
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return int(micros) / 2e6 if micros.isdigit() and mine and int(micros) else None
