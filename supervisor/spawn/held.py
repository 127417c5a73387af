"""Have a spawner process hold notify sockets and pidfds, so that they outlive the parent (`notify_holder`)."""

from __future__ import annotations

import os
from contextlib import suppress

from supervisor.spawn import notify_holder
from supervisor.spawn.orders import HOLD

TYPE_CHECKING = False
if TYPE_CHECKING:  # it must stay small
    from supervisor.spawn.spawner_process import SpawnerProcess


class Held:
    """The parent's end: what is held, by path."""

    def __init__(self, process: SpawnerProcess) -> None:
        """`process` holds it."""
        self._process = process
        self._held: dict[str, int] = {}
        self._holder = 0  # the pid of the process that holds it
        self._folder = ""  # where the next supervisor can ask for it after our death
        self._late: list[str] = []  # paths of which the process has still to learn
        self._dropped: list[str] = []  # as `_late`, but only once the journal has the end of the run

    @property
    def anything(self) -> bool:
        """Whether there is anything to hold."""
        return bool(self._held)

    def hold(self, path: str, fd: int) -> None:
        """Have a notify socket held."""
        self.hold_later(path, fd)
        self._order()

    def hold_later(self, path: str, fd: int) -> None:
        """Have a pidfd held from the next calm moment on, so that no start waits for that."""
        self._held[path], self._folder = fd, notify_holder.folder(path)
        self._late.append(path)

    def drop(self, path: str) -> None:
        """Have a descriptor closed whose run is over: in the next calm moment, when the journal has that end."""
        if self._held.pop(path, None) is not None:
            self._dropped.append(path)

    def do_deferred(self) -> None:
        """Give the late orders: this is a calm moment."""
        self._late += self._dropped
        self._dropped.clear()
        if self._process.pid != self._holder and self._process.begun:  # it is a new one, and holds nothing yet
            self.close(killed=True)
            self._holder = self._process.pid
            self._late = list(dict.fromkeys((*self._late, *self._held)))
        self._order()

    def _order(self) -> None:
        """Give the late orders. Those that a busy process does not take now come in the next calm moment."""
        with suppress(OSError):
            while self._late:
                path = self._late[0]
                self._process.order(HOLD, path, *([self._held[path]] if path in self._held else []))
                del self._late[0]

    def close(self, *, killed: bool) -> None:
        """Forget the process that holds it. Remove the socket of a process that was killed."""
        if killed and self._folder and self._holder:
            with suppress(FileNotFoundError):
                os.unlink(f"{self._folder}/{self._holder}")
        self._holder = 0
