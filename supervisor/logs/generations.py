"""The generations of a log: the file and its rotated files, in their order, even during a rotation.

Numbers change while a reader looks, and compression makes another file. A rotation only raises numbers, and the highest
first. So a reader that goes from the newest number up cannot miss a generation. It may meet the same generation twice.
A reader opens a generation's neighbour, then checks the generation's number again. If the number is unchanged, the
opened file is the neighbour.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from supervisor.logs.names import rotated

TRAILER = struct.Struct("<II")
"""The end of a gzip file: CRC and length of the original."""

Found = tuple[int, BinaryIO]
"""A generation, opened, and its number: 0 is the newest."""


def opened(path: str, number: int) -> BinaryIO | None:
    """Open the generation of this number; during its compression, the original."""
    for place in (f"{path}.{number}", f"{path}.{number}.gz") if number else (path,):
        if not os.path.isfile(place):  # never open a FIFO at this path: it would block
            continue
        with suppress(FileNotFoundError):
            return gzip.open(place, "rb") if place.endswith(".gz") else open(place, "rb")  # type: ignore[return-value]
    return None


def from_the_newest(path: str, first: int = 0) -> Iterator[Found]:
    """Yield every generation from this number on."""
    number: int | None = first
    while number is not None:
        file = opened(path, number)
        if file is not None:
            yield number, file
            number += 1
        else:
            number = min((other for other in rotated(path) if other > number), default=None)


def oldest(path: str) -> Found | None:
    """Return the oldest generation."""
    return newer(path, lambda number, file: False)[0]


def newer(path: str, wanted: Callable[[int, BinaryIO], bool]) -> tuple[Found | None, bool]:
    """Search from the newest for the wanted generation. Return the next newer one, and whether the search succeeded.

    An empty newest file does not count. If another program has rotated the log, the scribe may still write to the
    generation before.
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
    """Return the generation after this one, which had this number, and whether this one was found. See `newer`."""
    if number > 1 and (neighbour := opened(path, number - 1)):
        if _is(path, number, old):
            return (number - 1, neighbour), True
        neighbour.close()
    return newer(path, lambda _, file: same(old, file))


def before(path: str, old: BinaryIO, number: int) -> Found | None:
    """Return the generation before this one, which had this number. None: there is none, or this one is gone."""
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
    """Return whether two files are one generation: the same file, or `other` is the compressed form of `one`."""
    plain, packed = os.fstat(one.fileno()), os.fstat(other.fileno())
    if isinstance(one, gzip.GzipFile) or not isinstance(other, gzip.GzipFile):
        return os.path.samestat(plain, packed)
    if plain.st_mtime_ns != packed.st_mtime_ns:
        return False
    crc, length = trailer(other)
    return bool(length == plain.st_size & 0xFFFFFFFF and crc == _crc(one.fileno()))


def trailer(packed: BinaryIO) -> tuple[int, int]:
    """Return CRC and length (modulo 2^32) of the original of a gzip file."""
    size = os.fstat(packed.fileno()).st_size
    data = os.pread(packed.fileno(), TRAILER.size, max(0, size - TRAILER.size))
    crc, length = TRAILER.unpack(data) if len(data) == TRAILER.size else (0, -1)
    return crc, length


def _crc(fd: int) -> int:
    """Return the CRC of a whole file, whatever its current position is."""
    crc = at = 0
    while piece := os.pread(fd, 1 << 20, at):
        crc, at = zlib.crc32(piece, crc), at + len(piece)
    return crc
