"""Write a page of TOML: tables of tasks, and comments.

Each character that could do harm on a terminal is an escape, in strings and in comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from textwrap import wrap

from supervisor.core.text import json_visible, visible

WIDTH = 118
"""Characters of a line of a comment that is wrapped."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")

Value = str | bool | list[str] | dict[str, str]


class Page:
    """A page that grows from the top to the bottom."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        """Return the page, without a newline at its end."""
        return "\n".join(self._lines).strip("\n")

    def say(self, text: str) -> None:
        """Add a comment for people, in lines of a readable length."""
        self._lines += [f"# {line}".rstrip() for line in wrap(visible(text), WIDTH, break_on_hyphens=False)]

    def quote(self, text: str) -> None:
        """Add a line of the file as a comment, as it is."""
        self._lines.append(f"# {visible(text)}".rstrip())

    def gap(self) -> None:
        """Add an empty line, unless there is one."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def task(self, name: str, values: Mapping[str, Value], notes: Iterable[str] = ()) -> None:
        """Add the table of a task, with comments below its head."""
        self._lines.append(f"[task.{_key(name)}]")
        for note in notes:
            self.say(note)
        self._lines += [f"{_key(key)} = {_value(value)}" for key, value in values.items()]
        self.gap()


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json_visible(json.dumps(value, ensure_ascii=False))  # a string of JSON is one of TOML, too
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items()) + " }"
    return "[" + ", ".join(map(_value, value)) + "]"
