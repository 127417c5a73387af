"""Which controllers of cgroup v2 the runs of a supervisor can have, and in words why not more; asked by the config.

A cgroup gives controllers to those below it only when it has no process of its own (cgroup-v2.rst), and the supervisor
does not move (`cgroup`). So it depends on where it is started. Who reads the config of a supervisor that runs is where
that is, and knows. Who checks one beforehand, in some shell, does not: then what systemd would do for the unit that we
ship counts as well.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from functools import cache

from supervisor.core.immutable import immutable
from supervisor.host import cgroup

SUBGROUP = 254
"""The first version of systemd that knows DelegateSubgroup=."""


@immutable
class Offer:
    """The controllers that can be had here; `why`: what is in the way of others that the kernel has."""

    controllers: frozenset[str]
    why: str = ""


def of_the_kernel() -> frozenset[str]:
    """All that are at the top of the hierarchy that is mounted."""
    return _have(cgroup.mounted())


def of_this_process() -> Offer:
    """What the runs of a supervisor get that is started where we are."""
    try:
        base = cgroup.ground()
    except cgroup.NoCgroupError as error:
        return Offer(frozenset(), str(error))
    is_root = not os.path.exists(f"{base}/cgroup.type")  # of the machine: only there processes are in nobody's way
    if is_root or not _read(f"{base}/cgroup.procs"):
        return Offer(_have(base), f"{base} is given no more")
    return Offer(frozenset(_read(f"{base}/cgroup.subtree_control").split()), cgroup.in_the_way(base))


def of_a_unit() -> Offer | None:
    """What those of our unit get, that of the system or of a user; None: no systemd runs here."""
    version = systemd()
    if not version:
        return None
    if version < SUBGROUP:
        what = "so it leaves the supervisor in the cgroup that has to be without processes"
        return Offer(frozenset(), f"systemd {version} has no DelegateSubgroup= ({SUBGROUP}), {what}")
    top, uid = cgroup.mounted(), os.geteuid()
    if uid:
        top += f"/user.slice/user-{uid}.slice/user@{uid}.service"
    return Offer(_have(top), f"systemd gives {top} no more")


@cache
def systemd() -> int:
    """The version of the service manager; 0: it is none, or not systemd (sd_booted(3))."""
    if os.path.isdir("/run/systemd/system"):
        with suppress(OSError, ValueError, IndexError, subprocess.SubprocessError):
            said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=10, check=True)
            return int(said.stdout.split()[1].partition("~")[0].partition(".")[0])
    return 0


def _have(directory: str) -> frozenset[str]:
    return frozenset(_read(f"{directory}/cgroup.controllers").split()) if directory else frozenset()


def _read(path: str) -> str:
    """A file of a cgroup; empty when there is none."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
