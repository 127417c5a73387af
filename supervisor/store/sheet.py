"""The file that the journal is written to: all that it does to a disk, so that a test can be the disk.

Appended to by one write(2) for each turn of the loop, replaced as a whole by a rename(2). What can become of it:

- A supervisor that is killed loses nothing that write(2) has returned for: that is the kernel's by then. Killed in the
  middle of one, it leaves the beginning of it.
- A full file system takes the beginning of a write as well, or nothing.
- A machine that stops loses a runtime directory that is memory. Where it is on a disk, any part of the end may be
  lost, as nothing is synced; but then every process is gone, too, and the boot id in the first line says so.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress


class Sheet:
    """A real one."""

    def __init__(self, path: str) -> None:
        """Nothing is opened before it is read or written."""
        self.path = path
        self.fd = -1

    def read(self) -> bytes | None:
        """All of it; None when there is none."""
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def append(self, data: bytes) -> int:
        """Returns how many bytes were taken: fewer than all when the disk is full, or was.

        Raises:
            OSError: none.
        """
        return os.write(self.fd, data)

    def replace(self, data: bytes) -> None:
        """All of it is this from now on; or, when that fails, what it was.

        Raises:
            OSError: it cannot be.
        """
        fd = os.open(self.path + ".new", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
            os.rename(self.path + ".new", self.path)
        except OSError:
            os.close(fd)
            os.unlink(self.path + ".new")  # the room that it takes is needed
            raise
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = fd

    def whole(self) -> int:
        """Bytes of the file system that it is on: a small one has no room for much that is out of date."""
        found = os.fstatvfs(self.fd)
        return found.f_blocks * found.f_frsize

    def go_on(self) -> int:
        """Appends to what is there. Returns its size."""
        self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return os.fstat(self.fd).st_size

    def put_aside(self, path: str) -> None:
        """Somebody else's: it is kept under another name."""
        os.rename(self.path, path)

    def remove(self) -> None:
        """It is no longer needed."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
