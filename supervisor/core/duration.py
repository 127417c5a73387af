"""Write durations as people say them, and as the config has them."""

from __future__ import annotations

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


def spoken(seconds: float) -> str:
    """Return a duration as the config has it ("1m30s", "250ms", "2d"), to the millisecond."""
    left = round(seconds * 1000)
    parts = []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts) or "0s"


def lasting(seconds: float) -> str:
    """Return a long duration in few units, rounded down, to be compared with others: "26h", "31h12m", "3d4h"."""
    if seconds < 2:
        return spoken(seconds)
    units = _UNITS[:-1]
    left = int(seconds * 1000 + 0.5)
    place = next(place for place, (size, _) in enumerate(units) if left >= 2 * size)
    parts = []
    for size, unit in units[place : place + 2]:
        parts += [f"{left // size}{unit}"] if left >= size else []
        left %= size
    return "".join(parts)
