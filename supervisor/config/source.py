"""One config file, read and parsed, or an error that says why not.

Nothing that a path may point at can make the supervisor hang or fail here: a FIFO or a device is refused
before it is read, a huge file after `LIMIT` bytes, and everything that the parser can raise becomes an error
with its line.
"""

from __future__ import annotations

import os
import stat
from typing import Any

import tomli

from supervisor.config.errors import Report
from supervisor.config.lines import Lines
from supervisor.config.wording import printable

LIMIT = 8 * 1024 * 1024
"""Bytes of one file. 500 tasks need a twentieth of it; what is larger is the wrong file."""


class Source:
    """A file of the config that is valid TOML."""

    def __init__(self, file: str, folder: str, data: dict[str, Any], lines: Lines) -> None:
        self.file = file  # as it was given, for people
        self.folder = folder  # absolute: relative paths in the file start here
        self.data = data
        self.lines = lines


class Unreadable(Exception):  # noqa: N818 - as Wrong
    """A file that gives no text; the reason in words."""


def read(file: str, report: Report) -> Source | None:
    """Read and parse one file; None, and an error in the report, when that cannot be done."""
    try:
        folder = os.path.dirname(os.path.abspath(file))
        data = _bytes(file)
    except (OSError, ValueError, Unreadable) as error:
        report.file(file or '""', 1, f"cannot read the config: {reason(error)}")
        return None
    try:
        text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.file(file, line, f"byte 0x{data[error.start]:02x} is not UTF-8; a config is UTF-8 text")
        return None
    parsed = _parsed(file, text, report)
    return None if parsed is None else Source(file, folder, parsed, Lines(text))


def reason(error: Exception) -> str:
    """Why a file could not be read, in the words of the system."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if "embedded null" in str(error):  # each version of Python goes on in its own words
        return "a path cannot hold a NUL"
    return str(error)


def regular(path: str, limit: int) -> bytes:
    """Read at most `limit` bytes of a regular file; never waits, whatever the path points at.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: no file can have this path (it has a NUL).
        Unreadable: not a regular file.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # before the open: opening a device can already do something
        raise Unreadable("a directory, not a file" if os.path.isdir(path) else "not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("not a regular file")
        return stream.read(limit)


def _bytes(file: str) -> bytes:
    data = regular(file, LIMIT + 1)
    if len(data) > LIMIT:
        raise Unreadable(f"larger than {LIMIT // 1024**2} MiB")
    return data


def _parsed(file: str, text: str, report: Report) -> dict[str, Any] | None:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        report.file(file, error.lineno, f"not valid TOML: {printable(error.msg)} (column {error.colno})")
    except (ValueError, RecursionError) as error:  # an integer of 5000 digits, a list in 500 lists
        report.file(file, 1, f"not usable TOML: {printable(str(error))}")
    return None
