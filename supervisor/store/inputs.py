"""Keep the input of firings on disk: the content that `supctl run --stdin` has read, a file for each firing.

The content comes as a sealed memory file (memfd_create(2)): it cannot change, and reading it never waits for another
program. An errand copies it. So neither the parent nor @timekeeper waits for the disk. A file is complete and on disk
before its firing is written.

@timekeeper removes files (`sweep`): those of firings that are forgotten, and the oldest of those that are over when
they need too much room.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from fcntl import F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl

from supervisor.host.files import sync_names
from supervisor.store import layout

LARGEST = 64 << 20
"""Bytes of one input."""

RESERVE = 64 << 20
"""Bytes of the disk that an input must leave free: for the history, the firings and the logs."""

OVER = 256 << 20
"""Bytes of the inputs of firings that are over, which are kept for a repetition."""

UNKNOWN = 3600.0
"""Seconds after which a file that belongs to no firing is removed. Before that its firing may be on its way."""

PIECE = 1 << 20

SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE


def seal(fd: int) -> None:
    """Seal a memory file.

    Raises:
        OSError: it is no memory file that can be sealed.
    """
    fcntl(fd, F_ADD_SEALS, SEALS)


def store(fd: int, state_dir: str, firing: str) -> str:
    """Copy a sealed memory file to the disk, and return the path.

    Raises:
        OSError: the disk is full, read-only or gone; or the content is not sealed, or too large.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode) or (_seals(fd) & SEALS) != SEALS:
        raise OSError("the input must come as a sealed memory file (memfd_create)")
    size = os.fstat(fd).st_size
    if size > LARGEST:
        raise OSError(f"the input has {size} bytes; allowed: up to {LARGEST}")
    path = layout.input_of(state_dir, firing)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    disk = os.statvfs(os.path.dirname(path))
    if (free := disk.f_bavail * disk.f_frsize) < size + RESERVE:
        raise OSError(f"the input needs {size} bytes, and {RESERVE} must stay free, but {state_dir} has {free}")
    try:
        _copy(fd, path, size)
        sync_names(os.path.dirname(path))
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise
    return path


def sweep(state_dir: str, needed: Iterable[str], over: Iterable[str], now: float) -> None:
    """Remove the files that nobody needs any more. An error leaves them to the next call.

    Args:
        state_dir: the state directory.
        needed: the paths of firings that are not over.
        over: those of firings that are over, the newest first.
        now: seconds since 1970.
    """
    kept, left = set(needed), OVER
    for path in over:
        with suppress(OSError):
            left -= os.stat(path).st_size
            if left < 0:
                os.unlink(path)
            kept.add(path)
    with suppress(OSError), os.scandir(layout.inputs(state_dir)) as entries:
        for entry in entries:
            if entry.path not in kept and not 0 <= now - entry.stat().st_mtime < UNKNOWN:
                os.unlink(entry.path)


def _seals(fd: int) -> int:
    try:
        return fcntl(fd, F_GET_SEALS)
    except OSError:  # it is another kind of file
        return 0


def _copy(fd: int, path: str, size: int) -> None:
    """Copy into a new file, which the task may read (also through /dev/stdin) but its directory protects."""
    new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        done = 0
        while done < size:
            done += os.write(new, os.pread(fd, PIECE, done))
        os.fchmod(new, 0o444)
        os.fsync(new)
    finally:
        os.close(new)
