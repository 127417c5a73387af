"""inotify(7): tells that something in a directory changed.

Directories are watched, not files: editors replace a file by renaming a new one over it. By default only finished
writes count, so that a file that an editor has just truncated is never read in between.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

IN_CREATE = 0x00000100

FINISHED = 0x00000008 | 0x00000080 | 0x00000040 | 0x00000200
"""IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE: a file has a new content, or none."""

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """One inotify descriptor and the directories that it watches."""

    def __init__(self, mask: int = FINISHED) -> None:
        """Tells of the events in `mask`.

        Raises:
            OSError: the kernel has no more of them (/proc/sys/fs/inotify/max_user_instances).
        """
        self._mask = mask
        self.fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), f"inotify_init1: {os.strerror(ctypes.get_errno())}")
        self._watched: dict[str, int] = {}

    def set(self, directories: tuple[str, ...]) -> list[str]:
        """Watches these directories and no others. Returns those that cannot be watched."""
        for directory in self._watched.keys() - set(directories):
            _libc.inotify_rm_watch(self.fd, self._watched.pop(directory))
        for directory in directories:
            number = _libc.inotify_add_watch(self.fd, os.fsencode(directory), self._mask)
            if number >= 0:
                self._watched[directory] = number
        return [directory for directory in directories if directory not in self._watched]

    def drain(self) -> None:
        """Forgets what was told; that there was something is all that counts."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 65536):
                pass
