"""The ledger: one entry, for the block that is being written now, in a file of the runtime directory (memory).

The scribe opens the entry before the write. It closes the entry when it has taken the block out of its FIFO. A scribe
that finds an open entry learns from the size of the log file how much its predecessor had written:

- nothing;
- a part of the block: the scribe takes that part back;
- all of the block: the scribe looks whether the block is still in the FIFO.

That look compares the beginning and the end of the block. Only a block that repeats itself (a flood of one line) can
look like the next one. The scribe then leaves it in the FIFO. At worst the log has it twice.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress

from supervisor.core.words import in_words
from supervisor.logs.names import rotated
from supervisor.logs.pump import Pump

_ENTRY = struct.Struct("<B5Q64s64s2H")
_EDGE = 64
_SIZE = 8192
"""Bytes for an entry and two names of the greatest length."""


class Ledger:
    """The mapped file. An entry costs no system call. It exists at once, also when this process is killed."""

    def __init__(self, path: str) -> None:
        """Open the file, or make it."""
        self._path = path
        self._map, self.why = _mapped(path)  # why the entries do not outlive this process; "": they do

    def reopen(self) -> None:
        """Make the file again after its removal. Between two blocks it holds nothing to keep."""
        self._map.close()
        self._map, self.why = _mapped(self._path)

    def open(self, fifo: str, path: str, file: os.stat_result, length: int, block: bytes) -> None:
        """Note that a block of this FIFO will be appended to this file. The file then grows by `length` bytes."""
        names = os.fsencode(fifo), os.fsencode(path)
        head, tail = block[:_EDGE], block[-_EDGE:]
        numbers = (file.st_dev, file.st_ino, file.st_size, length, len(block))
        entry = _ENTRY.pack(0, *numbers, head, tail, len(names[0]), len(names[1])) + names[0] + names[1]
        self._map[: len(entry)] = entry
        self._map[0] = 1

    def close(self) -> None:
        """Close the entry: the block is written, and is no longer in its FIFO."""
        self._map[0] = 0

    def finish(self, folder: str, pump: Pump) -> None:
        """Finish the block of the previous scribe. Afterwards no byte in the FIFO has been written."""
        entry = self._map[:]
        if entry[0] == 1:
            _open, device, inode, size, length, count, head, tail, *lengths = _ENTRY.unpack_from(entry)
            rest = entry[_ENTRY.size :].replace(b"\0", b"?")  # only a damaged name has one
            fifo, path = os.fsdecode(rest[: lengths[0]]), os.fsdecode(rest[lengths[0] : sum(lengths)])
            if _written(path, (device, inode), size, length) and not pump.why:  # else the block is in no FIFO any more
                _consume(f"{folder}/{fifo}", pump, count, (head, tail))
        self.close()


def _mapped(path: str) -> tuple[mmap.mmap, str]:
    """Map the file, and return "" as the reason. Without room for it, return memory of this process, and why.

    The function allocates the whole file first. A write to a page that cannot be allocated ends the process (SIGBUS).
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
            return mmap.mmap(fd, _SIZE), ""
        finally:
            os.close(fd)
    except OSError as error:
        return mmap.mmap(-1, _SIZE), in_words(error)


def _written(path: str, file: tuple[int, int], size: int, length: int) -> bool:
    """Return whether a file has all of a block. If it has only a part, take that part back."""
    for place in (path, *rotated(path).values()):
        with suppress(OSError):
            found = os.stat(place)
            if (found.st_dev, found.st_ino) == file:
                if size < found.st_size < size + length:
                    _cut(place, found, size)
                return found.st_size >= size + length
    return False


def _cut(place: str, found: os.stat_result, size: int) -> None:
    """Cut this file, and no other that has its name by now. It may lie in a directory of a task's user."""
    fd = os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.path.samestat(os.fstat(fd), found):
            os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _consume(fifo: str, pump: Pump, count: int, edges: tuple[bytes, bytes]) -> None:
    """Take a block out of a FIFO, if it is still there."""
    try:
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # the FIFO was emptied, then removed
        return
    try:
        block = pump.peek(fd, count) or b""
        there = len(block) == count and edges == (block[:_EDGE].ljust(_EDGE, b"\0"), block[-_EDGE:].ljust(_EDGE, b"\0"))
        if there and block not in (block + block)[1:-1]:
            pump.consume(fd, count)
    finally:
        os.close(fd)
