"""Read a log over all of its generations: existing lines, the last lines, and new lines.

`supctl logs` uses this module. It reads the files itself, so the supervisor need not even run. Lines of the formats
"plain" and "json" contain their time and stream; "raw" lines do not.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from supervisor.logs import generations
from supervisor.logs.names import rotated

_PLAIN = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (out|err) ")

DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
"""The errors of reading an incomplete or damaged compressed file."""

FIRST_STEP = 64 * 1024
"""Bytes to read from the end of a file for its last lines. The reader doubles them until they are enough."""


class Line(NamedTuple):
    """One line. `at` and `stream` are "" if the file does not contain them."""

    at: str
    stream: str
    text: bytes


def parse(raw: bytes, stream: str = "") -> Line:
    """Parse a line of any format, without its newline. `stream`: the only stream of the file, if there is just one."""
    stamped = _PLAIN.match(raw)
    if stamped:
        return Line(stamped[1].decode(), stamped[2].decode(), raw[stamped.end() :])
    if raw.startswith(b'{"time":"'):
        with suppress(ValueError, KeyError, TypeError):
            one = json.loads(raw)
            return Line(one["time"], one["stream"], one["message"].encode())
    return Line("", stream, raw)


class Reader:
    """Reads the lines of a log over rotations, truncations and new files, each line once and in order.

    The reader holds the current generation open. So it reads all of it, whatever happens to its name. It looks for the
    next generation at the end of this one.
    """

    def __init__(self, path: str, missing: Callable[[str], object], *, whole: bool = False) -> None:
        """Begin at the end of the log, at the beginning of a line; with `whole`, at the oldest line.

        The reader calls `missing` at the place where lines may be missing, with the reason.
        """
        self.path = path
        self._missing = missing
        self._rest = b""
        self._damaged = False
        self._number: int
        self._file: BinaryIO | None
        first = generations.oldest(path) if whole else next(generations.from_the_newest(path), None)
        self._number, self._file = first or (0, None)
        if self._file and not whole:
            _to_end(self._file)
        self._begin = self._file.tell() if self._file else 0

    def last(self, count: int) -> list[bytes]:
        """Return the last lines before those of `more`, over as many generations as needed. Call it before `more`."""
        found: deque[bytes] = deque(maxlen=count)
        at = (self._number, self._file) if self._file else None
        while at and len(found) < count:
            number, file = at
            found.extendleft(reversed(self._tail(file, count - len(found))))
            at = generations.before(self.path, file, number) if len(found) < count else None
            if file is not self._file:
                file.close()
        return list(found)

    def more(self) -> Iterator[bytes]:
        """Yield the new lines, over all generations that exist now."""
        yield from self._grown()
        for _ in range(len(rotated(self.path)) + 1):
            after, known = self._after()
            if not after:
                return
            yield from self._grown()  # lines that were written before the next generation began
            if not known:
                yield from self._gap("a file was removed while it was read, perhaps also the next ones: see log.keep")
            if self._file:
                self._file.close()
            self._number, self._file = after
            self._damaged = False
            yield from self._grown()

    def unfinished(self) -> Iterator[bytes]:
        """Yield the unfinished line at the end."""
        if self._rest:
            yield self._rest
        self._rest = b""

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _grown(self) -> Iterator[bytes]:
        """Yield the whole lines up to the end of this generation."""
        if self._file is None or self._damaged:
            return
        packed = isinstance(self._file, gzip.GzipFile)
        if not packed and os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            yield from self._gap("the file was truncated")
        try:
            for line in self._file:
                self._rest += line
                if line.endswith(b"\n"):
                    whole, self._rest = self._rest[:-1], b""
                    yield whole
        except DAMAGE as error:
            self._damaged = True
            yield from self._gap(damage(self._file, error))

    def _gap(self, why: str) -> Iterator[bytes]:
        """Yield an unfinished line whose end is lost, and report the gap."""
        yield from self.unfinished()
        self._missing(why)

    def _after(self) -> tuple[generations.Found | None, bool]:
        """Return the generation after this one, and whether nothing is missing between the two.

        If this one no longer exists, return the oldest generation with a later last write.
        """
        old = self._file
        if not old:
            return generations.oldest(self.path), True
        after, found = generations.after(self.path, old, self._number)
        if found or not after:
            return after, True
        after[1].close()
        after, _ = generations.newer(self.path, lambda number, file: number > 0 and _age(file) <= _age(old))
        return after, os.fstat(old.fileno()).st_nlink > 0

    def _tail(self, file: BinaryIO, count: int) -> list[bytes]:
        """Return the last lines of a generation; for the current one, those before the place where reading began."""
        if isinstance(file, gzip.GzipFile):
            kept: deque[bytes] = deque(maxlen=count)
            try:
                file.seek(0)
                kept.extend(line.rstrip(b"\n") for line in file)
            except DAMAGE as error:
                if file is not self._file:  # `more` reports that one
                    self._missing(damage(file, error))
            return list(kept)
        fd, step = file.fileno(), FIRST_STEP
        size = self._begin if file is self._file else os.fstat(fd).st_size
        while True:
            data = _between(fd, max(0, size - step), size)
            if data.count(b"\n") > count or step >= size:
                return data.removesuffix(b"\n").split(b"\n")[-count:] if data else []
            step *= 2


def _to_end(file: BinaryIO) -> None:
    """Go to the end of a file, or to the beginning of an unfinished last line."""
    if isinstance(file, gzip.GzipFile):
        with suppress(*DAMAGE):
            deque(file, maxlen=0)
        return
    fd = file.fileno()
    end, found = os.fstat(fd).st_size, 0
    while end and not found:
        begin = max(0, end - FIRST_STEP)
        found = _between(fd, begin, end).rfind(b"\n") + 1
        end = begin
    file.seek(end + found)


def _between(fd: int, begin: int, end: int) -> bytes:
    """Return bytes of a file, whatever its current position is; fewer if it was truncated."""
    data = b""
    while len(data) < end - begin and (piece := os.pread(fd, end - begin - len(data), begin + len(data))):
        data += piece
    return data


def damage(file: BinaryIO, error: Exception) -> str:
    """Return the message for a file that cannot be read to its end."""
    return f"{file.name} is damaged: {error}"


def _age(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_mtime_ns
