"""Write the file of the journal: all access to the disk is here, so that a test can replace the disk.

One write(2) for each turn of the loop appends to the file. A rename(2) replaces it as a whole. These faults can occur:

- A supervisor is killed. It loses nothing for which write(2) has returned: the kernel has that data. If it is killed
  during a write, the file has the first part of it.
- The file system is full. The file has the first part of a write, or nothing of it.
- The machine stops. A runtime directory in memory is lost. On a disk, any part of the end may be lost, as nothing is
  synced. But then every process is gone, too, and the boot id in the first line shows it.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from supervisor.host import files

END = b'{"end":true}\n'
"""A line after which all others are out of date: the process was killed while it made the file shorter."""


class JournalFile:
    """The journal's file on a real disk."""

    def __init__(self, path: str) -> None:
        """Open nothing yet: the first read or write does."""
        self.path = path
        self.fd = -1

    def read(self) -> bytes | None:
        """Return the whole content, without what is out of date after `END`; None when there is no file."""
        try:
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        end = content.find(b"\n" + END)
        return content if end < 0 else content[: end + 1]

    def append(self, data: bytes) -> int:
        """Append data and return the number of written bytes: fewer than all when the disk is full, or was.

        Raises:
            OSError: nothing was written.
        """
        return os.write(self.fd, data)

    def replace(self, data: bytes) -> None:
        """Replace the whole content; on a failure the old content stays.

        Raises:
            OSError: it cannot be replaced.
        """
        fd = files.replace_open(self.path, data)
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = fd

    def shrink(self, data: bytes) -> None:
        """Replace the whole content by a shorter one, in its place: a full disk has room for that.

        If the process is killed before the file has its new end, `END` is in the place of that.

        Raises:
            OSError: the content is not shorter, or cannot be written.
        """
        fd = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            if size < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.pwrite(fd, (data + END)[:size], 0)  # no old line has room behind a part of `END`
            os.ftruncate(fd, len(data))
        finally:
            os.close(fd)

    def size_of_disk(self) -> int:
        """Return the size of its file system in bytes: a small one has little room for outdated lines."""
        found = os.fstatvfs(self.fd)
        return found.f_blocks * found.f_frsize

    def open_to_append(self) -> int:
        """Open the existing file to append to it; return its size."""
        self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return os.fstat(self.fd).st_size

    def set_aside(self, path: str) -> None:
        """Rename a file that this version cannot use, and so keep it."""
        os.rename(self.path, path)

    def remove(self) -> None:
        """Remove the file: it is no longer needed."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
