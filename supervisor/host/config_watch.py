"""Watch directories that may not answer, for the parent. It makes no call to their file systems itself.

inotify_add_watch(2) hangs on a file system without a server. So an errand makes this call. It inherits the inotify
descriptor, and the kernel then reports the events to the parent.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from supervisor.core.words import in_words
from supervisor.host.aside import KEPT
from supervisor.host.inotify import REFUSED, Watch, add, reason
from supervisor.host.interface import ConfigTouched, Done, Occurrence

Errand = Callable[..., int]
"""Calls a function in a child process, which inherits the descriptor `keep`. Returns the number of the errand."""


def add_kept(directory: str, mask: int) -> tuple[int, int]:
    """Add a directory to the inherited inotify descriptor, in a child. Return its number, or -1 and the error."""
    return add(KEPT, directory, mask)


class ConfigWatch(Watch):
    """The watch of the directories of the config. One errand for each: one that hangs delays no other."""

    def __init__(self, errand: Errand, log: Callable[[str, str], None]) -> None:
        super().__init__()
        self._errand = errand
        self._log = log
        self._asked: dict[int, str] = {}  # the directory of each errand
        self._links: set[int] = set()  # the errands that look whether a new name is a link
        self._refused: dict[str, str] = {}  # why the kernel does not watch a directory

    def set(self, places: tuple[tuple[str, str], ...]) -> list[str]:  # type: ignore[explicit-override]
        """Begin to watch these places, and no others."""
        self._places = places
        self._start()
        directories = dict.fromkeys(directory for directory, _ in places)
        self._forget_others(directories)
        self._refused = {directory: why for directory, why in self._refused.items() if directory in directories}
        for directory in directories if self.fd >= 0 else ():
            if directory in self._watched:
                self._register(directory, self._watched[directory])
            if directory not in self._asked.values():
                self._asked[self._errand(add_kept, directory, self._events, keep=self.fd)] = directory
        return []

    def done(self, done: Done) -> list[Occurrence] | None:
        """Take the result of an errand. Return None if it is not one of ours.

        A file may have changed before its directory was watched. So a new watch counts as a possible change.
        """
        if done.errand in self._links:
            self._links.remove(done.errand)
            return [ConfigTouched()] if done.value else []
        directory = self._asked.pop(done.errand, None)
        if directory is None:
            return None
        number, code = done.value or (-1, 0)
        if number < 0:
            self._fail(directory, code, done.error)
            return []
        self._refused.pop(directory, None)
        self.why = next(iter(self._refused.values()), "")
        old = self._watched.get(directory)
        if any(place == directory for place, _ in self._places):
            self._register(directory, number)
        return [] if old == number else [ConfigTouched(certain=False)]

    def _fail(self, directory: str, code: int, error: str) -> None:
        if code in REFUSED or not code:  # not code: no errand could be made, or the file system does not answer
            self._refused[directory] = self.why = f"inotify: {reason(code, watch=True) if code else error}"
            self._missed = True
        else:
            why = error or in_words(OSError(code, os.strerror(code)))
            self._log("warning", f"cannot watch {directory} for changes of the freeze keys: {why}")

    def _complete(self, number: int, name: str) -> bool:  # type: ignore[explicit-override]
        """Let an errand look whether a new name is a link. It then counts without a write."""
        directory = next((path for path, watch in self._watched.items() if watch == number), "")
        if not directory:  # the kernel had queued this before another directory took its place
            return False
        self._links.add(self._errand(os.path.islink, os.path.join(directory, name)))
        return False
