"""`supctl shutdown`: stop all tasks, then the supervisor."""

from __future__ import annotations

from supervisor.core.exits import OK
from supervisor.verbs.arguments import ADMIN, DURATION, JSON, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl shutdown
supctl shutdown --within 30s"""


ROLE, ACTS = ADMIN, True

ARGUMENTS = (
    Argument(
        "within",
        "wait no longer than this for start-up tasks of mode foreground; default: as stop_grace permits",
        "--within",
        kind=DURATION,
        metavar="DURATION",
    ),
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Shut down as SIGTERM does. Answer when no task is left."""
    controls.ending.goodbye.append(client)
    controls.ending.begin(f"requested by {client.by}", within=args["within"])


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show one line."""
    if options.json:
        screen.json(answer)
    else:
        screen.line(f"{answer['name']}: every task is stopped, the supervisor ends")
    return OK
