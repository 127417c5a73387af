"""Watch directories for changes with inotify(7).

It watches directories, not files: editors replace a file by renaming a new one over it. By default only finished writes
count. So a file that an editor has just truncated is not read.

A user has a limited number of inotify instances and watches, and a filter of system calls may refuse them. A `Watch`
that gets none says why and reports that anything may have changed. `Descriptors.add_watch` then asks it at intervals.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Collection, Iterator
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

REFUSED = (errno.ENOSPC, errno.ENOMEM, errno.EPERM, errno.ENOSYS)
"""Errors of inotify_add_watch(2) that say nothing about the directory: the kernel has no watch for us."""

_EVENT = Struct("iIII")

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """One inotify descriptor and the directories that it watches."""

    def __init__(self, mask: int = FINISHED) -> None:
        """Report the events in `mask`. Without an inotify instance `fd` is -1 and `why` says why."""
        self._mask = mask
        self.fd = -1
        self.why = ""  # why the kernel does not report every directory; "" when it does
        self._missed = False  # something may have happened that the kernel did not report
        self._places: tuple[tuple[str, str], ...] = ()
        self._watched: dict[str, int] = {}
        self._names: dict[int, list[str]] = {}
        self._start()

    def _start(self) -> None:
        if self.fd < 0:
            self.fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            self.why = "" if self.fd >= 0 else f"inotify: {reason(ctypes.get_errno())}"
        self._missed = self._missed or bool(self.why)

    def set(self, places: tuple[tuple[str, str], ...]) -> list[str]:
        """Watch these places (directory, glob of names) and no others. Return the directories that fail."""
        self._places = places
        self._start()
        if self.fd < 0:
            return []
        directories = dict.fromkeys(directory for directory, _ in places)
        self._forget_others(directories)
        self.why = ""
        for directory in directories:
            number, code = add(self.fd, directory, self._events)
            if number >= 0:
                self._register(directory, number)
            elif code in REFUSED:
                self.why = f"inotify: {reason(code, watch=True)}"
        self._missed = self._missed or bool(self.why)
        return [directory for directory in directories if directory not in self._watched and not self.why]

    def retry(self) -> None:
        """Ask the kernel again for the watches that it has refused."""
        self.set(self._places)

    @property
    def _events(self) -> int:
        """The events that the kernel must report."""
        return self._mask | IN_SELF | IN_CREATE

    def _forget_others(self, directories: Collection[str]) -> None:
        """Stop watching all but these directories. Their names must be registered again."""
        for directory in self._watched.keys() - set(directories):
            _libc.inotify_rm_watch(self.fd, self._watched.pop(directory))
        self._names = {}

    def _register(self, directory: str, number: int) -> None:
        """Note the kernel's number of a directory."""
        old = self._watched.get(directory, number)
        if old != number:  # another directory has taken its place
            _libc.inotify_rm_watch(self.fd, old)
            self._names.pop(old, None)
        self._watched[directory] = number
        names = [name for place, name in self._places if place == directory]
        self._names.setdefault(number, []).extend(names)  # two paths may lead to one directory

    def _was_blind(self) -> bool:
        """Whether something may have happened that the kernel did not report."""
        missed, self._missed = self._missed, bool(self.why)
        return missed

    def _read(self) -> Iterator[tuple[int, int, str]]:
        with suppress(BlockingIOError):
            while self.fd >= 0 and (data := os.read(self.fd, 65536)):
                yield from _events(data)

    def concerned(self) -> bool:
        """Read the kernel's events. Return whether any of them is, or may be, about a watched name."""
        found = self._was_blind()
        for event in self._read():
            found = self._matches(*event) or found
        return found

    def names(self) -> list[str] | None:
        """Read the kernel's events. Return the names in them; None when anything may have changed."""
        events = list(self._read())
        if self._was_blind() or any(number < 0 for number, _, _ in events):
            return None
        return [name for _, _, name in events]

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
        """Whether a new name counts without a write: a link, or any name when the caller asked for IN_CREATE."""
        directory = next(path for path, watch in self._watched.items() if watch == number)
        return bool(self._mask & IN_CREATE) or os.path.islink(os.path.join(directory, name))


def add(fd: int, directory: str, mask: int) -> tuple[int, int]:
    """Add a directory to an inotify descriptor. Return its number and 0, or -1 and the error."""
    number: int = _libc.inotify_add_watch(fd, os.fsencode(directory), mask)
    return (number, 0) if number >= 0 else (-1, ctypes.get_errno())


def reason(code: int, *, watch: bool = False) -> str:
    """Say what an error means here. For inotify(7), EMFILE and ENOSPC have special meanings."""
    if code == errno.EMFILE:
        return "no instance is left for this user (fs.inotify.max_user_instances), or no descriptor"
    if code == errno.ENOSPC and watch:
        return "no watch is left for this user (fs.inotify.max_user_watches)"
    return os.strerror(code)


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield watch, mask and name of each struct inotify_event. The watch is -1 when the queue has overflowed."""
    at = 0
    while at < len(data):
        number, mask, _cookie, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        yield number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
        at += length
