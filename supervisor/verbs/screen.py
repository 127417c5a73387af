"""Text for people: aligned tables, colour only on a terminal, times as ages, no control sequences from others."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from supervisor.core.text import json_visible, visible

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import TextIO

_COLOURS = {
    "running": "32", "done": "32", "starting": "36", "stopping": "36", "held": "35", "backoff": "33", "failed": "31",
}  # fmt: skip


class Screen:
    """The output of a verb."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.colour = self.out.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str = "") -> None:
        """Write one line."""
        self.write(visible(text))

    def complain(self, text: str) -> None:
        """Write one line to stderr."""
        sys.stderr.write(visible(text) + "\n")

    def json(self, value: object) -> None:
        """Write one JSON value, indented."""
        from supervisor.core.utf8 import json_page  # noqa: PLC0415 - only then

        self.write(json_visible(json_page(value, self._encoding)))

    def json_line(self, value: object) -> None:
        """Write one JSON value on one line."""
        from supervisor.core.utf8 import json_line  # noqa: PLC0415 - only then

        self.write(json_visible(json_line(value, self._encoding)))

    @property
    def _encoding(self) -> str:
        return self.out.encoding or "utf-8"  # a string in memory has none

    def write(self, text: str) -> None:
        """Write a line whose only control sequences are our colours."""
        self.out.write(text + "\n")

    def bytes(self, line: bytes) -> None:
        """Write a foreign line as it is."""
        binary = getattr(self.out, "buffer", None)
        if binary is None:
            self.write(line.decode(errors="backslashreplace"))
            return
        self.out.flush()
        binary.write(line + b"\n")

    def state(self, state: str) -> str:
        """Return a state in its colour."""
        code = _COLOURS.get(state)
        return f"\033[{code}m{state}\033[0m" if self.colour and code else state

    def table(self, head: tuple[str, ...], rows: Iterable[tuple[str, ...]], coloured: int = -1) -> None:
        """Write a table. Column `coloured` holds states.

        A column is as wide as its widest cell. The last column is not padded.
        """
        rows = [tuple(map(visible, row)) for row in rows]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for number, row in enumerate((head, *rows)):
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
            if coloured >= 0 and number:
                cells[coloured] = cells[coloured].replace(row[coloured], self.state(row[coloured]), 1)
            self.write("  ".join(cells).rstrip())


def percent(value: float | None) -> str:
    """Format CPU usage, in percent of one processor."""
    return "-" if value is None else f"{value:.1f}%"


def size(value: float | None) -> str:
    """Format bytes, or bytes per second: "12.3M"."""
    if value is None:
        return "-"
    for unit in ("", "K", "M"):
        if value < 1000:
            return f"{value:.0f}" if not unit else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}G"


def age(seconds: float | None) -> str:
    """Format a duration in two units: "3 d 4 h", "12 m 5 s", "0.4 s"; "-" for None."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size or parts:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])
