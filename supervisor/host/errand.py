"""Errands: a short-lived child does the work that may block, never the parent.

An errand is one function, called in a forked child. Its answer comes back over a pipe. Examples:

- reading the config, which needs a disk, the user database, and perhaps a network;
- storing a freeze on disk for the time after the next boot (fsync).

So a disk that hangs delays the caller, not the tasks. The modules and the memory that the function needs are gone with
the child.
"""

from __future__ import annotations

import os
import signal
from _pickle import loads  # `pickle` would also load the Python version: 2 ms, 0.2 MiB
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.host.aside import aside
from supervisor.host.interface import Done, Occurrence
from supervisor.host.lookup import with_reserve
from supervisor.host.loop import Loop

TIME_LIMIT = 60.0
"""Seconds after which an errand has failed. They end a reload from a network file system that hangs."""


class _Errand:
    def __init__(self, number: int, pid: int, pipe: int, deadline: float) -> None:
        self.number = number
        self.pid = pid
        self.pipe = pipe
        self.deadline = deadline
        self.answer = bytearray()


class Errands:
    """The errands that are under way."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._count = 0
        self._errands: dict[int, _Errand] = {}
        self._failed: list[Occurrence] = []

    def run(self, now: float, function: Callable[..., Any], *arguments: object, keep: int = -1) -> int:
        """Start an errand and return its number. If no child can be made, it fails like any other errand.

        The child inherits the descriptor `keep` (`aside.KEPT`).
        """
        self._count += 1
        try:
            begun = with_reserve(aside)(function, arguments, keep)
        except OSError as error:
            self._failed.append(Done(self._count, None, f"cannot fork: {error.strerror}"))
            return self._count
        return self.expect(now, *begun)

    def expect(self, now: float, pid: int, pipe: int) -> int:
        """Register an errand that the caller has begun with `aside`. Return its number."""
        self._count += 1
        errand = _Errand(self._count, pid, pipe, now + TIME_LIMIT)
        try:
            self._loop.watch(pipe, lambda _: self._read(errand))
        except OSError as error:
            os.close(pipe)
            _kill(pid)
            self._failed.append(Done(self._count, None, f"cannot receive from its process: {error.strerror}"))
            return self._count
        self._errands[errand.number] = errand
        return errand.number

    def next_deadline(self) -> float | None:
        """Return the moment at which the next errand has taken too long."""
        if self._failed:
            return 0.0
        return min((errand.deadline for errand in self._errands.values()), default=None)

    def postpone(self, seconds: float) -> None:
        """Move all deadlines, because the parent stood still for so long."""
        for errand in self._errands.values():
            errand.deadline += seconds

    def due(self, now: float) -> list[Occurrence]:
        """End the errands that took too long. Report those that never began."""
        failed, self._failed = self._failed, []
        late = [errand for errand in self._errands.values() if errand.deadline <= now]
        for errand in late:
            _kill(errand.pid)
        text = f"took longer than {TIME_LIMIT:g} s"
        return [*failed, *(self._finish(errand, Done(errand.number, None, text)) for errand in late)]

    def _read(self, errand: _Errand) -> list[Occurrence]:
        block = os.read(errand.pipe, 1 << 20)
        if block:
            errand.answer += block
            return []
        try:
            value, error = loads(errand.answer)  # our own child wrote it
        except Exception:  # noqa: BLE001 - cut off, or of another version of this program
            value, error = None, "its process ended without an answer"
        return [self._finish(errand, Done(errand.number, value, error))]

    def _finish(self, errand: _Errand, done: Done) -> Done:
        del self._errands[errand.number]
        self._loop.unwatch(errand.pipe)
        os.close(errand.pipe)
        return done


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, signal.SIGKILL)
