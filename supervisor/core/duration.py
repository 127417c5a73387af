"""A time as people say it, and as the config writes it."""

from __future__ import annotations

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


def spoken(seconds: float) -> str:
    """As the config writes it ("1m30s", "250ms", "2d"), to the millisecond."""
    left = round(seconds * 1000)
    parts = []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts) or "0s"
