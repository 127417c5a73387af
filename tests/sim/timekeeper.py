"""@timekeeper in virtual time: the real planner over a real store in memory, and a connection that can break anywhere.

The store is on the disk of the world: it outlives the helper, the supervisor and the machine. A commit comes some time
before its answers, so a death in between loses the answers, as a real one does.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from supervisor.core.events import Status
from supervisor.core.packets import packets
from supervisor.helpers.timekeeper import Answer, Timekeeper
from supervisor.host.interface import Connected, Heard
from supervisor.store.firings import SCHEMA, Firings

if TYPE_CHECKING:
    from sim.fake import FakeHost
    from sim.world import Process, World

KEY = "@timekeeper:1"

DISK_FULL = Status(1)
"""How it ends when it cannot commit."""

COMMIT, ANSWER = 0.001, 0.0005
"""Seconds from a message to its commit, and from there to the answers."""


class Closing(sqlite3.Connection):
    """A connection that is closed with its world."""

    def __del__(self) -> None:
        self.close()


def store() -> Firings:
    """An empty store."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=Closing)
    connection.executescript(SCHEMA)
    return Firings(connection)


class FakeTimekeeper:
    """One life of the helper."""

    def __init__(self, world: World, process: Process, host: FakeHost) -> None:
        self.world = world
        self.process = process
        self.host = host
        self._keeper = Timekeeper(
            world.firings,
            world.boot,
            "vm-7",
            lambda level, text: world.log.append(f"{level}: {text}"),
            only_in_memory=world.only_in_memory,
        )
        self._inbox: list[dict[str, Any]] = []
        self._clock_set = False
        self._agreed: float | None = None  # when it looks next
        world.later(0.001, lambda: host.tell(Connected(KEY)) if self.connected else None)

    @property
    def connected(self) -> bool:
        """Whether both ends live."""
        return self.process.leader and self.host.alive and self.world.timekeeper is self

    def receive(self, packet: bytes) -> None:
        """A packet of the supervisor."""
        self._inbox.append(json.loads(packet))
        self.world.later(COMMIT, self._turn)

    def clock_set(self) -> None:
        """Its own timer tells."""
        self._clock_set = True
        self.world.later(COMMIT, self._turn)

    def hung_up(self) -> None:
        """The supervisor has died. What it has sent is done first, and nobody gets the answers."""
        if self._inbox and not self.world.firings_full:
            self._keeper.answer(self._inbox, self.world.wall_time)

    def _turn(self) -> None:
        if not self.process.leader or self.world.timekeeper is not self:
            return
        if self.world.firings_full:
            self.world.end(self.process, DISK_FULL)
            return
        messages, self._inbox = self._inbox, []
        clock_set, self._clock_set = self._clock_set, False
        answers = self._keeper.answer(messages, self.world.wall_time, clock_set=clock_set)
        more = True
        while more:
            found, more = self._keeper.plan(self.world.wall_time)
            answers += found
        self.world.later(ANSWER, lambda: self._send(answers))
        self._sleep()

    def _sleep(self) -> None:
        when = self._keeper.plan_at()
        if when == float("inf") or self._agreed == when:
            return
        self._agreed = when
        self.world.later(max(0.0, when - self.world.wall_time) + COMMIT, self._turn)

    def _send(self, answers: list[Answer]) -> None:
        if self.connected:
            for kind, items in answers:
                for packet in packets(kind, items):
                    self.host.tell(Heard(KEY, json.loads(packet)))
