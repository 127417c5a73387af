"""One line on stderr that says what a longer request waits for. Only on a terminal, and only after a second."""

from __future__ import annotations

import os
import time
from typing import Any, TextIO

PATIENCE = 1.0
"""Seconds that pass without a word, and between two looks at the clock."""


class Live:
    """The line of one request."""

    def __init__(self, verb: str, err: TextIO, *, quiet: bool) -> None:
        """`quiet`: nothing is ever written, as for --json."""
        self.on = not quiet and err.isatty()
        self._verb = verb
        self._err = err
        self._began = time.monotonic()
        self._pending: dict[str, str] = {}
        self._done = 0
        self._shown = False

    def take(self, progress: dict[str, Any]) -> None:
        """What the supervisor tells on the way: a state, or an outcome."""
        if "outcome" in progress:
            self._pending.pop(progress["name"], None)
            self._done += 1
        else:
            why = f" ({progress['why']})" if progress["why"] else ""
            self._pending[progress["name"]] = f"{progress['name']} {progress['state']}{why}"

    def show(self) -> None:
        """Writes the line anew, once the patience is over."""
        waited = time.monotonic() - self._began
        if self.on and waited >= PATIENCE:
            width = os.get_terminal_size(self._err.fileno()).columns
            self._err.write(f"\r\033[K{self.text(waited)[: max(width - 1, 1)]}")
            self._err.flush()
            self._shown = True

    def text(self, waited: float) -> str:
        """What the line says."""
        parts = [f"{self._verb}: {waited:.0f} s"]
        if self._done:
            parts.append(f"{self._done} done")
        if self._pending:
            parts.append("waits for " + "; ".join(self._pending.values()))
        return ", ".join(parts)

    def clear(self) -> None:
        """Takes the line away: the answer comes."""
        if self._shown:
            self._err.write("\r\033[K")
            self._err.flush()
            self._shown = False
