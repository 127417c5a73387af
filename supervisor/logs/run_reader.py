"""Read exactly the output of one run, in whatever files it is by now, with the index of its log."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from supervisor.logs import generations, index
from supervisor.logs.names import rotated
from supervisor.logs.read import DAMAGE, damage

PIECE = 1 << 20
"""Bytes that are read at once."""

FOREVER = 1 << 62
"""An offset beyond every file."""

GONE = "a part of it was in a file that was removed (log.keep), or that another program rotated or truncated"


class RunReader:
    """Reads the lines of a run in one log: existing lines, then new ones."""

    def __init__(self, path: str, run: str, missing: Callable[[str], object]) -> None:
        """Take the full id of the run. The reader calls `missing`, with the reason, where lines are missing."""
        self.path = path
        self.found = False  # any part of it, even if gone by now; or `missing` was called because it is unknown
        self._run = run
        self._missing = missing
        self._rest = b""
        self._through = (-1, 0)  # read up to here: generation and offset
        self._gone = False  # the output before that
        self._number = 0  # of the last generation that was read

    def more(self) -> Iterator[bytes]:
        """Yield the new whole lines."""
        sizes = _sizes(self.path)  # first: later output may be of another run, which the index then has
        marks = index.read(self.path)
        if sizes and not marks and not self.found:
            self._missing(f"it is not known which run wrote what, because there is no {index.place(self.path)}")
            self.found = True
        for part in index.parts(marks, self._run):
            self.found = True
            end = part.end(sizes)
            gone = end < part.begin
            begin = max((part.generation, part.begin), self._through)
            through = part.generation, FOREVER if gone else end
            if through <= begin:
                continue
            self._through = through
            file = None if gone else self._file_of(part)
            if not (gone or part.ended) and index.read(self.path)[-1:] != marks[-1:]:  # it may be rotated by now
                if file:
                    file.close()
                self._through = begin
                yield from self.more()
                return
            if file is None:
                if not self._gone:
                    yield from self._gap(GONE)
                self._gone = True
                continue
            self._gone = False
            with file:
                try:
                    yield from self._between(file, begin[1], end)
                except DAMAGE as error:
                    yield from self._gap(damage(file, error))

    def unfinished(self) -> Iterator[bytes]:
        """Yield the unfinished line at the end."""
        if self._rest:
            yield self._rest
        self._rest = b""

    def _between(self, file: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
        file.seek(begin)
        while begin < end and (piece := file.read(min(PIECE, end - begin))):
            begin += len(piece)
            *lines, self._rest = (self._rest + piece).split(b"\n")
            yield from lines

    def _gap(self, why: str) -> Iterator[bytes]:
        """Yield an unfinished line whose end is lost, and report the gap."""
        yield from self.unfinished()
        self._missing(why)

    def _file_of(self, part: index.Part) -> BinaryIO | None:
        """Open the generation of a part. It is mostly the neighbour of the last one."""
        beside = generations.opened(self.path, self._number - 1) if self._number else None
        if beside:
            if _is(part, beside):
                self._number -= 1
                return beside
            beside.close()
        for number, file in generations.from_the_newest(self.path):
            if _is(part, file):
                self._number = number
                return file
            file.close()
        return None


def _is(part: index.Part, file: BinaryIO) -> bool:
    """Return whether a file is the generation of this part."""
    found, packed = os.fstat(file.fileno()), isinstance(file, gzip.GzipFile)
    if not packed and found.st_ino != part.inode:
        return False
    if not part.ended:
        return part.is_last and not packed
    size = generations.trailer(file)[1] if packed else found.st_size
    return found.st_mtime_ns == part.ended and size == part.size & 0xFFFFFFFF


def _sizes(path: str) -> dict[int, int]:
    """Return the sizes of the uncompressed files, by inode."""
    found = {}
    for place in (path, *rotated(path).values()):
        with suppress(OSError):
            one = os.stat(place)
            found[one.st_ino] = one.st_size
    return found
