"""Whether a process that has said something is of the run for which it speaks.

A living one is known as all processes of a run are (`mark`), by process group and session, or by its ancestors. One
that has ended already (`systemd-notify` lives for a millisecond) is known by its user only, as the kernel has put it on
the datagram.
"""

from __future__ import annotations

import os

from supervisor.host import mark, procfs

GENERATIONS = 64
"""Ancestors that are looked at: more is a loop, as pids are used again."""


def is_of_run(leader: int, number: int, pid: int, uid: int) -> bool:
    """Whether the sender `pid`, which was the user `uid`, is of the run with this main process and this mark."""
    if pid <= 0:  # of a pid namespace that we do not see
        return False
    if pid == leader or lives_in_run(leader, number, pid):
        return True
    return not procfs.stat(pid).birth and uid in (0, user_of(leader))


def lives_in_run(leader: int, number: int, pid: int) -> bool:
    """Whether a process that has not been reaped yet is of the run."""
    if mark.of(pid) == number:
        return True
    one = procfs.stat(pid)
    return bool(one.birth) and (leader in (one.group, one.session) or _descends(one.parent, leader))


def user_of(pid: int) -> int:
    """The effective user of a process; -1 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            rows = [row for row in file if row.startswith(b"Uid:")]
    except OSError:
        return -1
    return int(rows[0].split()[2]) if rows else -1


def _descends(parent: int, leader: int) -> bool:
    for _ in range(GENERATIONS):
        if parent == leader:
            return True
        if parent in (0, 1, os.getpid()):
            return False
        parent = procfs.stat(parent).parent
    return False
