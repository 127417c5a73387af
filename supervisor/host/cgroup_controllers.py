"""Tell the config which controllers of cgroup v2 the runs of a supervisor can have, and why not more.

A cgroup gives controllers to the cgroups below it only when it has no process of its own (cgroup-v2.rst). The
supervisor never moves to another cgroup (`cgroup`). So the controllers depend on the cgroup in which it is started.

A running supervisor reads its config in that cgroup, so it knows them. `supervisor --check` in a shell is in another
cgroup. Then the controllers that systemd would give to the unit that we ship count as well.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

from supervisor.core.immutable import immutable
from supervisor.host import cgroup
from supervisor.host.output_of import FailedError, output_of

SUBGROUP = 254
"""The first version of systemd that knows DelegateSubgroup=."""


@immutable
class Offer:
    """The controllers that are available here; `why` says why the others of the kernel are not."""

    controllers: frozenset[str]
    why: str = ""


def of_the_kernel() -> frozenset[str]:
    """Return all controllers at the top of the mounted hierarchy."""
    return _available(cgroup.mounted())


def of_this_process() -> Offer:
    """Return the controllers for the runs of a supervisor that is started in our cgroup."""
    try:
        base = cgroup.ground()
    except cgroup.NoCgroupError as error:
        return Offer(frozenset(), str(error))
    is_root = not os.path.exists(f"{base}/cgroup.type")  # of the machine: only there processes do no harm
    if is_root or not _read(f"{base}/cgroup.procs"):
        return Offer(_available(base), f"{base} has no other controllers")
    return Offer(frozenset(_read(f"{base}/cgroup.subtree_control").split()), cgroup.in_the_way(base))


def of_a_unit() -> Offer | None:
    """Return the controllers for the runs of our systemd unit (system or user); None: no systemd runs here."""
    version = systemd()
    if not version:
        return None
    if version < SUBGROUP:
        what = "so the supervisor is in a cgroup that must have no processes"
        return Offer(frozenset(), f"systemd {version} has no DelegateSubgroup= ({SUBGROUP}), {what}")
    top, uid = cgroup.mounted(), os.geteuid()
    if uid:
        top += f"/user.slice/user-{uid}.slice/user@{uid}.service"
    return Offer(_available(top), f"systemd gives {top} no other controllers")


@cache
def systemd() -> int:
    """Return the version of systemd; 0: the service manager is another one, or there is none (sd_booted(3))."""
    if os.path.isdir("/run/systemd/system"):
        with suppress(OSError, ValueError, IndexError, FailedError):
            said = output_of(("systemctl", "--version")).decode()
            return int(said.split()[1].partition("~")[0].partition(".")[0])
    return 0


def _available(directory: str) -> frozenset[str]:
    return frozenset(_read(f"{directory}/cgroup.controllers").split()) if directory else frozenset()


def _read(path: str) -> str:
    """Return the content of a cgroup's file; empty when there is none."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
