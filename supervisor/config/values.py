"""The plain types: text, booleans, one of several words, lists, signals.

The error of each check says what it found and what is allowed. A number is never silently a string.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from supervisor.config.errors import Problem, Wrong
from supervisor.config.key import Type, refuse
from supervisor.config.machine import Scope
from supervisor.config.messages import NOT_YET, quote, quoted, show
from supervisor.core.nearest import nearest

_PAUSES = {"SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"}


def string(value: object) -> str:
    """Return a string without NUL: no argument, path or environment can hold NUL."""
    if not isinstance(value, str):
        raise Wrong(f"{show(value)} is not a string; allowed: text in quotes")
    if "\0" in value:
        raise Wrong(f"{quote(value)} holds a NUL character; allowed: text without it")
    return value


def filled(value: object) -> str:
    """Return a string that is not empty."""
    if not string(value):
        raise Wrong('"" is empty; allowed: text in quotes')
    return string(value)


def word(value: object, _scope: Scope) -> str:
    """Return the name of something that is looked up later."""
    return filled(value)


def name(value: object, _scope: Scope) -> str:
    """Return a short visible text. It is shown in process titles and tables."""
    text = filled(value)
    if len(text) > 64 or not text.isprintable():
        raise Wrong(f"{quote(text)} is not a name; allowed: up to 64 visible characters")
    return text


def boolean(value: object, _scope: Scope) -> bool:
    """Return true or false. Refuse a number or a word."""
    if not isinstance(value, bool):
        raise Wrong(f"{show(value)} is not a boolean; allowed: true, false")
    return value


def choice(*names: str, later: tuple[str, ...] = (), make: Callable[[str], Any] = str) -> Type:
    """Return the type of one of several words.

    Args:
        names: the words of this version.
        later: words of the contract that this version does not have yet.
        make: turns the word into a value, e.g. a member of an enumeration.
    """

    def parse(value: object, _scope: Scope) -> Any:  # noqa: ANN401 - what `make` makes
        text = string(value)
        if text not in names:
            raise Wrong(not_one_of(text, names, later))
        return make(text)

    return Type(" | ".join(quote(one) for one in (*names, *later)), parse)


def member(of: type[StrEnum]) -> Type:
    """Return the type of a word of an enumeration. Its value is the member."""
    return choice(*(str(one) for one in of), make=of)


def not_one_of(text: str, names: Iterable[str], later: tuple[str, ...] = ()) -> str:
    """Return the error for a word that is none of these."""
    if text in later:
        return f"{quote(text)} is {NOT_YET}; available: {quoted(names)}"
    near = nearest(text, tuple(names))
    hint = f"did you mean {quote(near)}? " if near else ""
    return f"{quote(text)} is unknown; {hint}allowed: {quoted(names)}"


def each(parse: Callable[[Any, Scope], Any], values: Iterable[object], scope: Scope) -> tuple[Any, ...]:
    """Check every element. Raise all problems of all elements at once."""
    good: list[Any] = []
    problems: list[Problem] = []
    for value in values:
        try:
            good.append(parse(value, scope))
        except Wrong as wrong:
            problems += wrong.problems
            good.append(wrong.good)
    refuse(problems, tuple(good))
    return tuple(good)


def listed(parse: Callable[[Any, Scope], Any], words: str, example: str, *, empty: bool = True) -> Type:
    """Return the type of a list. `empty`: the empty list is allowed."""

    def check(value: object, scope: Scope) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Wrong(f"{show(value)} is not a list; allowed: {example}")
        if not value and not empty:
            raise Wrong(f"the list is empty; allowed: {example}")
        return each(parse, value, scope)

    return Type(f"list of {words}", check)


def signal_name(value: object, _scope: Scope) -> str:
    """Return the kernel's name of a signal: "TERM" and "SIGTERM" are both SIGTERM, "SIGCLD" is SIGCHLD."""
    text = string(value)
    known = signal.Signals.__members__
    found = known.get(text) or known.get(f"SIG{text}")
    if found is None:
        near = nearest(text if "SIG" in text.upper() else f"SIG{text}", known)
        hint = f"did you mean {quote(near)}?" if near else 'allowed: a name such as "SIGTERM"'
        raise Wrong(f"{quote(text)} is not a signal; {hint}")
    return str(found.name)


def stop_signal(value: object, scope: Scope) -> str:
    """Return a signal that can end a task. Refuse one that only pauses the task until the grace is over."""
    found = signal_name(value, scope)
    if found in _PAUSES:
        raise Wrong(f'{quote(found)} would pause the task, not end it; allowed: a signal such as "SIGTERM"')
    return found


def exit_status(value: object, scope: Scope) -> int | str:
    """Return an exit code or the name of a signal."""
    if isinstance(value, str):
        return signal_name(value, scope)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{show(value)} is not an exit code; allowed: 0 to 255, or the name of a signal")
    if not 0 <= value <= 255:
        raise Wrong(f"{show(value)} is out of range; allowed: 0 to 255, or the name of a signal")
    return value


def names(example: str) -> Type:
    """Return the type of a list of names. Good names are looked up even if another element is wrong."""

    def check(value: object, scope: Scope) -> tuple[str, ...]:
        try:
            found: tuple[str, ...] = plain.parse(value, scope)
        except Wrong as wrong:
            good = tuple(one for one in value if isinstance(one, str) and one) if isinstance(value, list) else None
            raise Wrong(problems=wrong.problems, good=good) from None
        return found

    plain = listed(word, "names", example)
    return Type(plain.words, check)


NAMES = names('["database"]')
NAME = Type("string", name)
BOOLEAN = Type("boolean", boolean)
