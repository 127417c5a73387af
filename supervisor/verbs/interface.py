"""What a verb is, and how it reads what a client sent.

A verb is a module: both ends of one `supctl` word in one file.

- `EXAMPLE`: command lines that show it, for `--help`.
- `arguments(parser)`: its arguments. `request(options)`: what is sent. Both run in `supctl`.
- `answer(parent, client, args)`: runs in the supervisor; answers the client now or when the outcome is known.
- `render(answer, options, screen)`: shows the answer; returns the exit code. Runs in `supctl`.

Two more, where they make sense: `pending(answer)`: whether to ask again soon; `offline(options, runtime_dir)`: what to
render when there is no supervisor. A third, for a request that ends by the supervisor hanging up: `hung_up(answer,
options)`, what the answer of `version` then means; None: ask again.

A verb that needs no supervisor has `local(options, screen)` in place of the last two. A new verb is a file here and a
line in `verbs.NAMES`; a test compares the two.

Nothing that a client sends is believed: what has the wrong type is refused with a reason (`RefusedError`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

Arguments = dict[str, Any]

OK, REFUSED, USAGE, NOT_WELL, UNKNOWN, UNREACHABLE = 0, 1, 2, 3, 4, 5
"""The exit codes of the contract's section 7."""


class RefusedError(Exception):
    """A request cannot be done; the text is for the person who asked."""

    def __init__(self, text: str, exit_code: int = REFUSED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def chosen(
    parent: Parent, args: Arguments, *, all_without_names: bool = False, may_be_none: bool = False
) -> list[Instance]:
    """The instances that `names` means, or all of them with `all`.

    Raises:
        RefusedError: there is no such name, or none is given; or, unless there `may_be_none`, what is meant has no
            instance.
    """
    from supervisor.core.select import (  # noqa: PLC0415 - not in supctl
        UnknownNameError,
        everything,
        select,
        without_instances,
    )

    names = strings(args, "names")
    if flag(args, "all") or (all_without_names and not names):
        return everything(parent.fleet)
    if not names:
        raise RefusedError("which tasks? Give a NAME, or --all", USAGE)
    try:
        found = select(parent.fleet, names)
    except UnknownNameError as error:
        raise RefusedError(str(error), UNKNOWN) from None
    if not found and not may_be_none:
        none = without_instances(parent.fleet, names)
        raise RefusedError("; ".join(map(no_instance, none)) or f"{', '.join(names)}: there is no task in it")
    return found


def no_instance(task: str) -> str:
    """What is to be said of a task that has none."""
    return f"{task} has no instance (replicas = 0): `supctl scale {task}=1` gives it one"


def strings(args: Arguments, key: str) -> list[str]:
    """A list of strings; empty when it is missing.

    Raises:
        RefusedError: it is something else.
    """
    value = args.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise RefusedError(f"{key!r} must be a list of strings", USAGE)
    return value


def text(args: Arguments, key: str) -> str | None:
    """A string, or None when it is missing.

    Raises:
        RefusedError: it is something else.
    """
    value = args.get(key)
    if value is not None and (not isinstance(value, str) or "\0" in value):
        raise RefusedError(f"{key!r} must be a string", USAGE)
    return value


def flag(args: Arguments, key: str) -> bool:
    """A truth value; False when it is missing.

    Raises:
        RefusedError: it is something else.
    """
    value = args.get(key, False)
    if not isinstance(value, bool):
        raise RefusedError(f"{key!r} must be true or false", USAGE)
    return value


def count(text: str) -> int:
    """How many, on a command line: 1 or more.

    Raises:
        ValueError: it is something else.
    """
    if not text.isdecimal() or not int(text):
        raise ValueError(text)
    return int(text)


def number(text: str) -> int:
    """The same, or none at all: 0 or more.

    Raises:
        ValueError: it is something else.
    """
    return int(text) and count(text)
