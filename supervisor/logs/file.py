"""A log file: appended to in whole blocks, rotated by size, made again when somebody removed it.

Somebody else may rename it (logrotate), truncate it (`copytruncate`) or remove it: twice a second, while something is
written, the name is looked up again. What cannot be written (a full disk, a lost directory) is dropped and counted, as
no task shall wait for a disk; the file itself says so as soon as there is room.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import NamedTuple

from supervisor.host.clock import Stamps
from supervisor.logs.access import MODE, Rules, as_user, share
from supervisor.logs.format import FORMATS, Buffers, Origin
from supervisor.logs.index import Index
from supervisor.logs.ledger import Ledger
from supervisor.logs.rotate import Compressor, rotate

LOOK_EVERY = 0.5
"""Seconds between two looks whether the name still leads to the file."""


class Loss(NamedTuple):
    """What could not be written, and why."""

    bytes: int
    lines: int
    why: str


class LogFile:
    """One file; several streams may write to it."""

    def __init__(self, path: str, rules: Rules, ledger: Ledger, compressor: Compressor) -> None:
        """Nothing is opened before something is written."""
        self.path = path
        self.rules = rules
        self.lost = Loss(0, 0, "")  # since it could last be written
        self._lost_by: Origin | None = None  # whose output was the last of it
        self._ledger = ledger
        self._compressor = compressor
        self._stamps = Stamps()
        self._fd = -1
        self._looked = 0.0
        self._open_by = ""  # the FIFO whose line is not at its end yet
        self._regular = True
        self._index = Index(path)
        self._run = ""  # to which the index says that the end of the file belongs
        self._size = -1  # of the file after we have last written

    @property
    def most(self) -> int:
        """Bytes of a block that make sense for a file of this size."""
        return max(4096, self.rules.max_size)

    def append(self, fifo: str, origin: Origin, block: bytes, take: int, moment: tuple[float, float]) -> Loss:
        """Appends the first `take` bytes of a block. Returns what of them is lost, and why.

        The ledger's entry is left open: the caller closes it when the block is taken out of its FIFO.

        Args:
            fifo: the name of the FIFO that it comes from.
            origin: the same, for the reader.
            block: begins with what is to be written; the rest is the begin of a line.
            take: the bytes that count.
            moment: monotonic and wall time.
        """
        goes_on = self._open_by == fifo
        buffers = FORMATS[self.rules.format](block, take, origin, self._stamps.of(moment[1]), goes_on)
        ends_another = bool(self._open_by) and not goes_on and self.rules.format != "raw"
        if ends_another:
            buffers.insert(0, b"\n")
        length = sum(map(len, buffers))
        try:
            found = self._ready(moment[0], length)
            if origin.run != self._run or found.st_size != self._size:
                self._note(found, found.st_size + ends_another, origin.run)
            if self.lost.bytes:
                found = self._confess(found, origin, moment[1])
            if self._regular:
                self._ledger.open(fifo, self.path, found, length, block if take == len(block) else block[:take])
            self._write(buffers, length, found.st_size)
        except OSError as error:
            self.close()
            loss = Loss(take, block.count(b"\n", 0, take), error.strerror or str(error))
            self.lost = Loss(self.lost.bytes + loss.bytes, self.lost.lines + loss.lines, loss.why)
            self._lost_by = origin
            return loss
        self._open_by = "" if block[take - 1] == 0x0A else fifo
        if self.rules.format == "json":
            self._open_by = ""
        return Loss(0, 0, "")

    def confess(self, moment: tuple[float, float]) -> None:
        """Says what is missing, if there is room again, though nobody writes any more."""
        if self.lost.bytes and self._lost_by:
            try:
                self._confess(self._ready(moment[0], 0), self._lost_by, moment[1])
            except OSError:
                self.close()

    def end(self, fifo: str) -> None:
        """Nobody writes to this FIFO any more: a last line without a newline gets one, but in a raw file."""
        if self._open_by == fifo:
            self._open_by = ""
            if self.rules.format != "raw" and self._fd >= 0:
                with suppress(OSError):
                    self._size += os.write(self._fd, b"\n")

    def close(self) -> None:
        """Closes it; the next block opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._open_by = self._run = ""

    def _ready(self, now: float, length: int) -> os.stat_result:
        """The file, opened, and rotated if the block would make it too large."""
        if self._fd >= 0 and now - self._looked >= LOOK_EVERY:
            self._look_again()
            self._looked = now
        if self._fd < 0:
            self._open()
            self._looked = now
        found = os.fstat(self._fd)
        full = self._regular and found.st_size and found.st_size + length > self.rules.max_size
        endless = found.st_size > 2 * self.rules.max_size  # one line of this length is cut
        if full and (endless or not self._open_by):
            self._rotate()
            found = os.fstat(self._fd)
        return found

    def _look_again(self) -> None:
        try:
            same = os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            same = False
        if not same:
            self.close()

    def _rotate(self) -> None:
        with as_user(self.rules.user):
            rotate(self.path, self.rules.keep)
        self.close()
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK
        with as_user(self.rules.user):
            try:
                fd = os.open(self.path, flags, MODE)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
                fd = os.open(self.path, flags, MODE)
            found = os.fstat(fd)
            own = not self.rules.user or found.st_uid == os.geteuid()  # or a link to what he may only write to
        self._regular = stat.S_ISREG(found.st_mode)
        if self._regular and own and self.rules.gid >= 0:
            share(fd, found, self.rules.gid)
        os.set_blocking(fd, self._regular)
        self._fd = fd
        if self._regular:
            self._index.begin(found, self.rules, anew=found.st_size < self._size)
            self._size = found.st_size
        if self._regular and self.rules.compress:
            self._compressor.add(self.path, self.rules.user)  # what a scribe before has left
        if self._regular and found.st_size and self.rules.format != "raw" and not _ends_with_a_line(fd):
            os.write(fd, b"\n")  # a scribe was killed in the middle of a long line

    def _note(self, found: os.stat_result, begin: int, run: str) -> None:
        """What is written next, from this offset on, is said by this run."""
        if not self._regular:
            return
        if found.st_size < self._size:  # somebody has truncated it
            self._index.begin(found, self.rules, anew=True)
        self._index.note(begin, run, self.rules)
        self._run = run

    def _confess(self, found: os.stat_result, origin: Origin, wall: float) -> os.stat_result:
        """Says in the file what is missing here."""
        lost = self.lost
        text = f"[supervisor: {lost.bytes} bytes ({lost.lines} lines) are missing here: {lost.why}]\n".encode()
        self._open_by = ""
        buffers = FORMATS[self.rules.format](text, len(text), origin, self._stamps.of(wall), False)
        self._write(buffers, sum(map(len, buffers)), found.st_size)
        self.lost = Loss(0, 0, "")
        return os.fstat(self._fd)

    def _write(self, buffers: Buffers, length: int, size: int) -> None:
        """All of it or, in a regular file, nothing.

        Raises:
            OSError: there is no room.
        """
        written = os.writev(self._fd, buffers)
        if written == length:
            self._size = size + length
            return
        try:
            view = memoryview(b"".join(buffers))[written:]
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            if self._regular:
                os.ftruncate(self._fd, size)
            raise
        self._size = size + length


def _ends_with_a_line(fd: int) -> bool:
    """Whether the last byte of a file is a newline; one that cannot be read is taken at its best."""
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as file:  # its name may be another one's by now
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True
