"""One FIFO that is being read, and what is known of it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from supervisor.host.place import leads_to
from supervisor.logs.format import Origin
from supervisor.logs.pump import room_of

if TYPE_CHECKING:
    from supervisor.logs.file import LogFile

PATIENCE = 0.25
"""Seconds that an unfinished line waits for its end."""


class Stream:
    """One FIFO."""

    __slots__ = (
        "alone", "ended", "fd", "fifo", "file", "grown", "left", "origin", "pause", "retired", "room", "sure", "tail",
        "taken", "to", "until", "unwatched",
    )  # fmt: skip

    def __init__(self, folder: str, fifo: str, run: str, stream: str) -> None:
        """Open it for reading only, so that the kernel reports when the last writer has gone.

        Raises:
            OSError: it is gone, or cannot be opened now.
        """
        self.fifo = fifo
        self.origin = Origin(run.rpartition("/")[0], run, stream)
        self.fd = _opened(f"{folder}/{fifo}")
        self.grown = False
        self.room = room_of(self.fd)
        self.unwatched = ""  # why the kernel does not report new output; "": it does
        self.left = 0  # bytes of an unfinished line that the last look has left in it
        self.until = 0.0  # when that line is written as it is
        self.pause = PATIENCE  # seconds until the next look at it
        self.retired = False  # its instance is no longer in the manifest
        self.alone = False  # it has no writer any more, unless a process opens it anew
        self.sure = False  # whether `alone` is known: the last writer may have gone before we opened it
        self.ended = False  # it has no writer, and is empty
        self.tail = b""
        self.to = ""  # the destination, as in `log.to`
        self.file: LogFile | None = None  # the destination, if it is a file
        self.taken = False  # no other process reads it


def _opened(path: str) -> int:
    """Open a FIFO. A path that is a link (`runs.fifos`) may lead to another one, after the death of the supervisor."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode) or not leads_to(f"/proc/self/fd/{fd}", path):
        os.close(fd)
        raise FileNotFoundError(path)
    return fd
