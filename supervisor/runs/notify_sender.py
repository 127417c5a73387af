"""Decide whether a process that sends an sd_notify message belongs to the run for which it sends.

The kernel tells the pid and the user id of the sender (SCM_CREDENTIALS). Only root can send ids other than its own. The
user must be that of the task, or root. This is checked first, so nothing else of a stranger is looked at. It also
refuses a stranger who meanwhile got the pid of a process of the run. Then one of these must be true:

- The sender is the main process, or has been. It may have ended before its message is read.
- The sender is in the cgroup of the run.
- There is no cgroup, and one of these is true:
  - the sender has the session or the process group of the main process;
  - it descends from the main process;
  - it is an orphan that has become our child, and so descends from some task of ours;
  - it holds the output of the run open.

In the last two cases another task of the same user could pass for this one. But it could as well trace this one.

The mark of the run (`mark`) and its environment count for nothing, as anybody can set them. If a process is gone before
its message is read, nothing can be told of it. Nor can systemd tell (the notes of sd_notify(3)). A program that
sends and ends, as `systemd-notify` does, therefore waits by a BARRIER=1 until its message was read.
"""

from __future__ import annotations

import os
from collections.abc import Container

from supervisor.core.immutable import immutable
from supervisor.host import cgroup, procfs

GENERATIONS = 64
"""Ancestors that are looked at. More would be a loop, as pids are used again."""


@immutable
class AllowedSenders:
    """The properties of the processes that may send for one run."""

    users: frozenset[int]  # the user ids of the task
    leaders: dict[int, int]  # pids and births of its main processes, the newest last. One may have ended
    cgroup: str = ""  # as the hierarchy names it; "" for none
    output: str = ""  # the path of its FIFOs, without the stream
    others: Container[int] = ()  # our children that are no orphans: leaders of other runs, or probes


def may_be(allowed: AllowedSenders, user: int) -> bool:
    """Return whether a process of this user may send."""
    return user == 0 or user in allowed.users


def is_of_run(allowed: AllowedSenders, pid: int) -> bool:
    """Return whether the sender `pid` is of the run. Pid 0 is in a pid namespace that we do not see."""
    if pid in allowed.leaders and procfs.birth(pid) in (0, allowed.leaders[pid]):
        return True
    return pid > 0 and lives_in_run(allowed, pid)


def is_gone(pid: int) -> bool:
    """Return whether the process is gone, so that nothing can be told of it."""
    return not procfs.birth(pid)


def lives_in_run(allowed: AllowedSenders, pid: int) -> bool:
    """Return whether a process that has not been reaped yet is of the run."""
    if allowed.cgroup:
        return f"{cgroup.of_process(pid)}/".startswith(f"{allowed.cgroup}/")
    one, leader = procfs.stat(pid), next(reversed(allowed.leaders))
    if not one.birth:
        return False
    return leader in (one.group, one.session) or _descends(one, leader, allowed.others) or _holds(pid, allowed.output)


def may_lead(allowed: AllowedSenders, pid: int) -> bool:
    """Return whether it may become the main process: it is of the run, and each of its ids is the task's or root's."""
    users = procfs.users(procfs.stat(pid))
    return bool(users) and all(may_be(allowed, user) for user in users) and lives_in_run(allowed, pid)


def _descends(one: procfs.Stat, leader: int, others: Container[int]) -> bool:
    """Return whether it is below the leader, or below an orphan that we have inherited."""
    for _ in range(GENERATIONS):
        if leader in (one.pid, one.parent):
            return True
        if one.parent == os.getpid():  # a child that we forked and that is no task is in our session
            return one.pid not in others and one.session != os.getsid(0)
        if one.parent in (0, 1):
            return False
        one = procfs.stat(one.parent)
    return False


def _holds(pid: int, output: str) -> bool:
    streams = {f"{output}.out", f"{output}.err"}
    return bool(output) and any(path.removesuffix(" (deleted)") in streams for path in procfs.writes_to(pid))
