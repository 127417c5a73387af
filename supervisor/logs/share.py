"""Decide which process reads a FIFO. There is one process for each file system that output goes to.

A file system may stop answering, and then blocks each process that writes to it. So @scribe itself writes only to the
root file system and to those in memory. For each other file system it has a separate process (`helpers.writers`).

Two processes never read one FIFO. Before its first look, a reader takes a record lock (fcntl(2)) in a file that all
readers share. The offset of the lock is the inode number of the FIFO. Such a lock ends with its process, even with a
process that hangs.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from supervisor.host.mountpoints import Mounted, Mounts
from supervisor.store import layout

OWN = ""
"""The device of @scribe itself: the root file system, and those in memory."""


class Share:
    """The FIFOs of one reader."""

    def __init__(self, runtime_dir: str, device: str = OWN) -> None:
        """Take as `device` the "MAJOR:MINOR" of the file system that the reader writes to."""
        self.device = device
        self.changes = 0  # how often a path has moved to another file system
        self._runtime_dir = runtime_dir
        self._mounts = Mounts()
        self._known: dict[str, Mounted | None] = {}  # by path
        self._locks = self._opened()

    def _opened(self) -> int:
        return os.open(layout.scribe_readers(self._runtime_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def refresh(self) -> bool:
        """Look at the mounts again after a mount or unmount. Return whether a known path is concerned."""
        before, self._known, self._mounts = self._known, {}, Mounts()
        changed = any(self.mounted(path) != mounted for path, mounted in before.items())
        self.changes += changed
        return changed

    def mounted(self, path: str) -> Mounted | None:
        """Return the file system of a path; None: @scribe itself writes there."""
        if path not in self._known:
            self._known[path] = self._mounts.of(path)
        return self._known[path]

    def owns(self, path: str) -> bool:
        """Return whether this reader has to write there."""
        mounted = self.mounted(path)
        return (mounted.device if mounted else OWN) == self.device

    def lock(self, fifo: int) -> bool:
        """Lock an open FIFO for this reader. Return False if another process still reads it."""
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, os.fstat(fifo).st_ino)
        except OSError:
            return False
        return True

    def unlock(self, fifo: int) -> None:
        """Unlock a FIFO, so that another process may read it."""
        with suppress(OSError):
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, os.fstat(fifo).st_ino)
