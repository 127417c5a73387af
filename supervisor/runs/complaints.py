"""Pass on the stderr of helpers to the supervisor's own stderr, and keep the last line as the reason of an end.

Each helper has a FIFO for its stderr, as tasks have for their output. So no helper waits for the supervisor, and the
next supervisor reads what a helper wrote while there was none. If the FIFO cannot be made, the helper writes to the
supervisor's own stderr.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from supervisor.store import layout

if TYPE_CHECKING:
    from supervisor.host.interface import Occurrence
    from supervisor.host.log import Log
    from supervisor.host.loop import Loop

LONGEST = 400
"""Characters of the last line that are kept."""

BLOCK = 65536


class Complaints:
    """The FIFOs of all helpers."""

    def __init__(self, loop: Loop, log: Log) -> None:
        self._loop = loop
        self._log = log
        self._fds: dict[str, int] = {}
        self._begun: dict[str, bytes] = {}  # a line that has no newline yet
        self._last: dict[str, str] = {}

    def open(self, runtime_dir: str, key: str) -> str:
        """Make the FIFO of a run that is about to start. Return its path, or "" if it cannot be made."""
        path = layout.helper_stderr(runtime_dir, key)
        self._read(key)
        self._last[key] = ""
        try:
            fd = _opened(path)
        except OSError:
            return ""
        self._close(key)
        self._fds[key] = fd
        try:
            self._loop.watch(fd, lambda _: self._read(key))
        except OSError:  # then `_read` reads it when the next run starts, or when a client asks
            return path
        return path

    def last(self, key: str) -> str:
        """Return the last line that the newest run has written; "" if it has written nothing."""
        self._read(key)
        begun = self._begun.get(key, b"").decode(errors="backslashreplace").strip()
        return (begun or self._last.get(key, ""))[:LONGEST]

    def _read(self, key: str) -> list[Occurrence]:
        """Pass on one block of what has come, so that other helpers have their turn."""
        fd = self._fds.get(key, -1)
        with suppress(BlockingIOError):
            data = os.read(fd, BLOCK) if fd >= 0 else b""
            *lines, rest = (self._begun.get(key, b"") + data).split(b"\n")
            self._begun[key] = rest[-BLOCK:]
            for line in lines:
                self._log.pass_on(line)
                self._last[key] = line.decode(errors="backslashreplace").strip() or self._last.get(key, "")
        return []

    def _close(self, key: str) -> None:
        fd = self._fds.pop(key, -1)
        if fd >= 0:
            self._loop.unwatch(fd)
            os.close(fd)


def _opened(path: str) -> int:
    """Open the FIFO for reading and writing, so that it never reports an end of file."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileExistsError
    return fd
