"""Reading logs: the lines of files as they are on the disk, rotated ones included, one after the other or as they grow.

For `supctl logs`, which reads the files itself: the supervisor is not asked for a line of them, and need not even run.
Lines of the formats "plain" and "json" know when they were said and by which stream; those of "raw" do not.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from supervisor.logs.places import rotated

_PLAIN = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (out|err) ")

TRAILER = struct.Struct("<II")
"""The end of a gzip file: CRC and length of what it was made from."""

FIRST_STEP = 64 * 1024
"""Bytes that are read from the end of a file for its last lines, doubled as long as they are not enough."""


class Line(NamedTuple):
    """One line; `at` and `stream` are "" where the file does not say, `run` where it is not JSON."""

    at: str
    stream: str
    text: bytes
    run: str = ""


def parse(raw: bytes, stream: str = "") -> Line:
    """A line of any format, without its newline. `stream`: of a file that holds only this one."""
    stamped = _PLAIN.match(raw)
    if stamped:
        return Line(stamped[1].decode(), stamped[2].decode(), raw[stamped.end() :])
    if raw.startswith(b'{"time":"'):
        with suppress(ValueError, KeyError, TypeError):
            one = json.loads(raw)
            return Line(one["time"], one["stream"], one["message"].encode(), one["run"])
    return Line("", stream, raw)


def generations(path: str) -> list[str]:
    """A file and what it was rotated to, the oldest first."""
    there = rotated(path)
    return [*(there[number] for number in sorted(there, reverse=True)), *([path] if os.path.exists(path) else [])]


def lines(path: str) -> Iterator[bytes]:
    """Every line that there is, the oldest first. One rotated meanwhile is found under its next name."""
    for place in generations(path):
        try:
            file = _open(place)
        except FileNotFoundError:
            continue
        with file:
            for line in file:
                yield line.rstrip(b"\n")


def last_lines(path: str, count: int) -> list[bytes]:
    """The last lines, over as many files as it takes."""
    found: deque[bytes] = deque(maxlen=count)
    for place in reversed(generations(path)):
        missing = count - len(found)
        if missing <= 0:
            break
        with suppress(FileNotFoundError):
            found.extendleft(reversed(_tail(place, missing)))
    return list(found)


def _tail(place: str, count: int) -> list[bytes]:
    if place.endswith(".gz"):
        with _open(place) as packed:
            return [line.rstrip(b"\n") for line in deque(packed, maxlen=count)]
    with open(place, "rb") as file:
        size, step = file.seek(0, os.SEEK_END), FIRST_STEP
        while True:
            file.seek(max(0, size - step))
            data = file.read(size - file.tell())
            if data.count(b"\n") > count or step >= size:
                return data.removesuffix(b"\n").split(b"\n")[-count:] if data else []
            step *= 2


def _open(place: str) -> BinaryIO:
    if place.endswith(".gz"):
        return gzip.open(place, "rb")  # type: ignore[return-value]  # it reads as a file does
    return open(place, "rb")


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    """Whether two files are one generation: they are one file, or `other` is what `one` was compressed to."""
    plain, packed = os.fstat(one.fileno()), os.fstat(other.fileno())
    if isinstance(one, gzip.GzipFile) or not isinstance(other, gzip.GzipFile):
        return os.path.samestat(plain, packed)
    if plain.st_mtime_ns != packed.st_mtime_ns or packed.st_size < TRAILER.size:
        return False
    crc, length = TRAILER.unpack(os.pread(other.fileno(), TRAILER.size, packed.st_size - TRAILER.size))
    return bool(length == plain.st_size & 0xFFFFFFFF and crc == _crc(one.fileno()))


def _crc(fd: int) -> int:
    """That of a whole file, wherever it is read just now."""
    crc = at = 0
    while piece := os.pread(fd, 1 << 20, at):
        crc, at = zlib.crc32(piece, crc), at + len(piece)
    return crc


def _age(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_mtime_ns


class Follower:
    """What is appended to a file from now on, over rotations, truncations and new beginnings.

    The generation that is read is held open, so all of it is read, whatever becomes of its name. Which one comes after
    it is found out when it is at its end: numbers change while one looks, and a compressed one is another file.
    """

    def __init__(self, path: str, missing: Callable[[str], object]) -> None:
        """Begins at the end of what is there now. `missing` is told, at that place, why lines may be missing."""
        self.path = path
        self._missing = missing
        self._rest = b""
        self._file = next(filter(None, map(self._generation, (0, *sorted(rotated(path))))), None)
        if self._file:
            _to_end(self._file)

    def more(self) -> Iterator[bytes]:
        """The lines that have come, in as many generations as there are now."""
        yield from self._grown()
        for _ in generations(self.path):
            after, known = self._after()
            if not after:
                return
            yield from self._grown()  # what was written before the other one was begun
            if not known:
                yield from self._gap("a file that was read was removed, and maybe the next ones: see log.keep")
            if self._file:
                self._file.close()
            self._file = after
            yield from self._grown()

    def _grown(self) -> Iterator[bytes]:
        """The whole lines up to the end of this generation."""
        if self._file is None:
            return
        packed = isinstance(self._file, gzip.GzipFile)
        if not packed and os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            yield from self._gap("the file was truncated")
        for line in self._file:
            self._rest += line
            if line.endswith(b"\n"):
                whole, self._rest = self._rest[:-1], b""
                yield whole

    def _gap(self, why: str) -> Iterator[bytes]:
        """The begin of a line has lost its rest."""
        if self._rest:
            yield self._rest
            self._rest = b""
        self._missing(why)

    def _after(self) -> tuple[BinaryIO | None, bool]:
        """The generation after this one, and whether nothing is missing between the two.

        If this one is nowhere any more, it is the oldest of those that were written to later.
        """
        old = self._file
        if not old:
            return self._before(lambda number, file: False)[0], True
        after, found = self._before(lambda number, file: _same(old, file))
        if found or not after:
            return after, True
        after.close()
        after, _ = self._before(lambda number, file: number > 0 and _age(file) <= _age(old))
        return after, os.fstat(old.fileno()).st_nlink > 0

    def _before(self, wanted: Callable[[int, BinaryIO], bool]) -> tuple[BinaryIO | None, bool]:
        """What comes just before the one that is wanted, seen from the newest, and whether that one was found.

        A newest one that is still empty does not count: if it is somebody else who has rotated, the scribe may still
        be writing to the one before.
        """
        last: BinaryIO | None = None
        for number, file in self._from_the_newest():
            if wanted(number, file):
                file.close()
                return last, True
            if number == 0 and os.fstat(file.fileno()).st_size == 0:
                file.close()
                continue
            if last:
                last.close()
            last = file
        return last, False

    def _from_the_newest(self) -> Iterator[tuple[int, BinaryIO]]:
        """Every generation, with its number.

        A rotation gives higher numbers only, and the highest first, so who looks at one number after the other cannot
        miss a generation, but may meet one again.
        """
        number: int | None = 0
        while number is not None:
            file = self._generation(number)
            if file is not None:
                yield number, file
                number += 1
            else:
                number = min((other for other in rotated(self.path) if other > number), default=None)

    def _generation(self, number: int) -> BinaryIO | None:
        """The generation of this number, 0 the newest; while it is being compressed, the original."""
        for place in (f"{self.path}.{number}", f"{self.path}.{number}.gz") if number else (self.path,):
            with suppress(FileNotFoundError):
                return _open(place)
        return None


def _to_end(file: BinaryIO) -> None:
    if isinstance(file, gzip.GzipFile):
        deque(file, maxlen=0)
    else:
        file.seek(0, os.SEEK_END)
