"""inotify(7): tells that something in a directory changed.

Directories are watched, not files: editors replace a file by renaming a new one over it. By default only finished
writes count, so that a file that an editor has just truncated is never read in between.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from struct import Struct

IN_MOVED_TO = 0x00000080
IN_SELF = 0x00000400 | 0x00000800
IN_CREATE = 0x00000100
IN_DELETE = 0x00000200

GONE = 0x00000400 | 0x00000800 | 0x00008000
"""IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED: the directory itself has been removed or replaced."""

FINISHED = 0x00000008 | 0x00000080 | 0x00000040 | 0x00000200
"""IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE: a file has a new content, or none."""

_EVENT = Struct("iIII")

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
        self._names: dict[int, list[str]] = {}

    def set(self, places: tuple[tuple[str, str], ...]) -> list[str]:
        """Watches these places (directory, glob of names) and no others. Returns the directories that fail."""
        directories = dict.fromkeys(directory for directory, _ in places)
        for directory in self._watched.keys() - directories.keys():
            _libc.inotify_rm_watch(self.fd, self._watched.pop(directory))
        self._names = {}
        for directory in directories:
            number = _libc.inotify_add_watch(self.fd, os.fsencode(directory), self._mask | IN_SELF | IN_CREATE)
            if number >= 0:
                old = self._watched.get(directory, number)
                if old != number:  # another directory has taken its place
                    _libc.inotify_rm_watch(self.fd, old)
                self._watched[directory] = number
                names = [name for place, name in places if place == directory]
                self._names.setdefault(number, []).extend(names)  # two paths may lead to one directory
        return [directory for directory in directories if directory not in self._watched]

    def concerned(self) -> bool:
        """Reads what the kernel tells; whether any of it is about a name that is watched for."""
        found = False
        with suppress(BlockingIOError):
            while data := os.read(self.fd, 65536):
                found = any(self._matches(*event) for event in _events(data)) or found
        return found

    def names(self) -> list[str] | None:
        """Reads what the kernel tells; the names that it is about, None when it has told too much to keep."""
        found: list[str] = []
        with suppress(BlockingIOError):
            while data := os.read(self.fd, 65536):
                for number, _mask, name in _events(data):
                    if number < 0:
                        return None
                    found.append(name)
        return found

    def _matches(self, number: int, mask: int, name: str) -> bool:
        if number < 0:
            return True
        if number not in self._names:  # of a directory that is no longer watched
            return False
        if mask & GONE:
            return True
        wanted = any(fnmatchcase(name, pattern) for pattern in self._names[number])
        return wanted and (not mask & IN_CREATE or self._complete(number, name))

    def _complete(self, number: int, name: str) -> bool:
        """Whether a new name needs no write to be told of: a link, or any for who asked for IN_CREATE itself."""
        directory = next(path for path, watch in self._watched.items() if watch == number)
        return bool(self._mask & IN_CREATE) or os.path.islink(os.path.join(directory, name))


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Watch, mask and name of each struct inotify_event; the watch of an overflow of the queue is -1."""
    at = 0
    while at < len(data):
        number, mask, _cookie, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        yield number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
        at += length
