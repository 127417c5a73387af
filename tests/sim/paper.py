"""The journal's file on a fake machine: what a full disk and a death in the middle of a write make of it.

Both leave the beginning of what was written: whole lines, and so much of the next one as `World.torn` says. A real
kernel stops at the borders of its pages; here it may be any byte.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor.store.journal_file import JournalFile

if TYPE_CHECKING:
    from sim.world import World


class Paper(JournalFile):
    """The file as one supervisor sees it."""

    def __init__(
        self,
        world: World,
        there: Callable[[bytes], None] = lambda line: None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """`there` is told of each line that is there to stay. Of `written`, which follows, the supervisor may die."""
        super().__init__("journal")
        self._world = world
        self._there = there
        self._written = written

    def read(self) -> bytes | None:
        return self._world.journal

    def append(self, data: bytes) -> int:
        world = self._world
        before = world.journal or b""
        lines = data.splitlines(keepends=True)
        if world.journal_full:
            world.journal = before + self._torn(lines[0])
            return len(world.journal) - len(before)
        for number, line in enumerate(lines):
            done = b"".join(lines[: number + 1])
            world.journal = before + done + b"".join(map(self._torn, lines[number + 1 : number + 2]))
            self._there(line)
            self._written()
        return len(data)

    def _torn(self, line: bytes) -> bytes:
        """What is left of it; not all, as then it would count."""
        return line[: min(int(len(line) * self._world.torn), len(line) - 2)]

    def replace(self, data: bytes) -> None:
        if self._world.journal_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._world.journal = data
        lines = data.splitlines(keepends=True)
        for line in lines:  # a rename makes all of them appear together
            self._there(line)
        for _ in lines:
            self._written()

    def shrink(self, data: bytes) -> None:
        if len(self._world.journal or b"") < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        self._world.journal = data

    def size_of_disk(self) -> int:
        return 1 << 30

    def open_to_append(self) -> int:
        return len(self._world.journal or b"")

    def set_aside(self, path: str) -> None:
        self._world.journal = None

    def remove(self) -> None:
        self._world.journal = None
