"""Keep descriptors beyond the supervisor's death: systemd and our spawner hold the pidfd of every run.

After a crash the next supervisor gets them back:

- from systemd by sd_listen_fds(3), if the supervisor had passed them by sd_notify(3) with FDSTORE=1;
- from the spawner by a socket (`notify_holder`).

By a pidfd the kernel reports how a run ended while no supervisor ran (see `pidfd`). It is unknown only if supervisor
and spawner were both killed and systemd has kept nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from supervisor.core.events import Status
from supervisor.host.pidfd import status_of
from supervisor.host.sd_notify import Notifier
from supervisor.spawn.held import Held
from supervisor.store import layout

_NAME = re.compile(r"run-[0-9]{1,10}-[0-9]{1,20}")
"""The names that we give to pidfds. Somebody else has put everything else into the store; we close it."""

FIRST = 3
"""SD_LISTEN_FDS_START."""


class Store:
    """The pidfds that the service manager and the spawner keep, by name."""

    def __init__(self, notifier: Notifier, held: Held | None = None, *, useful: bool) -> None:
        """`useful`: whether this kernel tells a status by a pidfd. If not, none is kept."""
        self._notifier = notifier
        self._held = held
        self._runtime_dir = ""  # the spawner keeps nothing until this is known
        self._useful = useful
        self._back = received()
        self._over: list[str] = []  # names of those that are not needed any more

    def begin(self, runtime_dir: str, given: dict[str, int]) -> None:
        """Have the spawner keep pidfds, too. `given`: those from the spawner of an earlier supervisor."""
        self._runtime_dir = runtime_dir
        for name, pidfd in given.items():
            if self._back.setdefault(name, pidfd) != pidfd:
                os.close(pidfd)

    def store(self, pid: int, birth: int, pidfd: int) -> None:
        """Keep a pidfd open beyond a crash. It stays when the process ends, as it is needed then."""
        if self._useful:
            self._notifier.hand("FDSTORE=1", f"FDNAME={_name(pid, birth)}", "FDPOLL=0", fd=pidfd)
            self.store_in_spawner(pid, birth, pidfd)

    def store_in_spawner(self, pid: int, birth: int, pidfd: int) -> None:
        """Do as `store`, for an adopted run. The service manager has kept its pidfd since its start."""
        if self._useful and self._held and self._runtime_dir:
            self._held.hold_later(layout.pidfd(self._runtime_dir, _name(pid, birth)), pidfd)

    def drop(self, pid: int, birth: int) -> None:
        """Drop the pidfd of a run that is over. `flush` gives it back when the journal has the end of the run."""
        if self._useful:
            self._over.append(_name(pid, birth))
        if self._held:
            self._held.drop(layout.pidfd(self._runtime_dir, _name(pid, birth)))

    def flush(self) -> None:
        """Give back the dropped pidfds: the journal has everything that has happened."""
        for name in self._over:
            self._notifier.send("FDSTOREREMOVE=1", f"FDNAME={name}")
        self._over.clear()

    def status(self, pid: int, birth: int) -> Status | None:
        """Return how a run has ended whose pidfd an earlier supervisor had kept."""
        pidfd = self._back.get(_name(pid, birth))
        return None if pidfd is None else status_of(pidfd)

    def clear(self, staying: Callable[[int, int], bool]) -> None:
        """Close what came back: each living run has a pidfd of its own by now. Drop those of no living run."""
        for name, pidfd in self._back.items():
            os.close(pidfd)
            pid, birth = map(int, name.split("-")[1:])
            if not staying(pid, birth):
                self.drop(pid, birth)
        self._back = {}


def received() -> dict[str, int]:
    """Return the descriptors that the service manager has passed to this process, by name. They are taken once."""
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count, names = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_FDNAMES", "").split(":")
    fds = range(FIRST, FIRST + int(count)) if mine and count.isascii() and count.isdigit() else range(0)
    found = {}
    for fd, name in zip(fds, names, strict=False):
        os.set_inheritable(fd, False)
        if _NAME.fullmatch(name) and name not in found:
            found[name] = fd
        else:
            os.close(fd)
    return found


def _name(pid: int, birth: int) -> str:
    return f"run-{pid}-{birth}"
