"""The arguments of verbs, as data.

Each verb lists its arguments once. From that list come the parser of `supctl`, the check of a request, and the
documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import USAGE

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

STRINGS, TEXT, FLAG, COUNT, NUMBER, SECONDS, DURATION, PATIENCE, SPAN, MOMENT, FUTURE = (
    "strings", "text", "flag", "count", "number", "seconds", "duration", "patience", "span", "moment", "time",
)  # fmt: skip
"""The kinds of values.

COUNT is 1 or more, NUMBER is 0 or more. SECONDS is a plain number. A DURATION is "1h30m" in `supctl` and seconds in a
request. PATIENCE is a DURATION that may be 0. A SPAN is a DURATION that `supctl` takes only with its unit. A MOMENT is
a time, or a duration before now. A FUTURE is a time, or a duration from now. Only `supctl` has the last two.
"""

VIEW, OPERATE, ADMIN = "view", "operate", "admin"
"""The roles. A verb answers only a client that has the verb's role."""

LONGEST = 1e9
"""Seconds of the longest duration of a request: 31 years."""


class Argument:
    """One argument of a verb."""

    def __init__(  # noqa: PLR0913 - each is one fact
        self,
        name: str,
        help: str,  # noqa: A002 - as argparse calls it
        *flags: str,
        kind: str = TEXT,
        metavar: str | None = None,
        many: str = "",
        default: Any = None,  # noqa: ANN401
        choices: Iterable[str] = (),
        local: bool = False,
        negates: bool = False,
        group: str = "",
    ) -> None:
        """Describe it.

        Args:
            name: the key in a request.
            help: one line for people.
            flags: "-n", "--lines" …; none: it is positional.
            kind: one of the kinds above.
            metavar: the name of the value in help texts.
            many: of STRINGS: "*" any number, "+" one or more, "1" exactly one.
            default: the value when it is missing.
            choices: the only values that are allowed.
            local: only `supctl` uses it, and does not send it.
            negates: the flag in `supctl` means false.
            group: arguments of the same group exclude each other.
        """
        self.name = name
        self.help = help
        self.flags = flags
        self.kind = kind
        self.metavar = metavar
        self.many = many
        self.default = (
            [] if kind == STRINGS and default is None else False if kind == FLAG and default is None else default
        )
        self.choices = tuple(choices)
        self.local = local
        self.negates = negates
        self.group = group

    @property
    def in_parser(self) -> bool:
        """Return whether a command line can have it. Words after `--` and values made up by `supctl` do not count."""
        return bool(self.flags or self.metavar or self.choices)

    def checked(self, value: Any) -> Any:  # noqa: ANN401
        """Return a value of a request.

        Raises:
            RefusedError: it has the wrong type, or is not allowed.
        """
        good, allowed = _CHECKS[self.kind]
        if value is None and self.default is None:
            return None
        if not good(value):
            raise RefusedError(f"{self.name!r} must be {allowed}", USAGE)
        if self.choices and value not in self.choices:
            raise RefusedError(f"{self.name!r} must be one of {', '.join(self.choices)}", USAGE)
        return value


def checked(arguments: Iterable[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a request, with the defaults of those that are missing.

    Raises:
        RefusedError: one is unknown, or has the wrong type.
    """
    known = {argument.name: argument for argument in arguments if not argument.local}
    if unknown := [key for key in given if key not in known]:
        takes = ", ".join(known) or "none"
        raise RefusedError(f"unknown argument {unknown[0]!r}; known arguments: {takes}", USAGE)
    return {name: one.checked(given.get(name, one.default)) for name, one in known.items()}


def request_of(arguments: Iterable[Argument], options: Namespace) -> dict[str, Any]:
    """Return the request that a command line means."""
    return {one.name: getattr(options, one.name) for one in arguments if not one.local}


def add_to(parser: ArgumentParser, arguments: Iterable[Argument]) -> None:
    """Add the arguments to the parser of a verb."""
    groups: dict[str, Any] = {}
    for argument in arguments:
        if not argument.in_parser:
            continue
        where: Any = parser
        if argument.group:
            where = groups.setdefault(argument.group, None) or parser.add_mutually_exclusive_group()
            groups[argument.group] = where
        where.add_argument(*(argument.flags or (argument.name,)), **_for_argparse(argument))


def _for_argparse(argument: Argument) -> dict[str, Any]:
    """Return the keywords of `add_argument`."""
    words: dict[str, Any] = {"help": argument.help}
    if argument.flags:
        words["dest"] = argument.name
    if argument.kind == FLAG:
        words["action"] = "store_false" if argument.negates else "store_true"
        words["default"] = argument.negates
        return words
    if argument.metavar:
        words["metavar"] = argument.metavar
    if argument.choices:
        words["choices"] = argument.choices
    if argument.kind == STRINGS and argument.flags:
        return {**words, "action": "append", "default": []}
    if argument.kind == STRINGS:
        return {**words, "nargs": 1 if argument.many == "1" else argument.many}
    if argument.flags:
        words["default"] = argument.default
    elif argument.default is not None or argument.many == "?":
        words |= {"nargs": "?", "default": argument.default}
    if argument.kind != TEXT:
        words["type"] = _READERS[argument.kind]
    return words


# -- what a client sends ----------------------------------------------------------------------------------------------


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and "\0" not in item for item in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LONGEST


def _is_patience(value: object) -> bool:
    return _is_seconds(value) or (value == 0 and not isinstance(value, bool))


_CHECKS = {
    STRINGS: (_is_strings, "a list of strings without NUL bytes"),
    TEXT: (_is_text, "a string"),
    FLAG: (lambda value: isinstance(value, bool), "true or false"),
    COUNT: (lambda value: _is_whole(value) and value > 0, "a whole number, 1 or more"),
    NUMBER: (_is_whole, "a whole number, 0 or more"),
    SECONDS: (_is_seconds, "a number of seconds above zero"),
    DURATION: (_is_seconds, "a number of seconds above zero"),
    PATIENCE: (_is_patience, "a number of seconds, 0 or more"),
    SPAN: (_is_seconds, "a number of seconds above zero"),
}
"""The test of a value of each kind, and its description in words."""


# -- what a person writes ---------------------------------------------------------------------------------------------


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError(text)
    return int(text)


def _number(text: str) -> int:
    return int(text) and _count(text)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 86400:
        raise ValueError(text)
    return seconds


def _duration(text: str) -> float:
    from argparse import ArgumentTypeError  # noqa: PLC0415 - only in supctl

    from supervisor.config.quantity import duration_of  # noqa: PLC0415

    try:
        seconds = duration_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if not 0 < seconds < LONGEST:
        raise ArgumentTypeError(f"{text!r} is not a duration above zero")
    return seconds


def _patience(text: str) -> float:
    return 0.0 if text in ("0", "0s") else _duration(text)


def _span(text: str) -> float:
    from argparse import ArgumentTypeError  # noqa: PLC0415 - only in supctl

    if text.replace(".", "", 1).isdecimal():
        raise ArgumentTypeError(f"{text!r} has no unit; write {text}s, {text}m or {text}h")
    return _duration(text)


def _moment(text: str) -> float:
    from supervisor.verbs.history_reader import moment  # noqa: PLC0415 - only where it is used

    return moment(text)


def _future(text: str) -> float:
    from supervisor.verbs.history_reader import moment  # noqa: PLC0415 - only where it is used

    return moment(text, ahead=True)


_READERS = {
    COUNT: _count, NUMBER: _number, SECONDS: _seconds, DURATION: _duration, PATIENCE: _patience, SPAN: _span,
    MOMENT: _moment, FUTURE: _future,
}  # fmt: skip
"""How `supctl` reads a value of each kind. An error message of argparse contains the name of the reader."""

for _kind, _reader in _READERS.items():
    _reader.__name__ = _kind  # "invalid count value: 'x'"

# -- what many verbs have ---------------------------------------------------------------------------------------------

ONE_OR_MORE = Argument(
    "names", "task, instance (web:2), group (@etl) or glob ('w*')", kind=STRINGS, many="+", metavar="NAME"
)
ANY = Argument("names", "task, instance (web:2), group (@etl) or glob ('w*')", kind=STRINGS, many="*", metavar="NAME")
ALL = Argument("all", "every task", "--all", kind=FLAG)
WAIT = Argument("wait", "do not wait for the outcome", "--no-wait", kind=FLAG, negates=True)
JSON = Argument("json", "the answer as JSON", "--json", kind=FLAG, local=True)

INSTANCES = (ANY, ALL, WAIT, JSON)
"""The arguments of verbs that change the state of instances and wait for the change."""
