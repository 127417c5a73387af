"""What a confined child does beside the steps of every child: limits, namespaces, privileges, the filter of calls.

Only a child that has any of it imports this, so an ordinary start pays nothing. The table in `around` is the order,
which is that of systemd (systemd.exec(5) and its exec-invoke.c), and each place has a reason:

1.  What is opened for the task by path (output, environment files) is opened before anything is hidden from it.
2.  The cgroup gets its limits while we may write to it, and before anything can be used up.
3.  Scheduling and the OOM score may need root (a negative nice), so they come before the user.
4.  The network and mount namespaces need CAP_SYS_ADMIN. The files of credentials are read first, so that their
    source may be one of the places that are then made inaccessible.
5.  Resource limits come after that, as a small one (open_files) could be in the way of it, and before the user, as
    only root may raise a hard limit.
6.  The bounding set of capabilities is cut while we still may (CAP_SETPCAP). Then PR_SET_KEEPCAPS, groups, user; then
    exactly what was asked for is put into every set, and made ambient, so that it outlives the exec of a user who is
    not root.
7.  The working directory is entered as the user.
8.  no_new_privileges, which nothing can take back, and last the filter of system calls, which without it only root may
    set, and which would otherwise have to allow all of the above.

Every step either does the whole of what was asked for or fails, and then the task is not started: it never runs with
less.
"""

from __future__ import annotations

import os

from supervisor.host import child, mounts, privileges, quota, seccomp, share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervisor.host.child import Spec

    Step = tuple[str, Callable[[Spec], None]]

CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def around(as_root: tuple[Step, ...], as_user: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a confined child; what every child does is given in its two halves, without becoming the user."""
    return (
        *as_root,
        ("set limits", _share),
        ("set nice", lambda spec: quota.nice(_of(spec)["nice"])),
        ("set io_priority", lambda spec: quota.io_priority(_of(spec)["io_priority"])),
        ("set cpu_affinity", lambda spec: quota.cpu_affinity(_of(spec)["cpu_affinity"])),
        ("set oom_score_adj", lambda spec: quota.oom_score_adj(_of(spec)["oom_score_adj"])),
        ("make network namespace", _network),
        ("make mount namespace", _mounts),
        ("set limits", lambda spec: quota.processes(_of(spec)["rlimits"])),
        ("cut capabilities", lambda spec: privileges.bound(_of(spec)["capabilities"])),
        ("become user", _user),
        ("set capabilities", lambda spec: privileges.keep(_of(spec)["capabilities"])),
        *as_user,
        ("filter system_calls", lambda spec: seccomp.load(_of(spec)["system_calls"])),
    )


def _of(spec: Spec) -> dict[str, Any]:
    return spec["confine"] or {}


def _share(spec: Spec) -> None:
    """Of the run as a whole; its cgroup is the spawner's, which has filled in which one."""
    wanted = _of(spec)
    cgroup = wanted.get("cgroup", "")
    if wanted["group_limits"]:
        group, limits, best_effort = wanted["group_limits"]
        share.take_together(os.path.dirname(cgroup), group, limits, best_effort=best_effort)
        if limits["memory"] is not None:
            share.die_together(cgroup)
    share.take(cgroup, wanted["of_the_run"], best_effort=wanted["best_effort"])


def _network(spec: Spec) -> None:
    """A network with nothing in it but a loopback."""
    if _of(spec)["network"] == "host":
        return
    mounts.unshare(CLONE_NEWNET)
    import fcntl  # noqa: PLC0415
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))  # netdevice(7): struct ifreq


def _mounts(spec: Spec) -> None:
    """A view of the file system of its own, if it needs one."""
    wanted = _of(spec)
    if not any(wanted[key] for key in ("private_tmp", "read_only", "read_write", "inaccessible", "credentials")):
        return
    if wanted["credentials"]:
        mounts.make_place(wanted["credentials_at"])
    secrets = mounts.read_credentials(wanted["credentials"])
    owner = child.entry_of(spec["user"]).pw_uid if spec["user"] else os.geteuid()
    places = {what: wanted[what] for what in ("read_only", "read_write", "inaccessible")}
    mounts.arrange(**places, private_tmp=wanted["private_tmp"])
    if secrets:
        mounts.show_credentials(wanted["credentials_at"], secrets, owner)


def _user(spec: Spec) -> None:
    """Groups and user; only root has a choice."""
    wanted = _of(spec)
    privileges.become(spec["user"], wanted["group"], wanted["groups"], keep=wanted["capabilities"] is not None)
