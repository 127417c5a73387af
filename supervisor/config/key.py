"""What a table may hold: keys, their types, and the walk that checks a table against them.

A `Type` turns a value of TOML into a value of the definitions or raises `Wrong`. A `Key` is a name, a
type, a default and a line of documentation. Tables nest: `table(KEYS)` is itself a type. The walk visits
only what is written, reports every problem, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from supervisor.config.errors import Problem, Wrong
from supervisor.config.wording import NOT_YET, meant, quote, show
from supervisor.config.world import Scope
from supervisor.core.immutable import immutable


@immutable
class Type:
    """A type of values: its words for people, and the check that makes a value of it or raises `Wrong`."""

    words: str
    parse: Callable[[object, Scope], Any]
    keys: Mapping[str, Key] | None = None  # of a table


@immutable
class Key:
    """One key that a table may hold."""

    name: str
    type: Type
    default: object  # what the definition has without the key; None: nothing, or the doc says what
    doc: str
    instead: str = ""  # not empty: the key is not available yet, and this is what is


def keys(*rows: Key) -> dict[str, Key]:
    """A table of keys by name."""
    return {row.name: row for row in rows}


def walk(allowed: Mapping[str, Key], raw: Mapping[str, object], scope: Scope) -> tuple[dict[str, Any], list[Problem]]:
    """Check what is written in a table: the good values by key, and every problem."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in raw.items():
        key = allowed.get(name)
        if key is None:
            problems.append(((name,), unknown(name, allowed)))
            continue
        try:
            values[name] = key.type.parse(value, scope)
        except Wrong as wrong:
            problems += (((name, *path), message) for path, message in wrong.problems)
            if wrong.good is not None:
                values[name] = wrong.good
            continue
        if key.instead:
            del values[name]
            problems.append(((name,), f"{NOT_YET}; {key.instead}"))
    return values, problems


def unknown(name: str, allowed: Mapping[str, Key]) -> str:
    """What to say of a key that the table does not have; one level down counts: `grace` is `stop.grace`."""
    for outer in allowed.values():
        if outer.type.keys and name in outer.type.keys:
            return f"unknown key; did you mean {quote(f'{outer.name}.{name}')}?"
    return f"unknown key; {meant(name, allowed)}"


def table(allowed: Mapping[str, Key], needed: tuple[str, ...] = (), one_of: tuple[str, ...] = ()) -> Type:
    """A nested table: a dict of the values that are written.

    Args:
        allowed: its keys.
        needed: keys that must be there.
        one_of: keys of which exactly one must be there.
    """

    def parse(value: object, scope: Scope) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Wrong(f"{show(value)} is not a table; allowed: a table with the keys {', '.join(allowed)}")
        values, problems = walk(allowed, value, scope)
        problems += (((name,), "missing; it is needed here") for name in needed if name not in value)
        if one_of and sum(name in value for name in one_of) != 1:
            problems.append(((), f"exactly one key of {', '.join(one_of)} is needed"))
        if problems:
            raise Wrong(problems=problems)
        return values

    return Type("table", parse, allowed)
