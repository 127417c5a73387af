"""The types that count or measure: numbers, durations, sizes, permission bits.

`true` is never a number. `nan` and `inf` are never durations. A value far out of any range is an error here, so it
cannot break a timer or a system call later.
"""

from __future__ import annotations

import math
import re

from supervisor.config.errors import Wrong
from supervisor.config.key import Type
from supervisor.config.machine import Scope
from supervisor.config.messages import show

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_DURATIONS = 'allowed: "250ms", "10s", "5m", "1h30m", "2d", or a number of seconds'
_LONGEST = 3650 * 86400.0  # ten years: a longer time is a mistake, and a timer must be able to hold it
_SIZE = re.compile(r"(\d+)([KMG]?)", re.ASCII)
_SIZES = 'allowed: "512K", "64M", "2G" (powers of 1024), or a number of bytes'
_LARGEST = 2**62  # bytes: fits into every limit of the kernel
_POWERS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def integer(low: int, high: int) -> Type:
    """Return the type of a whole number in a range."""
    allowed = f"allowed: {low} to {high}"

    def parse(value: object, _scope: Scope) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"{show(value)} is not an integer; {allowed}")
        if not low <= value <= high:
            raise Wrong(f"{show(value)} is out of range; {allowed}")
        return value

    return Type(f"integer, {low} to {high}", parse)


def number(low: float, high: float) -> Type:
    """Return the type of a number with or without a fraction, in a range."""
    allowed = f"allowed: {low:g} to {high:g}"

    def parse(value: object, _scope: Scope) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(f"{show(value)} is not a number; {allowed}")
        if not low <= value <= high:  # the comparison is false for nan, too
            raise Wrong(f"{show(value)} is out of range; {allowed}")
        return float(value)

    return Type(f"number, {low:g} to {high:g}", parse)


def duration(*, zero: bool = True) -> Type:
    """Return the type of a time in seconds, up to ten years. `zero`: 0 is allowed."""

    def parse(value: object, _scope: Scope) -> float:
        return _limited(value, zero=zero)

    return Type("duration", parse)


def duration_of(text: str) -> float:
    """Return the seconds of a duration above 0, as typed in a command line: "30m", or a number of seconds.

    Raises:
        ValueError: it is invalid; the text says why, and what is allowed.
    """
    try:
        whole = text.isascii() and text.isdecimal() and len(text) < 16
        written = int(text) if whole else float(text) if _NUMBER.fullmatch(text) else text
        return _limited(written, zero=False)
    except Wrong as wrong:
        raise ValueError(str(wrong)) from None


def _limited(value: object, *, zero: bool) -> float:
    seconds = _seconds(value)
    if seconds > _LONGEST:
        raise Wrong(f'{show(value)} is too long; allowed: up to "3650d"')
    if seconds == 0 and not zero:
        raise Wrong(f"{show(value)} is zero; allowed: more than 0")
    return seconds


def _seconds(value: object) -> float:
    """Return the seconds of a duration in any notation. A value beyond a float becomes infinity."""
    if isinstance(value, str):
        parts = _DURATION.fullmatch(value)
        if value and parts:
            pairs = zip(parts.groups(), _SECONDS, strict=True)
            return round(math.fsum(float(part) * unit for part, unit in pairs if part), 6)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value <= _LONGEST:
            return float(value)
        if value > _LONGEST and value != math.inf:
            return math.inf
        if value < 0:
            raise Wrong(f"{show(value)} is negative; {_DURATIONS}")
    raise Wrong(f"{show(value)} is not a duration; {_DURATIONS}")


def size(*, zero: bool = False, least: int = 1) -> Type:
    """Return the type of a number of bytes. `zero`: 0 is allowed; `least`: the smallest useful number."""

    def parse(value: object, _scope: Scope) -> int:
        parts = _SIZE.fullmatch(value[:40]) if isinstance(value, str) else None
        if parts:
            count = int(parts[1]) * _POWERS[parts[2]]
        elif isinstance(value, int) and not isinstance(value, bool):
            count = value
        else:
            raise Wrong(f"{show(value)} is not a size; {_SIZES}")
        if not (0 if zero else 1) <= count <= _LARGEST:
            raise Wrong(f"{show(value)} is out of range; {_SIZES}")
        if 0 < count < least:
            raise Wrong(f"{show(value)} is too small; allowed: {least} bytes or more")
        return count

    return Type("size", parse)


def octal(example: str) -> Type:
    """Return the type of permission bits. They are a string, as people write them: "022"."""
    allowed = f'allowed: octal digits as a string, such as "{example}"'

    def parse(value: object, _scope: Scope) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{1,3}", value):
            raise Wrong(f"{show(value)} is not a mode; {allowed}")
        return int(value, 8)

    return Type("octal string", parse)


DURATION = duration()
TIME = duration(zero=False)
