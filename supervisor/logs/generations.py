"""The generations of a log: the file and what it was rotated to, found in their order while somebody rotates.

Numbers change while one looks, and a compressed one is another file. A rotation gives higher numbers only, and the
highest first. So who looks at one number after the other, from the newest, cannot miss a generation, but may meet one
again; and if a number is still that of the same generation after its neighbour was opened, that one is the neighbour.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from supervisor.logs.places import rotated

TRAILER = struct.Struct("<II")
"""The end of a gzip file: CRC and length of what it was made from."""

Found = tuple[int, BinaryIO]
"""A generation, opened, and its number: 0 is the newest."""


def opened(path: str, number: int) -> BinaryIO | None:
    """The generation of this number; while it is being compressed, the original."""
    for place in (f"{path}.{number}", f"{path}.{number}.gz") if number else (path,):
        if not os.path.isfile(place):  # nor is a FIFO opened, which somebody may have put there, and which would wait
            continue
        with suppress(FileNotFoundError):
            return gzip.open(place, "rb") if place.endswith(".gz") else open(place, "rb")  # type: ignore[return-value]
    return None


def from_the_newest(path: str, first: int = 0) -> Iterator[Found]:
    """Every generation from this number on."""
    number: int | None = first
    while number is not None:
        file = opened(path, number)
        if file is not None:
            yield number, file
            number += 1
        else:
            number = min((other for other in rotated(path) if other > number), default=None)


def oldest(path: str) -> Found | None:
    """The first of all."""
    return newer(path, lambda number, file: False)[0]


def newer(path: str, wanted: Callable[[int, BinaryIO], bool]) -> tuple[Found | None, bool]:
    """What comes just after the one that is wanted, seen from the newest, and whether that one was found.

    A newest one that is still empty does not count: if it is somebody else who has rotated, the scribe may still be
    writing to the one before.
    """
    last: Found | None = None
    for number, file in from_the_newest(path):
        if wanted(number, file):
            file.close()
            return last, True
        if number == 0 and os.fstat(file.fileno()).st_size == 0:
            file.close()
            continue
        if last:
            last[1].close()
        last = number, file
    return last, False


def after(path: str, old: BinaryIO, number: int) -> tuple[Found | None, bool]:
    """The generation after this one, which had this number, and whether this one was found. As `newer`."""
    if number > 1 and (neighbour := opened(path, number - 1)):
        if _is(path, number, old):
            return (number - 1, neighbour), True
        neighbour.close()
    return newer(path, lambda _, file: same(old, file))


def before(path: str, old: BinaryIO, number: int) -> Found | None:
    """The generation before this one, which had this number; None: there is none, or this one is gone."""
    found: int | None = number
    while found is not None:
        neighbour = next(from_the_newest(path, found + 1), None)
        if _is(path, found, old):
            return neighbour
        if neighbour:
            neighbour[1].close()
        found = _number_of(path, old, found)
    return None


def _number_of(path: str, old: BinaryIO, least: int) -> int | None:
    for number, file in from_the_newest(path, least):
        with file:
            if same(old, file):
                return number
    return None


def _is(path: str, number: int, old: BinaryIO) -> bool:
    file = opened(path, number)
    if file is None:
        return False
    with file:
        return same(old, file)


def same(one: BinaryIO, other: BinaryIO) -> bool:
    """Whether two files are one generation: they are one file, or `other` is what `one` was compressed to."""
    plain, packed = os.fstat(one.fileno()), os.fstat(other.fileno())
    if isinstance(one, gzip.GzipFile) or not isinstance(other, gzip.GzipFile):
        return os.path.samestat(plain, packed)
    if plain.st_mtime_ns != packed.st_mtime_ns:
        return False
    crc, length = trailer(other)
    return bool(length == plain.st_size & 0xFFFFFFFF and crc == _crc(one.fileno()))


def trailer(packed: BinaryIO) -> tuple[int, int]:
    """CRC and length (modulo 2^32) of what a gzip file was made from."""
    size = os.fstat(packed.fileno()).st_size
    data = os.pread(packed.fileno(), TRAILER.size, max(0, size - TRAILER.size))
    crc, length = TRAILER.unpack(data) if len(data) == TRAILER.size else (0, -1)
    return crc, length


def _crc(fd: int) -> int:
    """That of a whole file, wherever it is read just now."""
    crc = at = 0
    while piece := os.pread(fd, 1 << 20, at):
        crc, at = zlib.crc32(piece, crc), at + len(piece)
    return crc
