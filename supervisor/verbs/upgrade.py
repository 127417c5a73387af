"""`supctl upgrade`: the installed program in place of the running one, under the living tasks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, REFUSED, USAGE, Arguments, RefusedError, text
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = """supctl upgrade
supctl upgrade --json"""

LONGEST = 64
"""Characters of an id, which goes through the environment."""


def arguments(parser: ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """A name for this upgrade, by which its outcome is known."""
    options.id = os.urandom(4).hex()
    return {"id": options.id}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """A refusal, or nothing: the exec hangs up, and the next program knows the outcome."""
    number = text(args, "id") or ""
    if len(number) > LONGEST:
        raise RefusedError(f"'id' has at most {LONGEST} characters", USAGE)
    parent.upgrade.ask(client, number)


def hung_up(answer: dict[str, Any] | None, options: Namespace) -> dict[str, Any] | None:
    """What `version` says after that: the outcome, or None as long as it is open.

    Raises:
        RefusedError: it is another supervisor, which knows of no such upgrade.
    """
    if answer is None:
        return None
    last: dict[str, Any] = answer.get("upgrade") or {}
    if last.get("id") != options.id:
        raise RefusedError(f"the supervisor has died of it, and was started again (pid {answer['pid']}): see its log")
    return None if last["trial"] else last


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One line: which version it is now, or why the old one goes on."""
    if options.json:
        screen.json(answer)
    elif answer["why"] is None:
        tasks = f"{answer['adopted']} task{'' if answer['adopted'] == 1 else 's'} adopted"
        screen.line(f"upgraded from {answer['from']} to {answer['to']} (pid stays {answer['pid']}), {tasks}")
    else:
        goes_on = f"{answer['from']} goes on (pid {answer['pid']})"
        raise RefusedError(f"{answer['to']} has failed, {goes_on}: {answer['why']}")
    return OK if answer["why"] is None else REFUSED
