"""Rotation: NAME becomes NAME.1, that NAME.2, and so on; what is beyond `keep` is removed.

Only renames, so that no byte is copied, and whoever reads finds each file under one name or the next. One that dies
in between leaves a gap in the numbers, which the next rotation closes instead of pushing the oldest out.

Compression is done aside, by a thread that only reads one file and writes another: which name it then gets is decided
here, as the file may have been rotated on meanwhile. Somebody else may have given a file its name while it is still
written to: such a one is left for later. The names may lie in a directory of a task's user, who may put anything there
at any moment: they are looked up with his rights only, and what needs ours is done to what is open. Level 1 of zlib: a
fifth of the time of the default, and a log becomes about a tenth of its size with either.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from supervisor.logs.access import as_user, opened
from supervisor.logs.places import rotated

LEVEL = 1
GZIP = 31
"""zlib's window bits for a gzip header and trailer."""

PIECE = 1 << 20
UNFINISHED = ".gz.new"


def rotate(path: str, keep: int) -> None:
    """Gives the file its next name; `keep` = 0: none, it is removed.

    Raises:
        OSError: a name cannot be given.
    """
    there = rotated(path)
    gap = next(number for number in range(1, len(there) + 2) if number not in there)
    for number in [n for n in there if n > keep or n == keep < gap]:
        _remove(there.pop(number))
        _remove(f"{path}.{number}.gz")
    for number in range(min(gap, keep) - 1, 0, -1):
        place = there[number]
        if not place.endswith(".gz"):
            _remove(f"{place}.gz")  # a compression that was finished but for the removal of what it was made from
        os.rename(place, place.replace(f"{path}.{number}", f"{path}.{number + 1}", 1))
    if keep:
        os.rename(path, f"{path}.1")
    else:
        os.unlink(path)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


class Job(NamedTuple):
    """What is being compressed."""

    log: str
    user: str | None  # whose rights open it
    source: int
    original: os.stat_result  # the source, as it was
    made: str  # what it is compressed into
    target: int  # the same, opened


class Compressor:
    """Compresses rotated files, one at a time, the oldest first, in a thread of its own.

    What is compressed is found again by its inode, which no other file can get while it is open here.
    """

    def __init__(self) -> None:
        """Nothing is begun before it is needed."""
        self.fd, self._done = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._users: dict[str, str | None] = {}  # by log
        self._busy: Job | None = None
        self._failed = False

    def add(self, path: str, user: str | None = None) -> None:
        """There may be something to compress beside this log. `user`: as in `Rules`."""
        self._users[path] = user
        if not self._busy:
            self._next()

    def finished(self) -> None:
        """The thread is through with one (`fd` is readable): its file takes the place of the original."""
        os.read(self.fd, 100)
        if self._busy:
            job, self._busy = self._busy, None
            try:
                if self._failed or _is_written_to(job.source, job.original):
                    self._users.pop(job.log, None)
                    raise BlockingIOError(job.log)
                _replace(job)
            except OSError:  # the disk is full, or somebody writes to it, or it has been rotated out meanwhile
                with suppress(OSError), as_user(job.user):
                    os.unlink(job.made)
            finally:
                os.close(job.source)
                os.close(job.target)
        self._next()

    def _next(self) -> None:
        for path, user in list(self._users.items()):
            plain = {number: place for number, place in rotated(path).items() if not place.endswith(".gz")}
            if plain and (job := _begun(path, user, plain[max(plain)])):
                self._busy, self._failed = job, False
                threading.Thread(target=self._work, args=(job.source, job.target), daemon=True).start()
                return
            del self._users[path]

    def _work(self, source: int, target: int) -> None:
        try:
            compress(lambda: os.read(source, PIECE), lambda data: write_all(target, data))
        except OSError:
            self._failed = True
        finally:
            os.write(self._done, b".")


def _begun(path: str, user: str | None, place: str) -> Job | None:
    """With both files open; None: not now."""
    made = path + UNFINISHED
    with suppress(OSError), as_user(user):
        source = opened(place, os.O_RDONLY)
        try:
            original = os.fstat(source)
            if _is_written_to(source, original):
                raise BlockingIOError(place)
            _remove(made)
            target = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            os.close(source)
            raise
        return Job(path, user, source, original, made, target)
    return None


def _replace(job: Job) -> None:
    original = job.original
    os.fchown(job.target, -1 if job.user else original.st_uid, original.st_gid)
    os.fchmod(job.target, original.st_mode & 0o666)
    os.utime(job.target, ns=(original.st_atime_ns, original.st_mtime_ns))  # by which a reader knows it again
    with as_user(job.user):
        place = next((p for p in rotated(job.log).values() if _same(p, original)), "")
        if not place:
            raise FileNotFoundError(job.log)
        os.rename(job.made, f"{place}.gz")
        os.unlink(place)


def _is_written_to(fd: int, original: os.stat_result) -> bool:
    """Whether a file has changed since, or somebody has it open for writing, as far as its file system tells.

    A lease (fcntl(2)) is given only of a file that nobody has open so; the signal for who opens it then is one that
    does nothing.
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
    except OSError:  # no leases here, or the file is somebody else's
        return False
    return False


def _same(place: str, original: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(place), original)
    except OSError:
        return False


def compress(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    """As gzip(1)."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    while piece := read():
        write(packer.compress(piece))
    write(packer.flush())


def write_all(fd: int, data: bytes | memoryview) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
