"""The connection to @timekeeper: each message is a JSON object.

@timekeeper says how many packets it has handled. One that it does not handle in time is a sign that it hangs: it is
killed then, and the next one is told everything anew.
"""

from __future__ import annotations

import signal
from collections import deque
from typing import Any

from supervisor.core.packets import packets
from supervisor.core.utf8 import json_object
from supervisor.host import clock
from supervisor.host.interface import Connected, Heard, Occurrence
from supervisor.host.loop import Loop
from supervisor.registry.timekeeper import HELPER
from supervisor.runs.channel import Channel
from supervisor.runs.process import Processes

PATIENCE = 60.0
"""Seconds for a packet. A busy disk needs less; a disk that hangs does not get better by waiting."""


class TimekeeperLink:
    """Pass messages on, in both directions."""

    def __init__(self, loop: Loop, processes: Processes) -> None:
        """`processes` knows the pid of @timekeeper."""
        self._processes = processes
        self._open: deque[float] = deque()  # when each packet was sent that is not handled yet, in monotonic seconds
        self._channel = Channel(
            loop, processes, HELPER.key, connected=self._connected, received=self._received, closed=self._closed
        )
        self.listen = self._channel.listen

    def send(self, kind: str, items: list[Any] | dict[str, Any]) -> None:
        """Send a message; see `Host.send`."""
        for packet in packets(kind, items):
            if self._channel.send(packet):
                self._open.append(clock.now())

    def silence(self) -> float | None:
        """Return for how many seconds a packet has not been handled; 0.0: all are. None: it is not connected."""
        if not self._channel.is_open:
            return None
        return clock.now() - self._open[0] if self._open else 0.0

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self._open[0] + PATIENCE if self._open else None

    def postpone(self, seconds: float) -> None:
        """Postpone the deadline."""
        self._open = deque(sent + seconds for sent in self._open)

    def due(self, now: float) -> list[Occurrence]:
        """See `Timed`: kill a @timekeeper that hangs."""
        timekeeper = self._processes.by_key.get(HELPER.key)
        if timekeeper is not None and not timekeeper.ended:
            timekeeper.send(signal.SIGKILL)
        return self._channel.close()

    def _connected(self) -> list[Occurrence]:
        return [Connected(HELPER.key)]

    def _closed(self) -> list[Occurrence]:
        self._open.clear()
        return []

    def _received(self, packet: bytes) -> list[Occurrence]:
        message = json_object(packet)
        if message is None:
            return self._channel.close()
        for count in message.get("handled", ()):
            for _ in range(min(count, len(self._open))):
                self._open.popleft()
        return [] if "handled" in message else [Heard(HELPER.key, message)]
