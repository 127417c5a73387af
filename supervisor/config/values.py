"""The plain types: text, numbers, durations, sizes, modes, signals, one of several words, lists of these.

Each check says what it found and what is allowed. `true` is never a number, `nan` and `inf` are never
durations, and a number is never silently a string.
"""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from supervisor.config.errors import Problem, Wrong
from supervisor.config.key import Type
from supervisor.config.wording import NOT_YET, nearest, quote, quoted, show
from supervisor.config.world import Scope

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_DURATIONS = 'allowed: "250ms", "10s", "5m", "1h30m", "2d", or a number of seconds'
_LONGEST = 3650 * 86400.0  # ten years: what is longer is a slip, and a timer must be able to hold it
_SIZE = re.compile(r"(\d+)([KMG]?)", re.ASCII)
_SIZES = 'allowed: "512K", "64M", "2G" (powers of 1024), or a number of bytes'
_LARGEST = 2**62  # bytes: fits into every limit of the kernel
_POWERS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_PAUSES = {"SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"}


def string(value: object) -> str:
    """A string without NUL, which no argument, path or environment can hold."""
    if not isinstance(value, str):
        raise Wrong(f"{show(value)} is not a string; allowed: text in quotes")
    if "\0" in value:
        raise Wrong(f"{quote(value)} holds a NUL character; allowed: text without it")
    return value


def filled(value: object) -> str:
    """A string that is not empty."""
    if not string(value):
        raise Wrong('"" is empty; allowed: text in quotes')
    return string(value)


def name(value: object, _scope: Scope) -> str:
    """A short visible text: it is shown in process titles and tables."""
    text = filled(value)
    if len(text) > 64 or not text.isprintable():
        raise Wrong(f"{quote(text)} is not a name; allowed: up to 64 visible characters")
    return text


def boolean(value: object, _scope: Scope) -> bool:
    """True or false, not a number and not a word."""
    if not isinstance(value, bool):
        raise Wrong(f"{show(value)} is not a boolean; allowed: true, false")
    return value


def integer(low: int, high: int) -> Type:
    """A whole number in a range."""
    allowed = f"allowed: {low} to {high}"

    def parse(value: object, _scope: Scope) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"{show(value)} is not an integer; {allowed}")
        if not low <= value <= high:
            raise Wrong(f"{show(value)} is out of range; {allowed}")
        return value

    return Type(f"integer, {low} to {high}", parse)


def number(low: float, high: float) -> Type:
    """A number with or without a fraction, in a range."""
    allowed = f"allowed: {low:g} to {high:g}"

    def parse(value: object, _scope: Scope) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(f"{show(value)} is not a number; {allowed}")
        if not low <= value <= high:  # false for nan as well
            raise Wrong(f"{show(value)} is out of range; {allowed}")
        return float(value)

    return Type(f"number, {low:g} to {high:g}", parse)


def duration(*, zero: bool = True) -> Type:
    """A time in seconds, up to ten years; `zero`: whether none at all makes sense."""

    def parse(value: object, _scope: Scope) -> float:
        seconds = _seconds(value)
        if seconds > _LONGEST:
            raise Wrong(f'{show(value)} is too long; allowed: up to "3650d"')
        if seconds == 0 and not zero:
            raise Wrong(f"{show(value)} is no time at all; allowed: more than 0")
        return seconds

    return Type("duration", parse)


def _seconds(value: object) -> float:
    """The seconds of any way to write a duration; what is beyond a float comes out as infinity."""
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


def size(*, zero: bool = False) -> Type:
    """A number of bytes; `zero`: whether none at all makes sense."""

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
        return count

    return Type("size", parse)


def octal(example: str) -> Type:
    """Permission bits, as a string because that is how they are spoken: "022"."""
    allowed = f'allowed: octal digits as a string, such as "{example}"'

    def parse(value: object, _scope: Scope) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{1,3}", value):
            raise Wrong(f"{show(value)} is not a mode; {allowed}")
        return int(value, 8)

    return Type("octal string", parse)


def choice(*names: str, later: tuple[str, ...] = (), make: Callable[[str], Any] = str) -> Type:
    """One of several words.

    Args:
        names: the words of this version.
        later: words of the contract that this version does not have yet.
        make: what becomes of the word, e.g. a member of an enumeration.
    """

    def parse(value: object, _scope: Scope) -> Any:  # noqa: ANN401 - what `make` makes
        word = string(value)
        if word not in names:
            raise Wrong(not_one_of(word, names, later))
        return make(word)

    return Type(" | ".join(quote(word) for word in (*names, *later)), parse)


def member(of: type[StrEnum]) -> Type:
    """One of the words of an enumeration, as its member."""
    return choice(*(str(each) for each in of), make=of)


def not_one_of(word: str, names: Iterable[str], later: tuple[str, ...] = ()) -> str:
    """What to say of a word that is none of these."""
    if word in later:
        return f"{quote(word)} is {NOT_YET}; available: {quoted(names)}"
    near = nearest(word, (*names, *later))
    hint = f"did you mean {quote(near)}? " if near else ""
    return f"{quote(word)} is unknown; {hint}allowed: {quoted(names)}"


def each(parse: Callable[[Any, Scope], Any], values: Iterable[object], scope: Scope) -> tuple[Any, ...]:
    """Check every element; all problems of all elements at once."""
    good: list[Any] = []
    problems: list[Problem] = []
    for value in values:
        try:
            good.append(parse(value, scope))
        except Wrong as wrong:
            problems += wrong.problems
    if problems:
        raise Wrong(problems=problems)
    return tuple(good)


def listed(parse: Callable[[Any, Scope], Any], words: str, example: str, *, empty: bool = True) -> Type:
    """A list of something; `empty`: whether the list without elements makes sense."""

    def check(value: object, scope: Scope) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Wrong(f"{show(value)} is not a list; allowed: {example}")
        if not value and not empty:
            raise Wrong(f"the list is empty; allowed: {example}")
        return each(parse, value, scope)

    return Type(f"list of {words}", check)


def signal_name(value: object, _scope: Scope) -> str:
    """The name of a signal as the kernel knows it: "TERM" and "SIGTERM" are both SIGTERM, "SIGCLD" is SIGCHLD."""
    word = string(value)
    known = signal.Signals.__members__
    found = known.get(word) or known.get(f"SIG{word}")
    if found is None:
        near = nearest(word if "SIG" in word.upper() else f"SIG{word}", known)
        hint = f"did you mean {quote(near)}?" if near else 'allowed: a name such as "SIGTERM"'
        raise Wrong(f"{quote(word)} is not a signal; {hint}")
    return str(found.name)


def stop_signal(value: object, scope: Scope) -> str:
    """A signal that can end a task: not one that only pauses it until the grace is over."""
    found = signal_name(value, scope)
    if found in _PAUSES:
        raise Wrong(f'{quote(found)} would pause the task, not end it; allowed: a signal such as "SIGTERM"')
    return found


def exit_status(value: object, scope: Scope) -> int | str:
    """An exit code or the name of a signal."""
    if isinstance(value, str):
        return signal_name(value, scope)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{show(value)} is not an exit code; allowed: 0 to 255, or the name of a signal")
    if not 0 <= value <= 255:
        raise Wrong(f"{show(value)} is out of range; allowed: 0 to 255, or the name of a signal")
    return value


NAME = Type("string", name)
BOOLEAN = Type("boolean", boolean)
DURATION = duration()
TIME = duration(zero=False)
