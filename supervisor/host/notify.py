"""The service manager: sd_notify(3), spoken without a library, and without ever blocking.

When its socket is full, what was to be said is kept and said a moment later: a READY=1 that is lost would leave a
start hanging for ever.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

AGAIN = 0.1
"""Seconds until what could not be said is tried again."""

KEPT = 64
"""Datagrams that wait, at most; of those the oldest go."""


class Notifier:
    """A datagram socket to $NOTIFY_SOCKET, or nothing when there is no service manager."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._late: list[bytes] = []
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    @property
    def late(self) -> bool:
        """Whether something waits to be said."""
        return bool(self._late)

    def tell(self, *assignments: str) -> None:
        """Sends "READY=1", "STATUS=…" and the like in one datagram. A manager that does not listen is no error."""
        if self._socket:
            self._late = [*self._late, "\n".join(assignments).encode()][-KEPT:]
            self.again()

    def again(self) -> None:
        """Says what could not be said before."""
        if self._socket is None:
            return
        try:
            while self._late:
                self._socket.sendto(self._late[0], self._address)
                del self._late[0]
        except BlockingIOError:
            return
        except OSError:  # nobody is there
            self._late = []

    def hand(self, *assignments: str, fd: int) -> None:
        """The same with a descriptor; what cannot be sent at once is given up."""
        if self._socket:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
            with suppress(OSError):  # socket.send_fds leaves the address out, up to Python 3.12 at least
                self._socket.sendmsg(["\n".join(assignments).encode()], rights, 0, self._address)

    @staticmethod
    def watchdog() -> float | None:
        """Seconds between two signs of life: half of what the manager waits (sd_watchdog_enabled(3)), or None."""
        micros = os.environ.get("WATCHDOG_USEC", "")
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return int(micros) / 2e6 if micros.isdigit() and mine and int(micros) else None
