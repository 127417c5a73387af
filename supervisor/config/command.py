"""The types of what a task runs: `command` (a list of words, or a string of them) and `python` (a callable).

The check splits a string into words as a POSIX shell does, but no shell runs. A person who writes `a | b` expects
a shell. So an operator that stands alone is an error, and its message says why. In quotes, or in a list, an operator
is an ordinary word.
"""

from __future__ import annotations

import re

from supervisor.config.errors import Wrong
from supervisor.config.interpolate import interpolate
from supervisor.config.key import Type
from supervisor.config.machine import Scope
from supervisor.config.messages import quote, show
from supervisor.config.values import each, filled, string

_ALLOWED = 'allowed: a list of words, or a string such as "python3 -m mailer"'
_OPERATORS = {"|", "||", "|&", "&", "&&", ";", "<", "<<", ">", ">>", ">|", "&>", ">&2", "1>&2", "2>", "2>>", "2>&1"}
_WORD = re.compile(r"[^ \t\r\n]+")
_PART = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_CALLABLE = re.compile(rf"{_PART}:{_PART}")


def command(value: object, scope: Scope) -> tuple[str, ...]:
    """Return the words of a command. There is at least one word, and the first is not empty."""
    if isinstance(value, str):
        words = _split(string(value))
    elif isinstance(value, list):
        words = list(each(_word, value, scope))
    else:
        raise Wrong(f"{show(value)} is not a command; {_ALLOWED}")
    words = list(each(_value, words, scope))
    if not words or not words[0]:
        raise Wrong(f"the command is empty; {_ALLOWED}")
    return tuple(words)


def _word(value: object, _scope: Scope) -> str:
    return string(value)


def _value(word: str, scope: Scope) -> str:
    return interpolate(word, scope.machine.environ, at_start=True)


def _split(text: str) -> list[str]:
    if "'" in text or '"' in text or "\\" in text:
        import shlex  # noqa: PLC0415 - slow, and most commands have no quotes

        try:
            words = shlex.split(text)
        except ValueError as error:
            raise Wrong(f"{quote(text)} cannot be split: {str(error).lower()}; {_ALLOWED}") from None
    else:
        words = _WORD.findall(text)
    alone = _OPERATORS.intersection(words, _WORD.findall(text))
    if alone:
        found = min(alone, key=words.index)
        raise Wrong(f"{quote(found)} has no effect: no shell runs the command; for a shell, write {_in_shell(text)}")
    return words


def _in_shell(text: str) -> str:
    shown = text if len(text) <= 30 else "…"
    return "[" + ", ".join(quote(word) for word in ("sh", "-c", shown)) + "]"


def python(value: object, _scope: Scope) -> str:
    """Return a reference to a callable. Only the child finds out whether it can be called."""
    text = filled(value)
    if not _CALLABLE.fullmatch(text):
        raise Wrong(f'{quote(text)} is not a callable; allowed: "package.module:callable"')
    return text


COMMAND = Type("command", command)
PYTHON = Type("callable", python)
