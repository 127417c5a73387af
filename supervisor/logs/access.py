"""Whose a log file is, and who may read it: the same for what lies beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

MODE = 0o640


class Rules(NamedTuple):
    """How a file is kept."""

    format: str = "plain"
    max_size: int = 10 << 20
    keep: int = 10
    compress: bool = True
    gid: int = -1  # the group that may read it
    user: str | None = None  # whose rights open it: of a path that the config names


def share(fd: int, found: os.stat_result, gid: int) -> None:
    """Lets a group read it, whatever the umask is; a mode that somebody gave it later stays."""
    with suppress(OSError):
        if found.st_gid != gid:
            os.fchown(fd, -1, gid)
        if found.st_gid != gid or not found.st_size:
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | stat.S_IRGRP)


def opened(where: str, flags: int) -> int:
    """It may lie in a directory of somebody else, who may have put anything there: nothing that could hold us up.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    fd = os.open(where, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, MODE)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(where)
    return fd


@contextmanager
def as_user(name: str | None) -> Iterator[None]:
    """With the rights of this user, and back; of somebody else only root can do that, and for others nothing changes.

    Raises:
        OSError: there is no such user any more.
    """
    if not name or os.geteuid():
        yield
        return
    import pwd  # noqa: PLC0415 - for those tasks only

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise FileNotFoundError(2, f"no user {name!r}") from None
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(name, entry.pw_gid))
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
