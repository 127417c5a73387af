"""Describe the keys that a kind of a family (a kind of probe, later of trigger or queue) adds to the config.

A kind states its keys in its own file. The parent loads that file, but never the package `config`. So this module is
below both, and `config.kinds` turns each key into one of the config.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from supervisor.core.immutable import immutable


class Forms(Protocol):
    """The forms of values that all tables of the config share. Each method checks one value and returns it."""

    def literal(self, value: object) -> str:
        """Return a string that is not empty, as it is written."""

    def text(self, value: object) -> str:
        """Return a string that is not empty, with the variables of the environment filled in.

        `${SUPERVISOR_INSTANCE}` and similar variables stay: each instance has its own.
        """

    def texts(self, value: object, example: str) -> dict[str, str]:
        """Return a table of such strings; they may be empty."""

    def path(self, text: str) -> str:
        """Return a path. A relative path starts in the directory of the config file."""

    def command(self, value: object) -> tuple[str, ...]:
        """Return the words of a command."""


class UnfitError(ValueError):
    """A value does not fit its key. The error reads: the value, then `why`."""

    def __init__(self, value: object, why: str) -> None:
        """`why` continues a sentence: 'is not a URL; allowed: "http://127.0.0.1:8000/health"'."""
        super().__init__(f"{value} {why}")
        self.value = value
        self.why = why


@immutable
class KindKey:
    """One key that a kind adds."""

    name: str
    words: str  # its type, for people
    parse: Callable[[object, Forms], Any]  # returns the value, or raises UnfitError; the value must be plain JSON
    doc: str
    default: object = None
    secret: bool = False  # `supctl show` hides the value


def masked(value: object) -> object:
    """Return what `supctl show` prints for a secret: the names in a table stay."""
    return dict.fromkeys(value, "…") if isinstance(value, dict) else "…" if value else value
