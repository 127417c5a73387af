"""Describe the keys of a table and their types, and check a table against them.

A `Type` turns a value of TOML into a value of the definitions or raises `Wrong`. A `Key` is a name, a type, a default
and a line of documentation. Tables nest: `table(KEYS)` is itself a type. `walk` visits only the keys that are written.
It reports every problem and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from supervisor.config.errors import ErrorKind, Missing, Problem, Wrong
from supervisor.config.machine import Scope
from supervisor.config.messages import NOT_YET, meant, quote, show
from supervisor.core.immutable import immutable


@immutable
class Type:
    """A type of values: its name for people, and the check that returns the value or raises `Wrong`."""

    words: str
    parse: Callable[[object, Scope], Any]
    keys: Mapping[str, Key] | None = None  # of a table


@immutable
class Key:
    """One key that a table may hold."""

    name: str
    type: Type
    default: object  # the value without the key; None: there is none, or the doc names it
    doc: str
    instead: str = ""  # not empty: the key is not available yet; this text says what is


def keys(*rows: Key) -> dict[str, Key]:
    """Return the keys by name."""
    return {row.name: row for row in rows}


def walk(allowed: Mapping[str, Key], raw: Mapping[str, object], scope: Scope) -> tuple[dict[str, Any], list[Problem]]:
    """Check what is written in a table. Return the good values by key, and every problem."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in raw.items():
        key = allowed.get(name)
        if key is None:
            problems.append(Problem((name,), unknown(name, allowed)))
            continue
        try:
            values[name] = key.type.parse(value, scope)
        except Wrong as wrong:
            problems += (problem.below(name) for problem in wrong.problems)
            if wrong.good is not None:
                values[name] = wrong.good
            continue
        if key.instead:
            del values[name]
            problems.append(Problem((name,), f"{NOT_YET}; {key.instead}"))
    return values, problems


def refuse(problems: Collection[Problem], good: object) -> None:
    """Raise the problems of a value that has parts. `good`: the value, used if all errors are of the machine.

    Raises:
        Wrong: there are problems. It is `Missing` if the value itself is right.
    """
    if any(problem.kind is ErrorKind.CONFIG for problem in problems):
        raise Wrong(problems=problems)
    if problems:
        raise Missing(problems=problems, good=good)


def unknown(name: str, allowed: Mapping[str, Key]) -> str:
    """Return the error for an unknown key. It also knows keys one level down: `grace` is `stop.grace`."""
    for outer in allowed.values():
        if outer.type.keys and name in outer.type.keys:
            return f"unknown key; did you mean {quote(f'{outer.name}.{name}')}?"
    return f"unknown key; {meant(name, allowed)}"


def table(allowed: Mapping[str, Key], needed: tuple[str, ...] = (), one_of: tuple[str, ...] = ()) -> Type:
    """Return the type of a nested table. Its value is a dict of what is written.

    Args:
        allowed: its keys.
        needed: keys that must be there.
        one_of: keys of which exactly one must be there.
    """

    def parse(value: object, scope: Scope) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Wrong(f"{show(value)} is not a table; allowed: a table with the keys {', '.join(allowed)}")
        values, problems = walk(allowed, value, scope)
        problems += (Problem((name,), "missing; this key is required") for name in needed if name not in value)
        if one_of and sum(name in value for name in one_of) != 1:
            problems.append(Problem((), f"exactly one key of {', '.join(one_of)} is needed"))
        refuse(problems, values)
        return values

    return Type("table", parse, allowed)
