"""Whether a process that has said something is of the run for which it speaks.

A living one, or one that nobody has reaped yet, is known as all processes of a run are (`mark`), by process group and
session, or by its ancestors. Of one that is gone before it is read, the kernel tells nothing but its pid: it is
believed if that was the main process, and nobody else is. To be of the same user is no proof. systemd has it so as well
(the notes of sd_notify(3)), and whoever speaks and ends, as `systemd-notify`, waits by a BARRIER=1 until it was read.
"""

from __future__ import annotations

import os

from supervisor.host import mark, procfs

GENERATIONS = 64
"""Ancestors that are looked at: more is a loop, as pids are used again."""


def is_of_run(leaders: dict[int, int], number: int, pid: int) -> bool:
    """Whether the sender `pid` is of the run with this mark.

    Args:
        leaders: its main processes, the newest is the last: their pids, and when each began. One may have ended.
        number: the mark.
        pid: who has spoken; 0 is of a pid namespace that we do not see.
    """
    if pid in leaders and procfs.stat(pid).birth in (0, leaders[pid]):
        return True
    return pid > 0 and lives_in_run(next(reversed(leaders)), number, pid)


def is_gone(pid: int) -> bool:
    """Whether nothing can be told of it any more."""
    return not procfs.stat(pid).birth


def lives_in_run(leader: int, number: int, pid: int) -> bool:
    """Whether a process that has not been reaped yet is of the run."""
    if mark.of(pid) == number:
        return True
    one = procfs.stat(pid)
    return bool(one.birth) and (leader in (one.group, one.session) or _descends(one.parent, leader))


def _descends(parent: int, leader: int) -> bool:
    for _ in range(GENERATIONS):
        if parent == leader:
            return True
        if parent in (0, 1, os.getpid()):
            return False
        parent = procfs.stat(parent).parent
    return False
