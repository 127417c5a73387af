"""Answer the questions of the checks about this machine: environment, users, files. Cache answers for one load.

A config of 500 tasks names the same few users, directories and programs again and again.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from supervisor.config.source import reason
from supervisor.core.immutable import immutable
from supervisor.host.patience import looking

if TYPE_CHECKING:
    from supervisor.host.cgroup_controllers import Offer

T = TypeVar("T")


class Machine:
    """This machine as one load of the config sees it."""

    def __init__(self, environ: Mapping[str, str], *, beforehand: bool = False) -> None:
        """`beforehand`: this process is not the supervisor. A service manager may start the supervisor elsewhere."""
        self.environ = environ
        self.beforehand = beforehand
        self.uid = os.geteuid()
        self._stats: dict[str, os.stat_result | str] = {}
        self._users: dict[str, int | None] = {}
        self._offers: list[Offer] = []  # what the machine can give to runs, once a check has asked
        self._shared: dict[Any, Any] = {}
        self.programs: dict[tuple[str, str, str, bool], str] = {}  # the results of `config.program`; "" means no error

    def stat(self, path: str) -> os.stat_result | str:
        """Return the status of a file, or the reason in words why there is none."""
        known = self._stats.get(path)
        if known is None:
            try:
                with looking(path):
                    known = os.stat(path)
            except FileNotFoundError:
                known = "does not exist"
            except (OSError, ValueError) as error:
                known = f"cannot be accessed ({reason(error)})"
            self._stats[path] = known
        return known

    def nearest(self, path: str) -> str:
        """Return the path, or its nearest parent that exists: there the first new entry would be made."""
        while isinstance(self.stat(path), str) and path != "/":
            path = os.path.dirname(path)
        return path

    def is_of_the_kernel(self, path: str) -> bool:
        """Say whether a path is in /proc or /sys. Nobody can make files there, whatever the modes are."""
        devices = [
            None if isinstance(one := self.stat(place), str) else one.st_dev for place in (path, "/proc", "/sys")
        ]
        root = self.stat("/")
        return devices[0] in devices[1:] and (isinstance(root, str) or devices[0] != root.st_dev)

    def user(self, name: str) -> int | None:
        """Return the uid of a user; None: there is no such user."""
        if name not in self._users:
            try:
                self._users[name] = pwd.getpwnam(name).pw_uid
            except (KeyError, ValueError, OSError):
                self._users[name] = None
        return self._users[name]

    def groups(self, user: str) -> list[int]:
        """Return the gids of the groups of a user."""
        try:
            return os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
        except (KeyError, ValueError, OSError):
            return []

    def group(self, name: str) -> int | None:
        """Return the gid of a Unix group; None: there is no such group."""
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError, OSError):
            return None

    def processors(self) -> set[int]:
        """Return the numbers of the processors that are online."""
        with open("/sys/devices/system/cpu/online") as file:
            return processors(file.read().strip())

    def lacks(self, controller: str) -> str:
        """Return why no run can have this controller (memory, cpu, pids, io); "" if runs can."""
        from supervisor.host import cgroup_controllers  # noqa: PLC0415 - few configs ask

        if not self._offers:
            unit = cgroup_controllers.of_a_unit() if self.beforehand else None
            self._offers = [*([unit] if unit else ()), cgroup_controllers.of_this_process()]
        if any(controller in offer.controllers for offer in self._offers):
            return ""
        why = self._offers[0].why if controller in cgroup_controllers.of_the_kernel() else ""
        return f"the cgroup controller {controller} is not available: {why or 'this machine does not offer it'}"

    def disks_share(self) -> bool:
        """Say whether a share of a disk (`io_weight`) has an effect on this machine."""
        from supervisor.host.cgroup import disks_share  # noqa: PLC0415 - few configs ask

        return disks_share()

    def home(self) -> str:
        """Return the home directory of our own user; "" if there is none."""
        if home := self.environ.get("HOME", ""):
            return home
        try:
            return pwd.getpwuid(self.uid).pw_dir
        except (KeyError, OSError):
            return ""

    def share(self, value: T) -> T:
        """Return one object for all equal values: 500 tasks hold one stop policy, not 500."""
        known: T = self._shared.setdefault(value, value)
        return known


@immutable
class Scope:
    """The context of a check: the machine, and the directory of the file that holds the key."""

    machine: Machine
    folder: str


def processors(text: str) -> set[int]:
    """Return the numbers of a list such as "0-3,8"."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
