"""Rotation: NAME becomes NAME.1, that NAME.2, and so on; what is beyond `keep` is removed.

Only renames, so that no byte is copied, and whoever reads finds each file under one name or the next. One that dies
in between leaves a gap in the numbers, which the next rotation closes instead of pushing the oldest out.

Compression is done aside, by a thread that only reads one file and writes another: which name it then gets is decided
here, as the file may have been rotated on meanwhile. Somebody else may have given a file its name while it is still
written to: such a one is left for later. Level 1 of zlib: a fifth of the time of the default, and a log
becomes about a tenth of its size with either.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress

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


class Compressor:
    """Compresses rotated files, one at a time, the oldest first, in a thread of its own.

    What is compressed is found again by its inode, which no other file can get while it is open here.
    """

    def __init__(self) -> None:
        """Nothing is begun before it is needed."""
        self.fd, self._done = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._paths: dict[str, None] = {}
        self._busy: tuple[str, int, os.stat_result, str] | None = None  # log, what is compressed, as it was, into what
        self._failed = False

    def add(self, path: str) -> None:
        """There may be something to compress beside this log."""
        self._paths[path] = None
        if not self._busy:
            self._next()

    def forget(self, path: str) -> None:
        """No longer."""
        self._paths.pop(path, None)

    def finished(self) -> None:
        """The thread is through with one (`fd` is readable): its file takes the place of the original."""
        os.read(self.fd, 100)
        if self._busy:
            path, source, original, made = self._busy
            self._busy = None
            try:
                if self._failed or _is_written_to(source, original):
                    self._paths.pop(path, None)
                    raise BlockingIOError(path)
                self._replace(path, original, made)
            except OSError:  # the disk is full, or somebody writes to it, or it has been rotated out meanwhile
                with suppress(OSError):
                    os.unlink(made)
            finally:
                os.close(source)
        self._next()

    def _replace(self, path: str, original: os.stat_result, made: str) -> None:
        place = next((p for p in rotated(path).values() if _same(p, original)), "")
        if not place:
            raise FileNotFoundError(path)
        os.chmod(made, original.st_mode & 0o7777)
        os.chown(made, original.st_uid, original.st_gid)
        os.utime(made, ns=(original.st_atime_ns, original.st_mtime_ns))  # by which a reader knows it again
        os.rename(made, f"{place}.gz")
        os.unlink(place)

    def _next(self) -> None:
        for path in list(self._paths):
            plain = {number: place for number, place in rotated(path).items() if not place.endswith(".gz")}
            if plain:
                self._begin(path, plain[max(plain)])
                return
            del self._paths[path]

    def _begin(self, path: str, place: str) -> None:
        try:
            source = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            self._paths.pop(path, None)
            return
        original = os.fstat(source)
        if _is_written_to(source, original):
            os.close(source)
            self._paths.pop(path, None)
            return
        made = path + UNFINISHED
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            target = os.open(made, flags, 0o600)
        except OSError:
            os.close(source)
            self._paths.pop(path, None)
            return
        self._busy, self._failed = (path, source, original, made), False
        threading.Thread(target=self._work, args=(source, target), daemon=True).start()

    def _work(self, source: int, target: int) -> None:
        try:
            compress(lambda: os.read(source, PIECE), lambda data: write_all(target, data))
        except OSError:
            self._failed = True
        finally:
            os.close(target)
            os.write(self._done, b".")


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
