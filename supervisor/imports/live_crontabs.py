"""Find and read the crontabs of this machine."""

from __future__ import annotations

import glob
import os
import pwd
import re
from collections.abc import Iterator
from contextlib import suppress

from supervisor.core.immutable import immutable
from supervisor.host.output_of import FailedError, output_of
from supervisor.imports.interface import ImportFailedError

SYSTEM = ("/etc/crontab", "/etc/cron.d/*")
"""The crontabs that name a user for each job."""

OF_USERS = ("/var/spool/cron/crontabs/*", "/var/spool/cron/tabs/*", "/var/spool/cron/*")
"""The crontabs of users: their names are those of the files. Debian, SUSE, and the others."""

LARGEST = 1 << 24
"""Bytes of a file that is read. No crontab is larger."""

_READ_BY_CRON = re.compile(r"[A-Za-z0-9_-]+")
"""The names of files that cron reads in /etc/cron.d: no leftovers of a package or an editor."""


@immutable
class Crontab:
    """A crontab, wherever it is from."""

    place: str  # for people: a path, or "the crontab of bob"
    text: str
    system: bool
    owner: str  # the user of the jobs that name none; "": unknown


def caller() -> str:
    """Return the name of the user of this process."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def is_user(name: str) -> bool:
    """Return whether this machine has a user of this name."""
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def own(user: str) -> Crontab:
    """Return what `crontab -l` says: the crontab of the caller, or of a user.

    Raises:
        ImportFailedError: there is none, or it cannot be had.
    """
    options = ("-u", user) if user and user != caller() else ()
    owner = user or caller()
    try:
        said = output_of(("crontab", *options, "-l"), LARGEST)
    except FileNotFoundError:
        raise ImportFailedError("this machine has no program crontab; give a FILE, or - for stdin") from None
    except (FailedError, OSError) as error:
        raise ImportFailedError(f"crontab -l: {error}") from None
    return Crontab(f"the crontab of {owner}", _decoded(said), False, owner)


def at(path: str, user: str, *, system: bool) -> Crontab:
    """Read a file. Its place says whether it is of the system, or of which user.

    Raises:
        OSError, ImportFailedError: it cannot be read.
    """
    system = system or _matches(path, SYSTEM)
    if not user and not system and _matches(path, OF_USERS):
        user = os.path.basename(path)
    with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ImportFailedError(f"{path} has more than {LARGEST >> 20} MiB; that is no crontab")
    return Crontab("stdin" if path == "-" else path, _decoded(content), system, user)


def live() -> Iterator[Crontab]:
    """Yield each crontab that cron uses on this machine, as far as this user may read them."""
    seen = set()
    for pattern in (*SYSTEM, *OF_USERS):
        for path in sorted(glob.glob(pattern)):
            if os.path.isfile(path) and _is_used(path):
                with suppress(OSError, ImportFailedError):
                    found = at(path, "", system=pattern in SYSTEM)
                    seen.add(found.owner)
                    yield found
    if caller() not in seen:
        with suppress(ImportFailedError):
            yield own("")


def _is_used(path: str) -> bool:
    return os.path.dirname(path) != os.path.dirname(SYSTEM[1]) or bool(_READ_BY_CRON.fullmatch(os.path.basename(path)))


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(os.path.realpath(path) in map(os.path.realpath, glob.glob(pattern)) for pattern in patterns)


def _decoded(content: bytes) -> str:
    return content.decode(errors="surrogateescape")
