"""A log file. The scribe appends whole blocks, rotates the file by size, and makes it again after its removal.

Another program may rename the file (logrotate), truncate it (`copytruncate`) or remove it. So the scribe looks the name
up again twice a second while it writes.

No task shall wait for a disk. So the scribe drops and counts output that it cannot write (a full disk, a lost
directory). As soon as there is room, it writes a line about the loss into the file.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

from supervisor.host.clock import Stamps
from supervisor.logs.access import MODE, Rules, as_user, share
from supervisor.logs.compress import Compressor
from supervisor.logs.format import FORMATS, Buffers, Origin
from supervisor.logs.index import Index
from supervisor.logs.ledger import Ledger
from supervisor.logs.rotate import rotate

LOOK_EVERY = 0.5
"""Seconds between two checks whether the name still leads to the file."""

NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
"""Errors that say nothing about the disk: the output can wait in its FIFO."""


class Loss(NamedTuple):
    """The amount of output that could not be written, and the reason."""

    bytes: int
    lines: int
    why: str


class LogFile:
    """One file; several streams may write to it."""

    def __init__(self, path: str, rules: Rules, ledger: Ledger, compressor: Compressor) -> None:
        """Open nothing yet: the first write opens the file."""
        self.path = path
        self.rules = rules
        self.lost = Loss(0, 0, "")  # since the last successful write
        self._lost_by: Origin | None = None  # the origin of the last lost output
        self._ledger = ledger
        self._compressor = compressor
        self._stamps = Stamps()
        self._fd = -1
        self._looked = 0.0
        self._open_by = ""  # the FIFO whose line has no end yet
        self._regular = True
        self._index = Index(path)
        self._run = ""  # the run to which the end of the file belongs, as the index says
        self._size = -1  # of the file after our last write

    @property
    def most(self) -> int:
        """Return how many bytes a block may have, given the size limit of the file."""
        return max(4096, self.rules.max_size)

    def append(self, fifo: str, origin: Origin, block: bytes, take: int, moment: tuple[float, float]) -> Loss:
        """Append the first `take` bytes of a block. Return how many of them are lost, and why.

        The ledger's entry stays open. The caller closes it after it has taken the block out of its FIFO.

        Args:
            fifo: the name of the FIFO that the block comes from.
            origin: the same, for the reader.
            block: the bytes to write, then possibly the beginning of a line.
            take: how many bytes to write.
            moment: monotonic and wall time.

        Raises:
            OSError: no descriptor is left (`NO_DESCRIPTOR`). No byte is written or lost; a later call may succeed.
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
                self._index_run(found, found.st_size + ends_another, origin.run)
            if self.lost.bytes:
                found = self._write_loss(found, origin, moment[1])
            if self._regular:
                self._ledger.open(fifo, self.path, found, length, block if take == len(block) else block[:take])
            self._write(buffers, length, found.st_size)
        except OSError as error:
            self.close()
            if error.errno in NO_DESCRIPTOR:
                raise
            loss = Loss(take, block.count(b"\n", 0, take), error.strerror or str(error))
            self.lost = Loss(self.lost.bytes + loss.bytes, self.lost.lines + loss.lines, loss.why)
            self._lost_by = origin
            return loss
        self._open_by = "" if block[take - 1] == 0x0A else fifo
        if self.rules.format == "json":
            self._open_by = ""
        return Loss(0, 0, "")

    @property
    def missing(self) -> dict[str, str | int]:
        """Return the loss that the file does not report yet. A successor takes it over with `restore_loss`."""
        origin, lost = self._lost_by, self.lost
        of = {"key": origin.key, "run": origin.run, "stream": origin.stream} if origin else {}
        return {"bytes": lost.bytes, "lines": lost.lines, "why": lost.why, **of}

    def restore_loss(self, missing: dict[str, str | int]) -> None:
        """Take over a loss that an earlier @scribe has not reported."""
        texts = [str(missing.get(name, "")) for name in ("key", "run", "stream")]
        self.lost = Loss(int(missing["bytes"]), int(missing["lines"]), str(missing["why"]))
        self._lost_by = Origin(*texts)

    def report_loss(self, moment: tuple[float, float]) -> None:
        """Report a loss in the file if there is room again, although no task writes any more."""
        if self.lost.bytes and self._lost_by:
            try:
                self._write_loss(self._ready(moment[0], 0), self._lost_by, moment[1])
            except OSError:
                self.close()

    def end(self, fifo: str) -> None:
        """End the last line of a FIFO that has no writer any more. A raw file gets no newline."""
        if self._open_by == fifo:
            self._open_by = ""
            if self.rules.format != "raw" and self._fd >= 0:
                with suppress(OSError):
                    self._size += os.write(self._fd, b"\n")

    def close(self) -> None:
        """Close the file; the next block opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._open_by = self._run = ""

    def _ready(self, now: float, length: int) -> os.stat_result:
        """Open the file, and rotate it if the block would make it too large. Return its stat."""
        if self._fd >= 0 and now - self._looked >= LOOK_EVERY:
            self._check_replaced()
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

    def _check_replaced(self) -> None:
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
            own = not self.rules.user or found.st_uid == os.geteuid()  # else a link
        self._regular = stat.S_ISREG(found.st_mode)
        if self._regular and own and self.rules.gid >= 0:
            share(fd, found, self.rules.gid)
        os.set_blocking(fd, self._regular)
        self._fd = fd
        if self._regular:
            self._index.begin(found, self.rules, anew=found.st_size < self._size)
            self._size = found.st_size
        if self._regular and self.rules.compress:
            self._compressor.add(self.path, self.rules.user)  # a previous scribe may have left files
        if self._regular and found.st_size and self.rules.format != "raw" and not _ends_with_a_line(fd):
            os.write(fd, b"\n")  # a previous scribe was killed in the middle of a long line

    def _index_run(self, found: os.stat_result, begin: int, run: str) -> None:
        """Note in the index that the output from this offset on belongs to this run."""
        if not self._regular:
            return
        if found.st_size < self._size:  # it was truncated
            self._index.begin(found, self.rules, anew=True)
        self._index.record(begin, run, self.rules)
        self._run = run

    def _write_loss(self, found: os.stat_result, origin: Origin, wall: float) -> os.stat_result:
        """Write a line about the lost output into the file."""
        lost = self.lost
        text = f"[supervisor: {lost.bytes} bytes ({lost.lines} lines) are missing here: {lost.why}]\n".encode()
        self._open_by = ""
        buffers = FORMATS[self.rules.format](text, len(text), origin, self._stamps.of(wall), False)
        self._write(buffers, sum(map(len, buffers)), found.st_size)
        self.lost = Loss(0, 0, "")
        return os.fstat(self._fd)

    def _write(self, buffers: Buffers, length: int, size: int) -> None:
        """Write all buffers; a regular file gets all of them or nothing.

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
    """Return whether the last byte of a file is a newline; True for a file that cannot be read."""
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as file:  # by now another file may have its name
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True
