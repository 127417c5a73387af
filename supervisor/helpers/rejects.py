"""Set aside in a file the records that @scribe cannot use. Count and report them.

Such a record must not block the other records. It must not stop @scribe, which would read it again after each restart.
The file lies beside the history and is for a person. Each line is a JSON object with the time, the reason and the
record as it was found.

The count is in the runtime directory, where it outlives @scribe. The parent emits an event for it, and `status` shows
it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from supervisor.core.utf8 import json_line
from supervisor.host import clock
from supervisor.store.statefile import REJECTS

Say = Callable[[str, str], None]
"""A function that logs for the operator: a level, and a sentence."""

LIMIT = 1 << 20
"""Bytes of the file. Records beyond that are only counted, so that a flood of them fills no disk."""

Rejected = list[tuple[str, str]]
"""Records, as they were found, each with the reason."""


class Rejects:
    """All records that were ever set aside in this runtime directory."""

    def __init__(self, runtime_dir: str, say: Say) -> None:
        """Go on with the count of an earlier @scribe."""
        self._runtime_dir = runtime_dir
        self._say = say

    def set_aside(self, path: str, rejected: Rejected) -> None:
        """Set records aside in this file, and report them.

        Raises:
            OSError: the file cannot be written; nothing was counted.
        """
        if not rejected:
            return
        stamp = clock.stamp()
        _append(path, "".join(f"{json_line({'at': stamp, 'why': why, 'record': one})}\n" for one, why in rejected))
        known = REJECTS.read(self._runtime_dir).get("records", 0)
        why = rejected[-1][1]
        self._say(
            "error", f"{len(rejected)} runs could not be written to the history and are set aside in {path}: {why}"
        )
        count = (known if isinstance(known, int) else 0) + len(rejected)
        REJECTS.write(self._runtime_dir, {"records": count, "path": path, "why": why, "at": stamp})


def _append(path: str, lines: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(fd).st_size < LIMIT:
            os.write(fd, lines.encode())
    finally:
        os.close(fd)
