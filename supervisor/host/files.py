"""Replace a file as a whole: write a new one, then rename it. A reader or a crash finds the old file or the new."""

from __future__ import annotations

import os
from contextlib import suppress

from supervisor.host.lookup import with_reserve


def replace(path: str, content: bytes, *, mode: int = 0o600, sync: bool = False) -> None:
    """Replace a file, or make it.

    Args:
        path: the file. The new one is beside it for a moment, as PATH.new.
        content: the new content.
        mode: the mode of the new file, whatever the umask is.
        sync: whether the content and the name are on the disk when this function returns.

    Raises:
        OSError: it cannot be replaced: the old file stays, and there is no new one.
    """
    os.close(replace_open(path, content, mode=mode, sync=sync))


@with_reserve
def replace_open(path: str, content: bytes, *, mode: int = 0o600, sync: bool = False) -> int:
    """Replace a file, as `replace` does, and return its descriptor, to append to it."""
    new = f"{path}.new"
    fd = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)  # for the umask, and for a new file that a crash has left
        _write(fd, content)
        if sync:
            os.fsync(fd)
        os.rename(new, path)
        if sync:
            sync_names(os.path.dirname(path))
    except OSError:
        os.close(fd)
        with suppress(OSError):  # on a full disk even the incomplete file takes too much room
            os.unlink(new)
        raise
    return fd


def _write(fd: int, content: bytes) -> None:
    """Write everything. A disk that becomes full takes a part, then raises an error."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_names(directory: str) -> None:
    """Wait until the names in a directory are on the disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
