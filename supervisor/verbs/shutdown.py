"""`supctl shutdown`: stop all tasks, then the supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, Arguments
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = "supctl shutdown"


def arguments(parser: ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """Nothing."""
    return {}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """As SIGTERM does; answered when nothing is left."""
    parent.goodbye.append(client)
    parent.shut_down(f"asked by {client.by}")


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One line."""
    if options.json:
        screen.json(answer)
    else:
        screen.line(f"{answer['name']}: every task is stopped, the supervisor ends")
    return OK
