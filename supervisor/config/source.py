"""Read and parse one config file, or report why this is not possible.

No file can make the supervisor hang or fail here:

- A FIFO or a device is refused before it is read.
- A huge file is refused after `LIMIT` bytes.
- Every exception of the parser becomes an error with its line.
"""

from __future__ import annotations

import os
import stat
from typing import Any

import tomli

from supervisor.config.errors import Report, Section
from supervisor.config.lines import Lines
from supervisor.config.messages import printable
from supervisor.host.patience import looking

LIMIT = 8 * 1024 * 1024
"""The most bytes of one file. 500 tasks need a twentieth of it; a larger file is the wrong one."""


class Source:
    """A file of the config that is valid TOML."""

    def __init__(self, file: str, folder: str, data: dict[str, Any], lines: Lines) -> None:
        self.file = file  # as it was given, for people
        self.folder = folder  # absolute: relative paths in the file start here
        self.data = data
        self.lines = lines

    def section(self, path: tuple[str, ...] = (), subject: str = "") -> Section:
        """Return a table of this file by its path; without a path, the top of the file."""
        return Section(self.file, self.lines, path, subject)


class Unreadable(Exception):  # noqa: N818 - as Wrong
    """A file cannot be read as text. The message is the reason in words."""


def read(file: str, report: Report) -> Source | None:
    """Read and parse one file. If this fails, return None and report an error."""
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
    """Return why a file could not be read, in the words of the system."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if "embedded null" in str(error):  # the rest of the text depends on the version of Python
        return "a path cannot hold a NUL"
    return str(error)


def regular(path: str, limit: int) -> bytes:
    """Read at most `limit` bytes of a regular file. Never wait, whatever the path points at.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: no file can have this path (it has a NUL).
        Unreadable: it is not a regular file.
    """
    with looking(path):
        return _regular(path, limit)


def _regular(path: str, limit: int) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):  # before the open: opening a device can have an effect
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
    except (ValueError, RecursionError) as error:  # e.g. an integer of 5000 digits, or 500 nested lists
        report.file(file, 1, f"not usable TOML: {printable(str(error))}")
    return None
