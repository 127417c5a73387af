"""The heat map: tasks × time, as a grid of means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from supervisor.core.immutable import immutable

SHADES = " ·░▒▓█"
"""From the lowest to the highest value, for output without colours."""

STEPS = (15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Slot lengths that people can read easily, in seconds."""


@immutable
class Heat:
    """One metric of every task. Each task has a row of slots; None where nothing was measured."""

    metric: str
    since: int  # seconds since 1970, the start of the first slot
    step: int  # seconds of a slot
    rows: dict[str, tuple[float | None, ...]]
    samples: int  # how many samples, or means of samples, the grid comes from

    @property
    def top(self) -> float:
        """Return the highest value of all cells."""
        return max((value for row in self.rows.values() for value in row if value is not None), default=0.0)

    @property
    def seen(self) -> int:
        """Return the number of slots in which anything was measured."""
        return sum(any(value is not None for value in column) for column in zip(*self.rows.values(), strict=True))


def step_for(seconds: float, columns: int) -> int:
    """Return the shortest readable slot for which this time fits into this many columns."""
    return next((step for step in STEPS if step * columns >= seconds), STEPS[-1])


def grid(metric: str, points: Iterable[tuple[str, int, float, int]], since: int, step: int, slots: int) -> Heat:
    """Put (task, slot, value, samples) into rows."""
    rows: dict[str, list[float | None]] = {}
    samples = 0
    for task, slot, value, count in points:
        if 0 <= slot < slots:
            rows.setdefault(task, [None] * slots)[slot] = value
            samples += count
    return Heat(metric, since, step, {task: tuple(row) for task, row in sorted(rows.items())}, samples)


def share(value: float, top: float) -> float:
    """Return the heat of a cell, from 0 to 1. It is the square root, so that small values stay visible."""
    return (value / top) ** 0.5 if top > 0 and value > 0 else 0.0


def shade(value: float | None, top: float) -> str:
    """Return a cell as a character; "?" where nothing was measured."""
    return "?" if value is None else SHADES[min(round(share(value, top) * (len(SHADES) - 1)), len(SHADES) - 1)]


def colour(value: float | None, top: float) -> tuple[int, int, int]:
    """Return a cell as red, green, blue: from dark blue over yellow to red; grey where nothing was measured."""
    if value is None:
        return (70, 70, 70)
    return _between(_SCALE, share(value, top))


_SCALE = ((18, 32, 64), (30, 110, 140), (90, 180, 90), (240, 200, 60), (200, 40, 30))


def _between(scale: Sequence[tuple[int, int, int]], where: float) -> tuple[int, int, int]:
    place = min(where, 1.0) * (len(scale) - 1)
    low = min(int(place), len(scale) - 2)
    red, green, blue = (round(a + (b - a) * (place - low)) for a, b in zip(scale[low], scale[low + 1], strict=True))
    return red, green, blue
