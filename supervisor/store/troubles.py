"""Report the current troubles of @scribe, with their reasons, in a small file that `status` shows.

The file holds one sentence for each subject ("history", "output", …). A subject without trouble is not in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from supervisor.store.statefile import TROUBLES

Tell = Callable[[str, str], None]
"""Reports the trouble of a subject in a whole sentence; "" when it is well again."""


class Troubles:
    """The writer of the file."""

    def __init__(self, runtime_dir: str, say: Callable[[str, str], None], part: str = "") -> None:
        """Begin without troubles: this scribe finds those of an earlier one again.

        Args:
            runtime_dir: the supervisor's.
            say: `say(level, text)` writes to the log.
            part: which of the processes of @scribe this is (`logs.share`); "": the first.
        """
        self._file = TROUBLES.part(part)
        self._runtime_dir = runtime_dir
        self._say = say
        self._known: dict[str, str] = {}
        self._written: dict[str, str] | None = None
        self._reserve = -1  # a reserved descriptor for the file: the trouble may be that no descriptor is free
        self.write()

    def show(self, subject: str, why: str) -> None:
        """Report to `status` only, not to the log."""
        if why:
            self._known[subject] = why
        else:
            self._known.pop(subject, None)
        if self._known or self._known != self._written:  # the file may have been removed
            self.write()

    def report(self, subject: str, why: str) -> None:
        """Report to `status`, and to the log when a trouble begins or ends."""
        before = self._known.get(subject, "")
        if why and not before:
            self._say("warning", why)
        elif before and not why:
            self._say("info", f"over: {before}")
        if why != before or self._known != self._written:
            self.show(subject, why)

    def about(self, subject: str) -> Callable[[str], None]:
        """Return `report` for one subject."""
        return partial(self.report, subject)

    def write(self) -> None:
        """Write the file, also after its removal. When there is no room, the next call writes it."""
        try:
            if self._reserve >= 0:
                os.close(self._reserve)
                self._reserve = -1
            self._file.write(self._runtime_dir, self._known)
            self._written = dict(self._known)
            self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._written = None
