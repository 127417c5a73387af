"""Watch processes that are no children of ours: notice their end at once, by a pidfd (pidfd_open(2))."""

from __future__ import annotations

import errno
import os

from supervisor.host import lookup, procfs
from supervisor.host.interface import Occurrence, ProcessEnded
from supervisor.host.loop import Loop


class WatchedProcesses:
    """The processes that are watched, by name."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._pidfds: dict[str, int] = {}

    def add(self, name: str, pid: int, birth: int, pidfd: int = -1, *, spare: bool = False) -> None:
        """Follow a process.

        Args:
            name: its name in `ProcessEnded`.
            pid: the process.
            birth: the same, so that another process with this pid is not taken for it.
            pidfd: a descriptor of it, which is closed here; -1: one is opened.
            spare: leave the descriptors alone that starts of tasks need.

        Raises:
            ProcessLookupError: it has ended.
            OSError: no descriptor is left.
        """
        pidfd = os.pidfd_open(pid) if pidfd < 0 else pidfd
        try:
            if spare and lookup.free() < lookup.FOR_TASKS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            found = procfs.stat(pid)  # after the pidfd: it is not another one that got the pid meanwhile
            if found.birth != birth or not found.alive:
                raise ProcessLookupError(f"process {pid} has ended")
            self.remove(name)
            self._loop.watch(pidfd, lambda _: self._ended(name))
        except OSError:
            os.close(pidfd)
            raise
        self._pidfds[name] = pidfd

    def remove(self, name: str) -> None:
        """Follow a process no more."""
        pidfd = self._pidfds.pop(name, -1)
        if pidfd >= 0:
            self._loop.unwatch(pidfd)
            os.close(pidfd)

    def _ended(self, name: str) -> list[Occurrence]:
        self.remove(name)
        return [ProcessEnded(name)]
