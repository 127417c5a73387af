"""The ledger: one entry, of the block that is being written now, in a file of the runtime directory (memory).

It is opened before the write and closed when the block is taken out of its FIFO. A scribe that finds an open entry
knows by the size of the file whether its predecessor had written: all of the block, some of it (which is taken back),
or nothing. All of it: then by a look at the FIFO whether the block was taken out as well.
That look compares begin and end of the block. Only a block that repeats itself (a flood of one and the same line)
can look like the next one; it is kept rather than taken out: the worst that can happen is that it is there twice.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress

from supervisor.logs.places import rotated
from supervisor.logs.pump import Pump

_ENTRY = struct.Struct("<B5Q64s64s2H")
_EDGE = 64
_SIZE = 8192
"""Bytes: an entry, and two of the longest names."""


class Ledger:
    """The file, mapped: an entry costs no system call, and is there as soon as it is made, also when we are killed."""

    def __init__(self, path: str) -> None:
        """Opens it, or makes it."""
        self._path = path
        self._map = _mapped(path)

    def reopen(self) -> None:
        """Somebody has removed it. Between two blocks there is nothing in it to be kept."""
        self._map.close()
        self._map = _mapped(self._path)

    def open(self, fifo: str, path: str, file: os.stat_result, length: int, block: bytes) -> None:
        """A block of this FIFO is about to be appended to this file; it makes it `length` bytes longer."""
        names = os.fsencode(fifo), os.fsencode(path)
        head, tail = block[:_EDGE], block[-_EDGE:]
        numbers = (file.st_dev, file.st_ino, file.st_size, length, len(block))
        entry = _ENTRY.pack(0, *numbers, head, tail, len(names[0]), len(names[1])) + names[0] + names[1]
        self._map[: len(entry)] = entry
        self._map[0] = 1

    def close(self) -> None:
        """The block is written and taken out."""
        self._map[0] = 0

    def settle(self, folder: str, pump: Pump) -> None:
        """Finishes what the scribe before has begun: what is in the FIFO afterwards has not been written."""
        entry = self._map[:]
        if entry[0] == 1:
            _open, device, inode, size, length, count, head, tail, *lengths = _ENTRY.unpack_from(entry)
            rest = entry[_ENTRY.size :]
            fifo, path = os.fsdecode(rest[: lengths[0]]), os.fsdecode(rest[lengths[0] : sum(lengths)])
            if _written(path, (device, inode), size, length):
                _take_out(f"{folder}/{fifo}", pump, count, (head, tail))
        self.close()


def _mapped(path: str) -> mmap.mmap:
    """The file in memory. Where there is no room for it, memory that ends with us: better than no output at all.

    All of it is asked for beforehand, as a page that cannot be had when it is written to ends the process (SIGBUS).
    """
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
            return mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)
    return mmap.mmap(-1, _SIZE)


def _written(path: str, file: tuple[int, int], size: int, length: int) -> bool:
    """Whether a file has got all of a block; what it has of a part is taken back."""
    for place in (path, *rotated(path).values()):
        with suppress(OSError):
            found = os.stat(place)
            if (found.st_dev, found.st_ino) == file:
                if size < found.st_size < size + length:
                    _cut(place, found, size)
                return found.st_size >= size + length
    return False


def _cut(place: str, found: os.stat_result, size: int) -> None:
    """This file, and no other that has its name by now: it may lie in a directory of a task's user."""
    fd = os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.path.samestat(os.fstat(fd), found):
            os.ftruncate(fd, size)
    finally:
        os.close(fd)


def _take_out(fifo: str, pump: Pump, count: int, edges: tuple[bytes, bytes]) -> None:
    """Takes a block out of a FIFO, if it is still in it."""
    try:
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # all of it was taken out, and then the FIFO was removed
        return
    try:
        block = pump.peek(fd, count) or b""
        there = len(block) == count and edges == (block[:_EDGE].ljust(_EDGE, b"\0"), block[-_EDGE:].ljust(_EDGE, b"\0"))
        if there and block not in (block + block)[1:-1]:
            pump.take(fd, count)
    finally:
        os.close(fd)
