"""The index of a log: which run has said what, in a small file beside it (web.log has .web.log.runs).

A line of a log does not say of which run it is, and its time is that at which it was read, which may be long after the
run has ended. So the scribe, before it writes the first block of another run, notes where that begins:

    4 2621 0 web:1/7@k3f9q1               generation, inode, offset: from here on it is said by this run
    4 2621 81920 web:1/8@k3f9q1
    4 2621 1048501 1764448435000000000    the generation has ended: its size, and when it was last written to
    5 2622 0 web:1/8@k3f9q1

Generations are counted; their names change. The one that is written to is known by its inode; one that was rotated by
its size and time, which it keeps when it is compressed. So it does not matter who rotates, as long as names are as ours
and nothing is copied. What was truncated, copied, removed or given another name is not found again; that is said.

A note is there before what it tells of: a scribe that dies in between has told of nothing, and the next one notes anew.
Generations that have been rotated out are forgotten now and then; of runs that are also in later ones it is kept that
something is gone (generation 0).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from itertools import pairwise
from typing import NamedTuple

from supervisor.logs.access import Rules, as_user, opened, share
from supervisor.logs.places import rotated
from supervisor.logs.rotate import write_all

MOST = 4 << 20
"""Bytes of an index that has noted some hundred thousand runs: it is begun anew, rather than read at length."""

WAITING = 100
"""Notes that wait for room. Of more it is only kept that nobody knows."""

NOBODY = "?@"
"""The run of what was written while nothing could be noted for long."""

LAST = 4096
"""Bytes from the end of an index that hold its last line."""


def place(path: str) -> str:
    """The index of a log."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.runs")


class Mark(NamedTuple):
    """One line."""

    generation: int
    inode: int
    offset: int
    run: str = ""  # from this offset on
    ended: int = 0  # at this time, in ns, and of this size; 0: not

    def line(self) -> str:
        """As it is written."""
        return f"{self.generation} {self.inode} {self.offset} {self.run or self.ended}\n"


class Part(NamedTuple):
    """Something that a run has said in one generation."""

    generation: int
    begin: int
    until: int | None  # where another run begins
    inode: int
    is_last: bool  # of the generations
    size: int  # of the generation, once it was rotated
    ended: int  # when that was last written to, in ns; 0: it has not been rotated

    def end(self, sizes: dict[int, int]) -> int:
        """The offset at which it ends; of a file that is written to by its size now. -1: that is gone."""
        if self.ended:
            return self.size if self.until is None else self.until
        size = sizes.get(self.inode, -1) if self.is_last else -1
        return size if self.until is None or size < self.until else self.until


def parts(every: list[Mark], run: str) -> list[Part]:
    """All that a run has said, in its order, by the marks of a log."""
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
    """The index of a log; empty where there is none."""
    try:
        with FileIO(opened(place(path), os.O_RDONLY)) as file:
            return list(marks(file.read(2 * MOST)))
    except FileNotFoundError:
        return []


def marks(data: bytes) -> Iterator[Mark]:
    """The lines of an index; one that is torn counts for nothing."""
    for line in data.splitlines():
        words = line.decode(errors="replace").split(" ")
        with suppress(ValueError):
            generation, inode, offset = map(int, words[:3])
            if len(words) == 4 and words[3].isdecimal():
                yield Mark(generation, inode, offset, ended=int(words[3]))
            elif len(words) == 4 and "@" in words[3]:
                yield Mark(generation, inode, offset, words[3])


class Index:
    """The one of a log, as the scribe writes it. What there is no room for waits until there is some."""

    def __init__(self, path: str) -> None:
        """Nothing is opened before something is written."""
        self._path = path
        self._place = place(path)
        self._generation = self._inode = 0
        self._ended = 0  # when the last generation was last written to, in ns
        self._waiting: dict[tuple[int, int, bool], str] = {}  # by generation and offset

    def begin(self, found: os.stat_result, rules: Rules, *, anew: bool = False) -> None:
        """The log was opened, and is this file. `anew`: it is shorter than it was, be it under the same inode."""
        last = self._last()
        same = last.inode == found.st_ino and last.offset <= found.st_size and not last.ended
        self._generation, self._inode = last.generation, found.st_ino
        if anew or not same:
            if not last.ended:
                self._end(last, rules)
            self._generation += 1
            with suppress(OSError):
                self._forget(rules)

    def note(self, offset: int, run: str, rules: Rules) -> None:
        """From here on the log is this run's."""
        self._write(Mark(self._generation, self._inode, offset, run), rules)

    def _last(self) -> Mark:
        try:
            with FileIO(opened(self._place, os.O_RDONLY)) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
                return list(marks(file.read()))[-1]
        except (OSError, IndexError):
            return Mark(0, 0, 0)

    def _end(self, last: Mark, rules: Rules) -> None:
        """A generation has another name now: if it is found, it is known again also when it has been compressed."""
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
        """Leaves out the generations that are there no longer, as soon as they are more than those that are."""
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
    """After a line that is torn begins another one."""
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
