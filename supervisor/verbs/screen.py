"""Text for people: aligned tables, colour only on a terminal, times as ages."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import TextIO

_COLOURS = {
    "running": "32", "done": "32", "starting": "36", "stopping": "36", "held": "35", "backoff": "33", "failed": "31",
}  # fmt: skip


class Screen:
    """Where a verb shows its answer."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout
        self.colour = self.out.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str = "") -> None:
        """One line."""
        self.out.write(text + "\n")

    def complain(self, text: str) -> None:
        """One line on stderr."""
        sys.stderr.write(text + "\n")

    def json(self, value: object) -> None:
        """One JSON value, indented."""
        self.line(json.dumps(value, indent=2, ensure_ascii=False))

    def state(self, state: str) -> str:
        """A state in its colour."""
        code = _COLOURS.get(state)
        return f"\033[{code}m{state}\033[0m" if self.colour and code else state

    def table(self, head: tuple[str, ...], rows: Iterable[tuple[str, ...]], coloured: int = -1) -> None:
        """Columns as wide as their widest cell, the last one as long as it is; column `coloured` holds states."""
        rows = list(rows)
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for number, row in enumerate((head, *rows)):
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
            if coloured >= 0 and number:
                cells[coloured] = cells[coloured].replace(row[coloured], self.state(row[coloured]), 1)
            self.line("  ".join(cells).rstrip())


def percent(value: float | None) -> str:
    """CPU, in percent of one processor."""
    return "-" if value is None else f"{value:.1f}%"


def size(value: float | None) -> str:
    """Bytes, or bytes per second: "12.3M"."""
    if value is None:
        return "-"
    for unit in ("", "K", "M"):
        if value < 1000:
            return f"{value:.0f}" if not unit else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}G"


def age(seconds: float | None) -> str:
    """How long, in two units: "3 d 4 h", "12 m 5 s", "0.4 s"; "-" for nothing."""
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
