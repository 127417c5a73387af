"""What the checks ask of this machine: environment, users, files. Asked once per load, then remembered.

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

if TYPE_CHECKING:
    from supervisor.host.controllers import Offer

T = TypeVar("T")


class World:
    """This machine as one load of the config sees it."""

    def __init__(self, environ: Mapping[str, str], *, beforehand: bool = False) -> None:
        """`beforehand`: the supervisor of this config is not where we are, a service manager may start it elsewhere."""
        self.environ = environ
        self.beforehand = beforehand
        self.uid = os.geteuid()
        self._stats: dict[str, os.stat_result | str] = {}
        self._users: dict[str, int | None] = {}
        self._offers: list[Offer] = []  # what runs can be given, once somebody has asked
        self._shared: dict[Any, Any] = {}
        self.programs: dict[tuple[str, str, str, bool], str] = {}  # what `program` found, "" for fine

    def stat(self, path: str) -> os.stat_result | str:
        """The status of a file, or in words why there is none."""
        known = self._stats.get(path)
        if known is None:
            try:
                known = os.stat(path)
            except FileNotFoundError:
                known = "does not exist"
            except (OSError, ValueError) as error:
                known = f"cannot be looked at ({reason(error)})"
            self._stats[path] = known
        return known

    def nearest(self, path: str) -> str:
        """The path, or the nearest place above it that is there: where something would be made first."""
        while isinstance(self.stat(path), str) and path != "/":
            path = os.path.dirname(path)
        return path

    def is_of_the_kernel(self, path: str) -> bool:
        """Whether it is in /proc or /sys, where nobody can make anything, whatever the modes say."""
        devices = [
            None if isinstance(one := self.stat(place), str) else one.st_dev for place in (path, "/proc", "/sys")
        ]
        root = self.stat("/")
        return devices[0] in devices[1:] and (isinstance(root, str) or devices[0] != root.st_dev)

    def user(self, name: str) -> int | None:
        """The uid of a user; None: there is no such user."""
        if name not in self._users:
            try:
                self._users[name] = pwd.getpwnam(name).pw_uid
            except (KeyError, ValueError, OSError):
                self._users[name] = None
        return self._users[name]

    def groups(self, user: str) -> list[int]:
        """The gids of the groups that a user is in."""
        try:
            return os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
        except (KeyError, ValueError, OSError):
            return []

    def group(self, name: str) -> int | None:
        """The gid of a group of the system; None: there is no such group."""
        try:
            return grp.getgrnam(name).gr_gid
        except (KeyError, ValueError, OSError):
            return None

    def processors(self) -> set[int]:
        """The numbers of the processors that are online."""
        from supervisor.config.limits import processors  # noqa: PLC0415 - it needs us; few configs ask

        with open("/sys/devices/system/cpu/online") as file:
            return processors(file.read().strip())

    def lacks(self, controller: str) -> str:
        """Why no run can have it (memory, cpu, pids, io); "" when it can."""
        from supervisor.host import controllers  # noqa: PLC0415 - few configs ask

        if not self._offers:
            unit = controllers.of_a_unit() if self.beforehand else None
            self._offers = [*([unit] if unit else ()), controllers.of_this_process()]
        if any(controller in offer.controllers for offer in self._offers):
            return ""
        why = self._offers[0].why if controller in controllers.of_the_kernel() else ""
        return f"no {controller} controller can be had: {why or 'the cgroups of this machine have none'}"

    def disks_share(self) -> bool:
        """Whether a share of a disk (`io_weight`) means anything here."""
        from supervisor.host.cgroup import disks_share  # noqa: PLC0415 - few configs ask

        return disks_share()

    def home(self) -> str:
        """The home directory of our own user; "" if there is none."""
        if home := self.environ.get("HOME", ""):
            return home
        try:
            return pwd.getpwuid(self.uid).pw_dir
        except (KeyError, OSError):
            return ""

    def share(self, value: T) -> T:
        """One object for all equal values: 500 tasks hold one stop policy, not 500."""
        known: T = self._shared.setdefault(value, value)
        return known


@immutable
class Scope:
    """What a check may need beside the value: the machine, and the directory of the file that holds the key."""

    world: World
    folder: str
