"""Find the line of a table or a key in a TOML text. TOML libraries do not report it.

The scanner makes one pass over a text that is known to be valid TOML. A statement begins with a header, a key, a
comment or nothing. The scanner skips a value token by token. So it does not mistake a bracket, a `#` or a header inside
a string or a list. An element of a list or an inline table has the line of its key, which is near enough for a person.
"""

from __future__ import annotations

import re

import tomli

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_STATEMENT = re.compile(rf"[ \t]*(?:\[\[?[ \t]*(?P<table>{_KEY})[ \t]*\]|(?P<key>{_KEY})[ \t]*=)?")
_PARTS = re.compile(_PART)
_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n|[^"'#\[\]{}\n]+''',
    re.DOTALL,
)
_DEEPEST = 6  # parts of a path that are kept: the schema has five (task.web.retry.backoff.initial)

Path = tuple[str, ...]


class Lines:
    """The lines of one text. The first question for a line finds all of them in one pass."""

    __slots__ = ("_index", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._index: dict[Path, int] | None = None

    def line(self, path: Path) -> int:
        """Return the line of a table or key, else of the nearest table around it, else 1."""
        if self._index is None:
            self._index = _scan(self._text)
        for length in range(min(len(path), _DEEPEST), 0, -1):
            if found := self._index.get(path[:length]):
                return found
        return 1


def _scan(text: str) -> dict[Path, int]:
    index: dict[Path, int] = {}
    table: Path = ()
    here, line = 0, 1
    while here < len(text):
        statement = _STATEMENT.match(text, here)
        name = statement and statement["table"]
        key = statement and statement["key"]
        if name:
            table = _split(name)
            _mark(index, table, 0, line)
            index[table] = line  # the line of the header, even if a table inside it came first
        elif key:
            _mark(index, (table + _split(key))[:_DEEPEST], len(table), line)
        end = _end(text, statement.end() if statement else here)
        line += text.count("\n", here, end)
        here = end
    return index


def _mark(index: dict[Path, int], path: Path, above: int, line: int) -> None:
    """Note the line of a path and of the tables it implies: `stop` also begins at `stop.grace = 1`."""
    for length in range(above + 1, len(path) + 1):
        index.setdefault(path[:length], line)


def _split(key: str) -> Path:
    """Return the parts of a dotted key, without quotes."""
    if key.isidentifier():
        return (key,)
    return tuple(_unquoted(part) for part in _PARTS.findall(key)[:_DEEPEST])


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    if "\\" not in part or part[0] == "'":
        return part[1:-1]
    value = tomli.loads(f"part = {part}")["part"]  # the TOML parser resolves the escapes
    return str(value)


def _end(text: str, here: int) -> int:
    """Return the index after the newline that ends the statement at `here`."""
    depth = 0
    while token := _TOKEN.match(text, here):
        here = token.end()
        mark = text[token.start()]
        if mark == "\n" and depth <= 0:
            return here
        depth += (mark in "[{") - (mark in "]}")
    return len(text)
