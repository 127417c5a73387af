"""Compress rotated files, one piece at a time, between the blocks of output.

Compression needs no thread and no process, because there may be none left. It may fail for any reason; the scribe then
tries again later. The original stays until the compressed file is complete. "Complete" means that:

- the scribe has read the file back;
- it has the length and the checksum of the original;
- it is on the disk.

A rotation may rename a file during its compression. The scribe then finds the file again by its inode. Another program
may rotate a file that is still written to. The scribe leaves such a file for later.

The files may lie in a directory of a task's user. That user may put anything there at any moment. So the scribe looks
the names up with the rights of that user. It sets owner and mode only on open files.

zlib's level 1 takes a fifth of the time of the default. With either level a log shrinks to about a tenth of its size.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.deadlines import first
from supervisor.logs.access import as_user, opened
from supervisor.logs.names import rotated
from supervisor.logs.rotate import remove, write_all

LEVEL = 1
GZIP = 31
"""zlib's window bits for a gzip header and trailer."""

PIECE = 64 * 1024
"""Bytes of one step, about a millisecond."""

PAUSE = 9.0
"""The pause after a step, as a multiple of the step's time, while there is output. Compression gets a tenth."""

AGAIN = 60.0
"""Seconds until the next try after a failure (no room, no memory or no descriptor)."""

UNFINISHED = ".gz.new"

FAILURES = (OSError, MemoryError, zlib.error)
"""The errors that may end a step."""


class Job(NamedTuple):
    """One compression that is under way."""

    log: str
    user: str | None  # the user whose rights open it
    place: str  # the name of the source at first
    source: int
    original: os.stat_result  # the source, as it was
    made: str  # the name of the compressed file
    target: int  # the same, opened


class Compressor:
    """Compresses rotated files, one at a time, the oldest first.

    It finds a file again by its inode. No other file can get that inode while the file is open here.
    """

    def __init__(self, report: Callable[[str], None] = lambda _: None) -> None:
        """Begin nothing yet. `report` gets a sentence when compression fails, and "" when it works again."""
        self._report = report
        self._users: dict[str, str | None] = {}  # by log: there may be something to compress beside it
        self._later: dict[str, float] = {}  # logs with a failure: when to try again
        self._job: Job | None = None
        self._steps: Iterator[None] = iter(())
        self._next: float | None = None
        self.busy = False  # whether there is output now

    def add(self, path: str, user: str | None = None) -> None:
        """Look for files to compress beside this log. `user`: as in `Rules`."""
        self._users[path] = user
        if not self._job:
            at = self._later.get(path, 0.0)
            self._next = first((self._next, at))

    def next_deadline(self) -> float | None:
        """Return the monotonic time of the next step; None: there is nothing to do."""
        return self._next

    def due(self, now: float) -> None:
        """Do one step. While there is output, the next step comes after a pause."""
        began = clock.now()
        if self._job is None:
            self._begin(now)
        else:
            self._step(self._job, now)
        pause = PAUSE * (clock.now() - began) if self.busy else 0.0
        self._next = now + pause if self._job or self._waiting(now) else min(self._later.values(), default=None)

    def close(self) -> None:
        """End, and remove an incomplete compressed file."""
        if self._job:
            self._give_up(self._job)
        self._next = None

    def _waiting(self, now: float) -> list[str]:
        return [path for path in self._users if self._later.get(path, 0.0) <= now]

    def _begin(self, now: float) -> None:
        """Begin with the next log that has a file to compress."""
        for path in self._waiting(now):
            self._later.pop(path, None)
            plain = {number: place for number, place in rotated(path).items() if not place.endswith(".gz")}
            try:
                if plain:
                    self._job = _begun(path, self._users[path], plain[max(plain)])
                    self._steps = _compressed(self._job)
                    return
            except (BlockingIOError, FileNotFoundError):  # it has a writer, or was removed
                pass
            except FAILURES as error:
                self._failed(path, plain[max(plain)], error, now)
                continue
            del self._users[path]

    def _step(self, job: Job, now: float) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self._end(job)
            if not self._later:
                self._report("")
        except FileNotFoundError:  # it has been rotated out meanwhile
            self._give_up(job)
        except BlockingIOError:  # it has a writer
            self._give_up(job)
            self._users.pop(job.log, None)
        except FAILURES as error:
            self._give_up(job)
            self._failed(job.log, job.place, error, now)

    def _failed(self, log: str, place: str, error: Exception, now: float) -> None:
        self._later[log] = now + AGAIN
        self._report(f"{place} cannot be compressed: {in_words(error)}; it stays as it is, and is tried again")

    def _give_up(self, job: Job) -> None:
        with suppress(OSError), as_user(job.user):
            os.unlink(job.made)
        self._end(job)

    def _end(self, job: Job) -> None:
        self._job, self._steps = None, iter(())
        os.close(job.source)
        os.close(job.target)


def _begun(path: str, user: str | None, place: str) -> Job:
    """Open both files of a compression.

    Raises:
        OSError: it cannot begin now.
    """
    made = path + UNFINISHED
    with as_user(user):
        source = opened(place, os.O_RDONLY)
        try:
            original = os.fstat(source)
            if _is_written_to(source, original):
                raise BlockingIOError(place)
            remove(made)
            target = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            os.close(source)
            raise
    return Job(path, user, place, source, original, made, target)


def _compressed(job: Job) -> Iterator[None]:
    """Compress a file, read the result back, and replace the original. Yield after each piece.

    Raises:
        OSError, MemoryError, zlib.error: it cannot be done now. The original is as it was.
    """
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    checksum = found = length = 0
    while piece := os.read(job.source, PIECE):
        checksum, length = zlib.crc32(piece, checksum), length + len(piece)
        write_all(job.target, packer.compress(piece))
        yield
    write_all(job.target, packer.flush())
    if _is_written_to(job.source, job.original):
        raise BlockingIOError(job.log)
    read = length
    for piece in _unpacked(job.target):
        length -= len(piece)
        found = zlib.crc32(piece, found)
        yield
    if found != checksum or length or read != job.original.st_size:
        raise OSError(errno.EIO, "the compressed file does not have the same content")
    yield
    _replace(job)


def _unpacked(fd: int) -> Iterator[bytes]:
    """Yield the content of a compressed file, in pieces.

    Raises:
        OSError, zlib.error: it cannot be read to its end.
    """
    unpacker, at = zlib.decompressobj(GZIP), 0
    while not unpacker.eof:
        data = unpacker.unconsumed_tail
        if not data:
            data = os.pread(fd, PIECE, at)
            at += len(data)
        piece = unpacker.decompress(data, PIECE)
        if not data and not piece:
            raise zlib.error("the end is missing")
        yield piece


def _replace(job: Job) -> None:
    original = job.original
    if _is_written_to(job.source, original):
        raise BlockingIOError(job.log)
    os.fchown(job.target, -1 if job.user else original.st_uid, original.st_gid)
    os.fchmod(job.target, original.st_mode & 0o666)
    os.utime(job.target, ns=(original.st_atime_ns, original.st_mtime_ns))  # a reader recognizes the generation by it
    os.fsync(job.target)
    with as_user(job.user):
        place = next((p for p in rotated(job.log).values() if _same(p, original)), "")
        if not place:
            raise FileNotFoundError(job.log)
        os.rename(job.made, f"{place}.gz")
        _sync_names(os.path.dirname(place))
        os.unlink(place)


def _sync_names(folder: str) -> None:
    """Sync the new name before the old one goes. Skip a directory that the user may not read."""
    with suppress(PermissionError):
        fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _is_written_to(fd: int, original: os.stat_result) -> bool:
    """Return whether a file has changed, or is open for writing, as far as its file system shows.

    The kernel grants a read lease (fcntl(2)) only on a file that nobody has open for writing. If somebody opens the
    file later, the kernel sends this process a signal that does nothing.
    """
    found = os.fstat(fd)
    if (found.st_size, found.st_mtime_ns) != (original.st_size, original.st_mtime_ns):
        return True
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # no leases here, or the file has another owner
        return False
    return False


def _same(place: str, original: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(place), original)
    except OSError:
        return False
