"""Turn the keys that a kind adds (`core.kind_key`) into keys of the config."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from supervisor.config.command import command
from supervisor.config.errors import Wrong
from supervisor.config.interpolate import interpolate
from supervisor.config.key import Key, Type
from supervisor.config.machine import Scope
from supervisor.config.messages import show
from supervisor.config.values import filled, string
from supervisor.core.immutable import immutable
from supervisor.core.kind_key import Forms, KindKey, UnfitError


@immutable
class TableForms:
    """The forms as the tables of one file have them. Implements `Forms`; a method raises `Wrong`."""

    scope: Scope

    def literal(self, value: object) -> str:
        """See `Forms.literal`."""
        return filled(value)

    def text(self, value: object) -> str:
        """See `Forms.text`."""
        return interpolate(filled(value), self.scope.machine.environ, at_start=True)

    def texts(self, value: object, example: str) -> dict[str, str]:
        """See `Forms.texts`."""
        if not isinstance(value, dict):
            raise Wrong(f"{show(value)} is not a table; allowed: {example}")
        environ = self.scope.machine.environ
        return {name: interpolate(string(text), environ, at_start=True) for name, text in value.items()}

    def path(self, text: str) -> str:
        """See `Forms.path`."""
        return os.path.join(self.scope.folder, text)

    def command(self, value: object) -> tuple[str, ...]:
        """See `Forms.command`."""
        return command(value, self.scope)


def type_of(words: str, parse: Callable[[object, Forms], Any]) -> Type:
    """Return the type of values that such a function checks."""

    def parsed(value: object, scope: Scope) -> Any:  # noqa: ANN401 - what the function returns
        try:
            return parse(value, TableForms(scope))
        except UnfitError as unfit:
            raise Wrong(f"{show(unfit.value)} {unfit.why}") from None

    return Type(words, parsed)


def key_of(one: KindKey, prefix: str = "") -> Key:
    """Return the key of the config; `prefix` goes before its line of documentation."""
    return Key(one.name, type_of(one.words, one.parse), one.default, f"{prefix}{one.doc}")
