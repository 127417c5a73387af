"""Owner and read access of a log file and of the files beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

MODE = 0o640


class Rules(NamedTuple):
    """The settings of a log file."""

    format: str = "plain"
    max_size: int = 10 << 20
    keep: int = 10
    compress: bool = True
    gid: int = -1  # the group that may read it
    user: str | None = None  # the user whose rights open it, for a path that the config names


def share(fd: int, found: os.stat_result, gid: int) -> None:
    """Let a group read the file, whatever the umask is. A mode that was set later stays."""
    with suppress(OSError):
        if found.st_gid != gid:
            os.fchown(fd, -1, gid)
        if found.st_gid != gid or not found.st_size:
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | stat.S_IRGRP)


def opened(where: str, flags: int) -> int:
    """Open a regular file without ever blocking. Its directory may belong to a user who puts anything there.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    fd = os.open(where, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, MODE)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(where)
    return fd


@contextmanager
def as_user(name: str | None) -> Iterator[None]:
    """Take the rights of this user, then give them back. Only root can do so; for others nothing changes.

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
