"""Format values, names, keys and near misses for error messages, always on one line.

An error is one line, and formatting it never fails. So every value is shown as a few printable characters. A file may
hold newlines, control characters, a string of a megabyte, or a number of ten thousand digits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from supervisor.core.nearest import nearest

NOT_YET = "not available yet in this version"
"""The text for a key or a value that the contract has, but this version does not."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 60  # characters of a value that an error shows: enough to find it in the file


def printable(text: str) -> str:
    """Return the text with an escape for each character that is neither visible nor a blank."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quote(text: str, longest: int = _LONGEST) -> str:
    """Return a string as TOML writes it, cut where it gets too long to read."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return '"' + printable(short.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def quote_path(path: str) -> str:
    """Return a path or PATH in quotes, with up to 400 characters: its end matters most."""
    return quote(path, 400)


def quoted(names: Iterable[str]) -> str:
    """Return a list of strings for a sentence: "a", "b", "c"."""
    return ", ".join(quote(name) for name in names)


def dotted(path: Iterable[str]) -> str:
    """Return a key as TOML writes it: stop.grace, environment."two words"."""
    return ".".join(part if _BARE.fullmatch(part) else quote(part) for part in path)


def show(value: object) -> str:
    """Return a value of the file for a sentence: a short value as itself, a long value by its type."""
    match value:
        case str():
            return quote(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if value.bit_length() <= 128 else "a huge integer"
        case float():
            return str(value)
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def meant(word: str, names: Collection[str]) -> str:
    """Return the second half of an error about an unknown name: the near miss, else the known names."""
    if near := nearest(word, names):
        return f"did you mean {quote(near)}?"
    return listing(names)


def listing(names: Collection[str], most: int = 80) -> str:
    """Return the allowed names as a list of limited length."""
    some = ", ".join(printable(name[:_LONGEST]) for name in list(names)[:most])
    return f"allowed: {some or 'none'}{', …' if len(names) > most else ''}"
