"""A line on stderr that shows what a longer request waits for. Only on a terminal, and only after a second."""

from __future__ import annotations

import os
import time

from supervisor.core.text import visible

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any, TextIO

PATIENCE = 1.0
"""Seconds before the line appears, and between two looks at the clock."""


class Live:
    """The line of one request."""

    def __init__(self, verb: str, err: TextIO, *, quiet: bool) -> None:
        """Prepare the line of a verb. `quiet`: never write it, as for --json."""
        self.on = not quiet and err.isatty()
        self._verb = verb
        self._err = err
        self._began = time.monotonic()
        self._pending: dict[str, str] = {}
        self._done = 0
        self._shown = False

    def take(self, progress: dict[str, Any]) -> None:
        """Take a progress report of the supervisor: a state, or an outcome."""
        if "outcome" in progress:
            self._pending.pop(progress["name"], None)
            self._done += 1
        else:
            why = f" ({progress['why']})" if progress["why"] else ""
            self._pending[progress["name"]] = f"{progress['name']} {progress['state']}{why}"

    def show(self) -> None:
        """Write the line again, once the patience is over."""
        waited = time.monotonic() - self._began
        if self.on and waited >= PATIENCE:
            width = os.get_terminal_size(self._err.fileno()).columns
            self._err.write(f"\r\033[K{visible(self.text(waited))[: max(width - 1, 1)]}")
            self._err.flush()
            self._shown = True

    def text(self, waited: float) -> str:
        """Return the text of the line."""
        parts = [f"{self._verb}: {waited:.0f} s"]
        if self._done:
            parts.append(f"{self._done} done")
        if self._pending:
            parts.append("waits for " + "; ".join(self._pending.values()))
        return ", ".join(parts)

    def clear(self) -> None:
        """Remove the line before the answer is shown."""
        if self._shown:
            self._err.write("\r\033[K")
            self._err.flush()
            self._shown = False
