"""How an error speaks of what it found: values, names, keys and near misses, always on one line.

Whatever a file holds (newlines, control characters, a string of a megabyte, a number of ten thousand
digits) must come out as a few printable characters: an error is one line, and never fails itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from supervisor.core.nearest import nearest

NOT_YET = "not available yet in this version"
"""What is said of a key or a value that the contract has and this version has not."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 60  # characters of a value that an error shows: enough to find it in the file


def printable(text: str) -> str:
    """The text with everything that is not one visible character or a blank written as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quote(text: str, longest: int = _LONGEST) -> str:
    """A string as one would write it in TOML, cut where it gets too long to read."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return '"' + printable(short.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def quote_path(path: str) -> str:
    """A path or PATH, of which the end says most."""
    return quote(path, 400)


def quoted(names: Iterable[str]) -> str:
    """A list of strings for a sentence: "a", "b", "c"."""
    return ", ".join(quote(name) for name in names)


def dotted(path: Iterable[str]) -> str:
    """A key as TOML writes it: stop.grace, environment."two words"."""
    return ".".join(part if _BARE.fullmatch(part) else quote(part) for part in path)


def show(value: object) -> str:
    """A value of the file for a sentence: a short one as itself, a long one by its type."""
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
    """The second half of an error about an unknown name: the near miss alone, else what there is."""
    if near := nearest(word, names):
        return f"did you mean {quote(near)}?"
    return listing(names)


def listing(names: Collection[str], most: int = 80) -> str:
    """What is allowed, as a list that ends somewhere."""
    some = ", ".join(printable(name[:_LONGEST]) for name in list(names)[:most])
    return f"allowed: {some or 'none'}{', …' if len(names) > most else ''}"
