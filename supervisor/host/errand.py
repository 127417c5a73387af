"""Errands: what may block is done by a short-lived child, never by the parent.

Reading the config (a disk, perhaps a network; the user database), keeping a freeze for after the next boot (fsync):
each is one function, called in a forked child, whose answer comes back over a pipe. So a disk that hangs costs the one
who asked, not the tasks; and what such a function imports and allocates is gone with the child.
"""

from __future__ import annotations

import os
import signal
from _pickle import loads  # `pickle` has all of it in Python as well: 2 ms, 0.2 MiB
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.host.aside import aside
from supervisor.host.interface import Done, Occurrence
from supervisor.host.loop import Loop

TIME_LIMIT = 60.0
"""Seconds after which an errand has failed. A reload over a hanging network file system ends with that."""


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

    def run(self, now: float, function: Callable[..., Any], *arguments: object) -> int:
        """Starts one and returns its number. One for which no child can be made has failed, which is told as ever."""
        self._count += 1
        try:
            begun = aside(function, arguments)
        except OSError as error:
            self._failed.append(Done(self._count, None, f"cannot fork: {error.strerror}"))
            return self._count
        return self.expect(now, *begun)

    def expect(self, now: float, pid: int, pipe: int) -> int:
        """One that somebody else has begun, by `aside`. Returns its number."""
        self._count += 1
        errand = _Errand(self._count, pid, pipe, now + TIME_LIMIT)
        self._errands[errand.number] = errand
        self._loop.watch(pipe, lambda _: self._read(errand))
        return errand.number

    def next_deadline(self) -> float | None:
        """When the next one will have taken too long."""
        if self._failed:
            return 0.0
        return min((errand.deadline for errand in self._errands.values()), default=None)

    def expire(self, now: float) -> list[Occurrence]:
        """Ends those that took too long, and tells of those that never began."""
        failed, self._failed = self._failed, []
        late = [errand for errand in self._errands.values() if errand.deadline <= now]
        for errand in late:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(errand.pid, signal.SIGKILL)
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
