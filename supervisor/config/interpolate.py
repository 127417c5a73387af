"""Replace `${NAME}` in commands, environment values and paths, from the supervisor's own environment.

- `${NAME}` is its value; a name that is not set is an error.
- `${NAME:-default}` is the default where the name is not set or empty, as in a shell.
- `$${` is a plain `${`.
- Any other `$` stays as it is: `$HOME`, `${x%.*}` and `$5` belong to the program that runs.

A command is split into words first, so a value with blanks stays in its word.

`${SUPERVISOR_TASK}`, `${SUPERVISOR_INSTANCE}` and `${SUPERVISOR_REPLICAS}` differ between instances. In `command` and
`environment` they stay as they are, and the child replaces them when it starts. A path that holds one of them is an
error: the path is checked here, and all instances have the same path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from supervisor.config.errors import Problem, Wrong
from supervisor.config.messages import quote

AT_START = frozenset({"SUPERVISOR_TASK", "SUPERVISOR_INSTANCE", "SUPERVISOR_REPLICAS"})
"""Names that get their value only when an instance starts."""

_PLACE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\}|:-(?P<default>[^}]*)(?P<end>\}?))")


def interpolate(text: str, environ: Mapping[str, str], *, at_start: bool) -> str:
    """Replace every `${NAME}`.

    Args:
        text: a word, a value or a path.
        environ: where the values come from.
        at_start: whether the names that an instance gets at its start may stay as they are.

    Raises:
        Wrong: names that are not set and have no default, or a default that does not end.
    """
    if "${" not in text:
        return text
    problems: list[Problem] = []

    def value(place: re.Match[str]) -> str:
        name = place["name"]
        if name is None:
            return "${"
        if place["end"] == "" or "${" in (place["default"] or ""):
            problems.append(Problem((), _open(place)))
        elif name in AT_START:
            if not at_start:
                problems.append(Problem((), f"${{{name}}} has no value here; allowed: in command and environment"))
            return f"${{{name}}}"
        elif place["default"] is not None:
            return environ.get(name) or place["default"]
        elif name not in environ:
            problems.append(Problem((), f"${{{name}}} is not set in the environment of the supervisor; {_ways(name)}"))
        return environ.get(name, "")

    result = _PLACE.sub(value, text)
    if problems:
        raise Wrong(problems=problems)
    return result


def _ways(name: str) -> str:
    return f"set it, or give a default: ${{{name}:-default}}"


def _open(place: re.Match[str]) -> str:
    if place["end"]:
        return f"{quote(place[0])} has ${{ inside of its default; allowed: plain text"
    return f"{quote(place[0])} has no closing brace; allowed: ${{NAME:-default}}, in quotes if the default has spaces"
