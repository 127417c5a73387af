"""The index of a log: which run wrote which part, in a small file beside the log (web.log has .web.log.runs).

A line of a log does not name its run. Its time is the time at which the scribe read it. That may be long after the run
has ended. So the scribe notes where the output of another run begins, before it writes the first block of that run:

    4 2621 0 web:1/7@k3f9q1               generation, inode, offset: from here on the output is of this run
    4 2621 81920 web:1/8@k3f9q1
    4 2621 1048501 1764448435000000000    the generation has ended: its size, and the time of the last write
    5 2622 0 web:1/8@k3f9q1

Generations have numbers, because their file names change. A reader recognizes the current generation by its inode. It
recognizes a rotated one by size and time, which compression keeps. So any program may rotate the log, if it uses our
names and copies nothing. A reader cannot find a generation that was truncated, copied, removed or named otherwise. It
reports that.

The scribe writes a note before the output. If it dies in between, the note covers no output, and the next scribe writes
a new one. Now and then the scribe forgets generations that have been rotated out. If a run is also in later ones, the
index keeps the fact that a part of it is gone (generation 0).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from itertools import pairwise
from typing import NamedTuple

from supervisor.logs.access import Rules, as_user, opened, share
from supervisor.logs.names import rotated
from supervisor.logs.rotate import write_all

MOST = 4 << 20
"""Bytes of an index that has noted some hundred thousand runs. The scribe begins a new one, which is faster to read."""

WAITING = 100
"""Notes that may wait for room. For further notes the index only says that the run is unknown (`NOBODY`)."""

NOBODY = "?@"
"""The run of output that was written while the index had no room for long."""

LAST = 4096
"""Bytes from the end of an index that hold its last line."""


def place(path: str) -> str:
    """Return the path of the index of a log."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.runs")


class Mark(NamedTuple):
    """One line of an index."""

    generation: int
    inode: int
    offset: int
    run: str = ""  # the run of the output from this offset on
    ended: int = 0  # when the generation ended, in ns (`offset` is its size); 0: it has not

    def line(self) -> str:
        """Return the line as the index has it."""
        return f"{self.generation} {self.inode} {self.offset} {self.run or self.ended}\n"


class Part(NamedTuple):
    """A part of a run's output in one generation."""

    generation: int
    begin: int
    until: int | None  # where another run begins
    inode: int
    is_last: bool  # whether this is the newest generation
    size: int  # of the generation, after its rotation
    ended: int  # the time of its last write, in ns; 0: it has not been rotated

    def end(self, sizes: dict[int, int]) -> int:
        """Return the offset of its end; for the current file, the size now. -1: that file is gone."""
        if self.ended:
            return self.size if self.until is None else self.until
        size = sizes.get(self.inode, -1) if self.is_last else -1
        return size if self.until is None or size < self.until else self.until


def parts(every: list[Mark], run: str) -> list[Part]:
    """Return all parts of a run's output, in order, from the marks of a log."""
    ends = {mark.generation: mark for mark in every if mark.ended}
    found: list[Part] = []
    for mark, after in pairwise([*every, Mark(-1, 0, 0)]):
        if mark.run == run:
            until = after.offset if after.generation == mark.generation and not after.ended else None
            end = ends.get(mark.generation, mark)
            is_last = mark.generation == every[-1].generation
            found.append(Part(mark.generation, mark.offset, until, mark.inode, is_last, end.offset, end.ended))
    return found


def read(path: str) -> list[Mark]:
    """Read the index of a log; empty if there is none."""
    try:
        with FileIO(opened(place(path), os.O_RDONLY)) as file:
            return list(marks(file.read(2 * MOST)))
    except FileNotFoundError:
        return []


def marks(data: bytes) -> Iterator[Mark]:
    """Yield the lines of an index; skip an incomplete line."""
    for line in data.splitlines():
        words = line.decode(errors="replace").split(" ")
        with suppress(ValueError):
            generation, inode, offset = map(int, words[:3])
            if len(words) == 4 and words[3].isdecimal():
                yield Mark(generation, inode, offset, ended=int(words[3]))
            elif len(words) == 4 and "@" in words[3]:
                yield Mark(generation, inode, offset, words[3])


class Index:
    """The index of a log, as the scribe writes it. Notes wait in memory while there is no room."""

    def __init__(self, path: str) -> None:
        """Open nothing yet: the first write opens the file."""
        self._path = path
        self._place = place(path)
        self._generation = self._inode = 0
        self._ended = 0  # the time of the last write to the last generation, in ns
        self._waiting: dict[tuple[int, int, bool], str] = {}  # by generation and offset

    def begin(self, found: os.stat_result, rules: Rules, *, anew: bool = False) -> None:
        """Note that the log is now this open file. `anew`: it is shorter than before, maybe with the same inode."""
        last = self._last()
        same = last.inode == found.st_ino and last.offset <= found.st_size and not last.ended
        self._generation, self._inode = last.generation, found.st_ino
        if anew or not same:
            if not last.ended:
                self._end(last, rules)
            self._generation += 1
            with suppress(OSError):
                self._forget(rules)

    def record(self, offset: int, run: str, rules: Rules) -> None:
        """Note that the output from this offset on belongs to this run."""
        self._write(Mark(self._generation, self._inode, offset, run), rules)

    def _last(self) -> Mark:
        try:
            with FileIO(opened(self._place, os.O_RDONLY)) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
                return list(marks(file.read()))[-1]
        except (OSError, IndexError):
            return Mark(0, 0, 0)

    def _end(self, last: Mark, rules: Rules) -> None:
        """Note size and time of a rotated generation, so that a reader recognizes it also after compression."""
        for where in rotated(self._path).values():
            with suppress(OSError):
                found = os.stat(where)
                if found.st_ino == last.inode:
                    if found.st_mtime_ns <= self._ended:  # the same tick of the clock
                        with as_user(rules.user):
                            os.utime(where, ns=(found.st_atime_ns, self._ended + 1))
                        found = os.stat(where)
                    self._ended = found.st_mtime_ns
                    self._write(Mark(last.generation, last.inode, found.st_size, ended=self._ended), rules)
                    return

    def _write(self, mark: Mark, rules: Rules) -> None:
        if len(self._waiting) >= WAITING:
            (generation, offset, _), *_rest = self._waiting
            self._waiting = {(generation, offset, False): Mark(generation, self._inode, offset, NOBODY).line()}
        self._waiting[mark.generation, mark.offset, not mark.run] = mark.line()
        with suppress(OSError):
            _append(self._place, "".join(self._waiting.values()).encode(), rules)
            self._waiting = {}

    def _forget(self, rules: Rules) -> None:
        """Leave out the generations that no longer exist, as soon as they outnumber those that do."""
        if os.stat(self._place).st_size > MOST:
            with as_user(rules.user):
                os.unlink(self._place)
        every = read(self._path)
        oldest = self._generation - rules.keep
        if len({mark.generation for mark in every}) <= 2 * rules.keep + 2:
            return
        kept = [mark for mark in every if mark.generation >= oldest]
        cut = {mark.run for mark in kept} & {mark.run for mark in every if mark.generation < oldest} - {""}
        gone = [Mark(0, 0, 0, run) for run in sorted(cut)]
        new = f"{self._place}.new"
        with as_user(rules.user), suppress(FileNotFoundError):
            os.unlink(new)
        _append(new, "".join(mark.line() for mark in (*gone, *kept)).encode(), rules)
        with as_user(rules.user):
            os.rename(new, self._place)


def _append(where: str, data: bytes, rules: Rules) -> None:
    """Append to the index. After an incomplete line, begin a new one."""
    with as_user(rules.user):
        fd = opened(where, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        found = os.fstat(fd)
        if rules.gid >= 0:
            share(fd, found, rules.gid)
        whole = not found.st_size or os.pread(fd, 1, found.st_size - 1) == b"\n"
        write_all(fd, data if whole else b"\n" + data)
    finally:
        os.close(fd)
