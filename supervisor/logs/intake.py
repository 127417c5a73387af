"""Find the FIFOs of the runtime directory, and retry those that could not be opened at first.

The kernel reports new FIFOs (inotify). Without a free descriptor the scribe cannot open a FIFO. The FIFO then holds the
output until it is full, and the task has to wait. So the scribe tries again, and reports whose output it cannot read
and why.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from supervisor.core.words import in_words
from supervisor.host.inotify import IN_CREATE, Watch
from supervisor.logs.names import OUT, number_of, run_of

FIRST_PAUSE, LAST_PAUSE = 0.05, 2.0
"""Seconds until the next try after a failure. The pause doubles from the first value to the last."""

NAMED = 3
"""Instances that a message names. Of further ones it gives the number."""


class Intake:
    """Keeps track of the FIFOs in the runtime directory."""

    def __init__(self, folder: str, begin: Callable[[str, str, str], None], tell: Callable[[str], None]) -> None:
        """Watch the folder.

        Args:
            folder: of the FIFOs.
            begin: takes name, run and stream of a FIFO, opens it, and reads it from then on. It raises OSError when it
                cannot.
            tell: gets a sentence when some output is not read, and "" when all of it is.
        """
        self.watch = Watch(IN_CREATE)
        self._folder = folder
        self._begin = begin
        self._tell = tell
        self._failed: dict[str, str] = {}  # FIFOs that could not be opened, and why
        self._unlisted = ""  # why the folder could not be listed; "": it could
        self._again: float | None = None
        self._pause = FIRST_PAUSE

    def begin(self, now: float) -> None:
        """Watch the folder and open all FIFOs in it. Called again when another folder has taken its place."""
        self.watch.set(((self._folder, "*.out"), (self._folder, "*.err")))
        self._open_fifos(None, now)

    def open_reported(self, now: float) -> None:
        """Open the FIFOs that the kernel reports."""
        self._open_fifos(self.watch.names(), now)

    def next_deadline(self) -> float | None:
        """Return when to retry the failed FIFOs; None: none has failed."""
        return self._again

    def due(self, now: float) -> None:
        """Retry the failed FIFOs."""
        self._open_fifos(None if self._unlisted else list(self._failed), now)

    def _open_fifos(self, names: list[str] | None, now: float) -> None:
        """Open the FIFOs of these names; None: all that exist."""
        try:
            found = self._by_age() if names is None else sorted(names, key=_in_order)
            self._unlisted = "" if names is None else self._unlisted
        except FileNotFoundError:  # the runtime directory is being removed
            raise
        except OSError as error:
            found, self._unlisted = [], in_words(error)
        for fifo in found:
            self._open(fifo)
        self._plan(now)

    def _open(self, fifo: str) -> None:
        found = run_of(fifo)
        self._failed.pop(fifo, None)
        if not found:
            return
        try:
            self._begin(fifo, *found)
        except FileNotFoundError:  # it is gone
            return
        except OSError as error:
            self._failed[fifo] = error.strerror or str(error)

    def _plan(self, now: float) -> None:
        """Decide when to try again, and report which output is not read until then."""
        if not self._failed and not self._unlisted:
            self._again, self._pause = None, FIRST_PAUSE
        elif self._again is None or self._again <= now:
            self._again = now + self._pause
            self._pause = min(2 * self._pause, LAST_PAUSE)
        self._tell(self._says())

    def _says(self) -> str:
        if self._unlisted:
            return f"new output cannot be read and waits: {self._folder}: {self._unlisted}; tried again"
        if not self._failed:
            return ""
        keys = list(dict.fromkeys(fifo.rpartition("@")[0].rpartition(".")[0] for fifo in self._failed))
        more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
        why = next(iter(self._failed.values()))
        return f"the output of {', '.join(keys[:NAMED])}{more} cannot be read and waits: {why}; tried again"

    def _by_age(self) -> list[str]:
        """Return all FIFOs by age. A new journal starts a new epoch, and may number runs from 1 again."""
        there: list[str] = []
        epochs: dict[str, int] = {}
        for fifo in os.listdir(self._folder):
            with suppress(FileNotFoundError):
                moment = os.stat(f"{self._folder}/{fifo}").st_mtime_ns
                epochs[_epoch(fifo)] = max(moment, epochs.get(_epoch(fifo), 0))
                there.append(fifo)
        return sorted(there, key=lambda fifo: (epochs[_epoch(fifo)], *_in_order(fifo)))


def _epoch(fifo: str) -> str:
    return fifo.rpartition("@")[2].partition(".")[0]


def _in_order(fifo: str) -> tuple[int, str, bool]:
    """Return the sort key for FIFOs of one moment: the older run first, and its stdout first."""
    base, _, stream = fifo.rpartition(".")
    run = run_of(fifo)
    return number_of(run[0]) if run else 0, base, stream != OUT
