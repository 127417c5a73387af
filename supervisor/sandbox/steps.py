"""Confine a child, beside the steps of every child: limits, namespaces, privileges, the filter of system calls.

An ordinary child does none of these steps. The table in `around` is their order. It is that of systemd
(systemd.exec(5) and its exec-invoke.c). Each place has a reason:

1.  The child opens the paths of the task (output, environment files) before anything is hidden from it.
2.  The cgroup gets its limits while we may write to it, and before the run can use up anything.
3.  Scheduling and the OOM score may need root (a negative nice), so they come before the user.
4.  The network and mount namespaces need CAP_SYS_ADMIN. The files of credentials are read first. So their source may be
    one of the places that are then made inaccessible.
5.  Resource limits come after that, as a small one (open_files) could prevent it. They come before the user, as only
    root may raise a hard limit.
6.  The bounding set of capabilities is cut while we still may (CAP_SETPCAP). PR_SET_KEEPCAPS, groups and user follow.
    Then every set gets exactly the wanted capabilities. They are made ambient, so that they outlive the exec of a
    user who is not root.
7.  The child enters the working directory as the user.
8.  no_new_privileges comes next. Nothing can take it back, and without it only root may set a filter of system calls.
    The filter is the last step. Otherwise it would have to allow all of the above.

A step does the whole of what was asked for, or it fails. If a step fails, the task is not started. So a task never runs
with less.
"""

from __future__ import annotations

import os

from supervisor.host.step import entry_of
from supervisor.sandbox import cgroup_limits, mounts, privileges, rlimits, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervisor.host.step import Spec, Step

CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def around(as_root: tuple[Step, ...], as_user: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps of a confined child. The steps of every child come in two halves, without becoming the user."""
    return (
        *as_root,
        ("set limits", "", _share),
        ("set nice", "", lambda spec: rlimits.nice(_of(spec)["nice"])),
        ("set io_priority", "", lambda spec: rlimits.io_priority(_of(spec)["io_priority"])),
        ("set cpu_affinity", "", lambda spec: rlimits.cpu_affinity(_of(spec)["cpu_affinity"])),
        ("set oom_score_adj", "", lambda spec: rlimits.oom_score_adj(_of(spec)["oom_score_adj"])),
        ("make network namespace", "", _network),
        ("make mount namespace", "", _mounts),
        ("set limits", "", lambda spec: rlimits.processes(_of(spec)["rlimits"])),
        ("cut capabilities", "", lambda spec: privileges.bound(_of(spec)["capabilities"])),
        ("become user", "", _user),
        ("set capabilities", "", lambda spec: privileges.set_capabilities(_of(spec)["capabilities"])),
        *as_user,
        ("filter system_calls", "", lambda spec: seccomp.load(_of(spec)["system_calls"])),
    )


def _of(spec: Spec) -> dict[str, Any]:
    return spec["confine"] or {}


def _share(spec: Spec) -> None:
    """Set the limits of the whole run and its group. The spawner has made the cgroup and filled in its path."""
    wanted = _of(spec)
    cgroup = wanted.get("cgroup", "")
    if wanted["group_limits"]:
        group, limits, best_effort = wanted["group_limits"]
        cgroup_limits.apply_to_group(os.path.dirname(cgroup), group, limits, best_effort=best_effort)
        if limits["memory"] is not None:
            cgroup_limits.die_together(cgroup)
    cgroup_limits.apply(cgroup, wanted["of_the_run"], best_effort=wanted["best_effort"])


def _network(spec: Spec) -> None:
    """Make a network namespace that has only a loopback."""
    if _of(spec)["network"] == "host":
        return
    mounts.unshare(CLONE_NEWNET)
    import fcntl  # noqa: PLC0415
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))  # netdevice(7): struct ifreq


def _mounts(spec: Spec) -> None:
    """Make a mount namespace, if the run needs one."""
    wanted = _of(spec)
    if not any(wanted[key] for key in ("private_tmp", "read_only", "read_write", "inaccessible", "credentials")):
        return
    if wanted["credentials"]:
        mounts.make_place(wanted["credentials_at"])
    secrets = mounts.read_credentials(wanted["credentials"])
    owner = entry_of(spec["user"]).pw_uid if spec["user"] else os.geteuid()
    places = {what: wanted[what] for what in ("read_only", "read_write", "inaccessible")}
    mounts.arrange(**places, private_tmp=wanted["private_tmp"])
    if secrets:
        mounts.show_credentials(wanted["credentials_at"], secrets, owner)


def _user(spec: Spec) -> None:
    """Set groups and user. Only root has a choice."""
    wanted = _of(spec)
    privileges.become(spec["user"], wanted["group"], wanted["groups"], keep=wanted["capabilities"] is not None)
