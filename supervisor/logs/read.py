"""Reading logs: the lines of files as they are on the disk, rotated ones included, one after the other or as they grow.

For `supctl logs`, which reads the files itself: the supervisor is not asked for a line of them, and need not even run.
Lines of the formats "plain" and "json" know when they were said and by which stream; those of "raw" do not.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from supervisor.logs.places import rotated

_PLAIN = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (out|err) ")

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


class Follower:
    """What is appended to a file from now on, over rotations, truncations and new beginnings."""

    def __init__(self, path: str) -> None:
        """Begins at the end of the file that is there now."""
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        with suppress(FileNotFoundError):
            self._file = open(path, "rb")  # noqa: SIM115 - it is followed
            self._file.seek(0, os.SEEK_END)

    def more(self) -> list[bytes]:
        """The lines that have come."""
        data = self._read()
        with suppress(FileNotFoundError):
            if not (self._file and os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno()))):
                data += self._read()  # what was written between the last look and the rename
                data += self._skipped()
                data += self._read()
        whole = (self._rest + data).split(b"\n")
        self._rest = whole.pop()
        return whole

    def _read(self) -> bytes:
        if self._file is None:
            return b""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # truncated
        return self._file.read()

    def _skipped(self) -> bytes:
        """Goes on with the newest file; several rotations since the last look have files in between."""
        data, old = b"", self._file
        newer: list[str] = []
        for _, place in sorted(rotated(self.path).items()):
            if old and not place.endswith(".gz") and os.path.samestat(os.stat(place), os.fstat(old.fileno())):
                for missed in reversed(newer):
                    with _open(missed) as file:
                        data += file.read()
                break
            newer.append(place)
        self._file = open(self.path, "rb")  # noqa: SIM115 - it is followed
        if old:
            old.close()
        return data
