"""Sums of lost output, in a file of the runtime directory (memory), so that they outlive a killed @scribe.

Each line is a JSON object with the newest sums under some names. A later line replaces them. @scribe writes a sum
before it takes the counted block out of its FIFO. So a line also identifies that block. If the next @scribe still finds
the block in its FIFO, it ignores the line, because it reads the block once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from zlib import crc32

from supervisor.core.utf8 import json_line, json_object
from supervisor.host import files

LIMIT = 1 << 18
"""The size in bytes above which the file is rewritten, with the newest sums only."""

Sum = dict[str, Any]
Names = dict[str, Sum]

_SHAPE: dict[str, type] = {"bytes": int, "lines": int, "why": str, "at": str}


def mark_of(fifo: str, block: bytes) -> list[Any]:
    """Return the identification of a block: its FIFO, its length and a checksum."""
    return [fifo, len(block), crc32(block)]


class Sums:
    """The file, and the newest sum under each name."""

    def __init__(self, path: str, is_there: Callable[[list[Any]], bool]) -> None:
        """Read the sums of an earlier @scribe. `is_there` returns whether a block (see `mark_of`) is in its FIFO."""
        self._path = path
        self.newest: Names = {}
        lines = _read(path)
        if lines and _counts_not(lines[-1], is_there):
            lines.pop()
        for line in lines:
            self._merge(line.get("sums"))
        self._fd = -1
        self.renew()

    def record(self, sums: Names, block: list[Any] | None = None) -> None:
        """Replace sums. Forget a sum of no bytes."""
        self._merge(sums)
        if self._fd < 0:
            return
        with suppress(OSError):  # no room: they are kept in memory
            os.write(self._fd, f"{json_line({'sums': sums, 'block': block})}\n".encode())
            if os.fstat(self._fd).st_size > LIMIT:
                self.renew()

    def renew(self) -> None:
        """Rewrite the file, because it was removed or most of it is out of date."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with suppress(OSError):
            self._fd = files.replace_open(self._path, f"{json_line({'sums': self.newest})}\n".encode())

    def _merge(self, sums: object) -> None:
        for name, one in sums.items() if isinstance(sums, dict) else ():
            if _is_sound(one) and one["bytes"]:
                self.newest[name] = one
            else:
                self.newest.pop(name, None)


def _read(path: str) -> list[dict[str, Any]]:
    with suppress(OSError), open(path, "rb") as file:
        return [json_object(line) or {} for line in file.read().split(b"\n")[:-1]]
    return []


def _is_sound(one: object) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(name), kind) for name, kind in _SHAPE.items())


def _counts_not(line: dict[str, Any], is_there: Callable[[list[Any]], bool]) -> bool:
    """Return whether the block that a line counts is still in its FIFO."""
    block = line.get("block")
    if not isinstance(block, list) or list(map(type, block)) != [str, int, int]:
        return False
    return is_there(block)
