"""Every change, as an event with a cursor: kept for a while, and sent to whoever follows.

An event is a JSON object on one line. Its `cursor` ("3f9a1c.1042") names the life of the supervisor and a number;
what is asked for since a cursor that is too old, or of an earlier life, begins with an event `gap`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from supervisor.control import wire
from supervisor.control.wait import Asker

KEPT = 4096
"""How many events are kept; usually about 1 MiB."""

KEPT_BYTES = 2 << 20
"""Bytes of events that are kept, however long they are: fewer than a client may fall behind."""


class Feed:
    """The newest events and their followers."""

    def __init__(self, life: str) -> None:
        """`life` tells this supervisor's events from an earlier one's."""
        self.life = life
        self.count = 0
        self.followers: dict[Asker, None] = {}
        self._kept: deque[bytes] = deque()
        self._bytes = 0

    @property
    def cursor(self) -> str:
        """Of the newest event."""
        return f"{self.life}.{self.count}"

    def publish(self, event: dict[str, Any]) -> None:
        """One event more."""
        self.count += 1
        line = wire.encode(event={"cursor": self.cursor, **event})
        self._kept.append(line)
        self._bytes += len(line)
        while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popleft())
        for client in list(self.followers):
            client.send(line)

    def since(self, cursor: str | None) -> list[bytes]:
        """The lines of the kept events after a cursor; all of them without one."""
        first = self.count - len(self._kept)
        if cursor is None:
            return list(self._kept)
        life, _, number = cursor.rpartition(".")
        seen = int(number) if number.isdecimal() and len(number) < 16 else -1
        if life != self.life or not first <= seen <= self.count:
            gap = {
                "cursor": f"{self.life}.{first}",
                "event": "gap",
                "why": f"nothing is kept from before; since {cursor}",
            }
            return [wire.encode(event=gap), *self._kept]
        return list(self._kept)[seen - first :]

    def follow(self, client: Asker) -> None:
        """From now on the client gets every event."""
        self.followers[client] = None
        client.on_close = lambda: self.followers.pop(client, None)
