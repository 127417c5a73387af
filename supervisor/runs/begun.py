"""Find out whether the run of a firing got its go byte before its supervisor was killed.

The child notes that itself, between the go byte and its program (`spawn.child`). Without a note the firing has not
become a run. A child that gets no go byte ends as soon as its supervisor is gone. So the answer is final once the
process has ended, or has written the note.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from supervisor.core.instance import Run
from supervisor.host import clock, procfs
from supervisor.store import layout

PATIENCE = 1.0
"""Seconds for a child that does neither, as it was stopped or waits for a disk. Then it is killed."""

GLANCE = 0.002
"""Seconds between two looks."""


def begun(runtime_dir: str, key: str, run: Run) -> bool:
    """Return whether a run got its go byte. Wait until that is certain.

    Raises:
        OSError: it is not known, because no descriptor or memory is left.
    """
    kill_at = clock.now() + PATIENCE
    until = kill_at + PATIENCE
    while not _noted(runtime_dir, key, run):
        process = procfs.stat(run.pid)
        now = clock.now()
        if not process.alive or process.birth != run.birth or now >= until:
            return _noted(runtime_dir, key, run)
        if now >= kill_at:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(run.pid, signal.SIGKILL)
        clock.sleep(GLANCE)
    return True


def _noted(runtime_dir: str, key: str, run: Run) -> bool:
    try:
        with open(layout.begun(runtime_dir, key), encoding="utf-8", errors="replace") as note:
            return note.read() == run.id
    except FileNotFoundError:
        return False
