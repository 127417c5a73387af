"""The service manager: sd_notify(3), spoken without a library, and without ever blocking."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class Notifier:
    """A datagram socket to $NOTIFY_SOCKET, or nothing when there is no service manager."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def tell(self, *assignments: str) -> None:
        """Sends "READY=1", "STATUS=…" and the like in one datagram. A manager that does not listen is no error."""
        if self._socket:
            with suppress(OSError):
                self._socket.sendto("\n".join(assignments).encode(), self._address)

    @staticmethod
    def watchdog() -> float | None:
        """Seconds between two signs of life: half of what the manager waits (sd_watchdog_enabled(3)), or None."""
        micros = os.environ.get("WATCHDOG_USEC", "")
        mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return int(micros) / 2e6 if micros.isdigit() and mine and int(micros) else None
