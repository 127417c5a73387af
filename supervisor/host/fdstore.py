"""Descriptors that outlive the supervisor: systemd keeps the pidfd of every run (sd_notify(3), FDSTORE=1).

After a crash they come back to the next supervisor (sd_listen_fds(3)). Through them the kernel tells how a run has
ended while nobody looked, see `pidfd`. Without a service manager, or with none of them kept,
this does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from supervisor.core.events import Status
from supervisor.host.notify import Notifier
from supervisor.host.pidfd import status_of

FIRST = 3
"""SD_LISTEN_FDS_START."""


class Store:
    """What is kept by the service manager, by name."""

    def __init__(self, notifier: Notifier, *, useful: bool) -> None:
        """`useful`: whether this kernel tells anything by a pidfd; else none is kept."""
        self._notifier = notifier
        self._useful = useful
        self._back = received()
        self._over: list[str] = []  # names of those that are not needed any more

    def keep(self, pid: int, birth: int, pidfd: int) -> None:
        """From now on a crash does not close it. It stays when the process ends, which is when it is of use."""
        if self._useful:
            self._notifier.hand("FDSTORE=1", f"FDNAME={_name(pid, birth)}", "FDPOLL=0", fd=pidfd)

    def drop(self, pid: int, birth: int) -> None:
        """Its run is over. It is given back by `rest`, when the journal has how that ended."""
        if self._useful:
            self._over.append(_name(pid, birth))

    def rest(self) -> None:
        """Everything that has happened is on record."""
        for name in self._over:
            self._notifier.tell("FDSTOREREMOVE=1", f"FDNAME={name}")
        self._over.clear()

    def status(self, pid: int, birth: int) -> Status | None:
        """How a run has ended of which an earlier supervisor had kept the pidfd."""
        pidfd = self._back.get(_name(pid, birth))
        return None if pidfd is None else status_of(pidfd)

    def clear(self, staying: Callable[[int, int], bool]) -> None:
        """Closes what came back: who lives has a pidfd of its own by now. Those of no living run are not kept."""
        for name, pidfd in self._back.items():
            os.close(pidfd)
            pid, birth = _parts(name)
            if not staying(pid, birth):
                self.drop(pid, birth)
        self._back = {}


def received() -> dict[str, int]:
    """The descriptors that the service manager has passed to this process, by name. They are taken once."""
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count, names = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_FDNAMES", "").split(":")
    fds = range(FIRST, FIRST + int(count)) if mine and count.isdigit() else range(0)
    found = {}
    for fd, name in zip(fds, names, strict=False):
        os.set_inheritable(fd, False)
        if name.startswith("run-") and name not in found:
            found[name] = fd
        else:
            os.close(fd)
    return found


def _name(pid: int, birth: int) -> str:
    return f"run-{pid}-{birth}"


def _parts(name: str) -> tuple[int, int]:
    _, pid, birth = name.split("-")
    return int(pid), int(birth)
