"""Publish every change as an event with a cursor. Keep events for a while, and send them to followers.

An event is a JSON object on one line. Its `cursor` ("3f9a1c.1042") names the life of the supervisor and a number. A
client may ask for the events since a cursor. If that cursor is too old, or of an earlier life, the answer begins with
an event `gap`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from supervisor.control import wire
from supervisor.control.wait import Asker

KEPT = 4096
"""The most events that are kept; usually about 1 MiB."""

KEPT_BYTES = 2 << 20
"""The most bytes of events that are kept. The limit is lower than the backlog that a client may have."""


class Feed:
    """The newest events and their followers."""

    def __init__(self, life: str) -> None:
        """`life` distinguishes the events of this supervisor from those of an earlier one."""
        self.life = life
        self.count = 0
        self.followers: dict[Asker, None] = {}
        self._kept: deque[bytes] = deque()
        self._bytes = 0

    @property
    def cursor(self) -> str:
        """Return the cursor of the newest event."""
        return f"{self.life}.{self.count}"

    def publish(self, event: dict[str, Any]) -> None:
        """Keep an event and send it to all followers."""
        self.count += 1
        line = wire.encode(event={"cursor": self.cursor, **event})
        self._kept.append(line)
        self._bytes += len(line)
        while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popleft())
        for client in list(self.followers):
            client.send(line)

    def since(self, cursor: str | None) -> list[bytes]:
        """Return the lines of the kept events after a cursor; without a cursor, all lines."""
        first = self.count - len(self._kept)
        if cursor is None:
            return list(self._kept)
        life, _, number = cursor.rpartition(".")
        seen = int(number) if number.isdecimal() and len(number) < 16 else -1
        if life != self.life or not first <= seen <= self.count:
            gap = {
                "cursor": f"{self.life}.{first}",
                "event": "gap",
                "why": f"older events are not kept; since {cursor}",
            }
            return [wire.encode(event=gap), *self._kept]
        return list(self._kept)[seen - first :]

    def follow(self, client: Asker) -> None:
        """Send every new event to the client, until it disconnects."""
        self.followers[client] = None
        client.on_close = lambda: self.followers.pop(client, None)
