"""inotify(7): tells that something in a directory changed.

Directories are watched, not files: editors replace a file by renaming a new one over it. Only finished writes count
(IN_CLOSE_WRITE, IN_MOVED_TO), so that a file that an editor has just truncated is never read in between.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_MASK = 0x00000008 | 0x00000080 | 0x00000040 | 0x00000200 | 0x00000004
"""IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB"""

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """One inotify descriptor and the directories that it watches."""

    def __init__(self) -> None:
        """Raises OSError when the kernel has no more of them (/proc/sys/fs/inotify/max_user_instances)."""
        self.fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), f"inotify_init1: {os.strerror(ctypes.get_errno())}")
        self._watched: dict[str, int] = {}

    def set(self, directories: tuple[str, ...]) -> list[str]:
        """Watches these directories and no others. Returns those that cannot be watched."""
        for directory in self._watched.keys() - set(directories):
            _libc.inotify_rm_watch(self.fd, self._watched.pop(directory))
        for directory in directories:
            number = _libc.inotify_add_watch(self.fd, os.fsencode(directory), _MASK)
            if number >= 0:
                self._watched[directory] = number
        return [directory for directory in directories if directory not in self._watched]

    def drain(self) -> None:
        """Forgets what was told; that there was something is all that counts."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 65536):
                pass
