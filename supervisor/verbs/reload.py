"""`supctl reload`: read the config again, and apply all of it or nothing."""

from __future__ import annotations

from supervisor.core.exits import OK
from supervisor.verbs.arguments import ADMIN, FLAG, JSON, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl reload --dry-run
supctl reload"""


ROLE, ACTS = ADMIN, True

ARGUMENTS = (
    Argument("dry_run", "show what a reload would do, and change nothing", "--dry-run", kind=FLAG),
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer when the new config is in force. The restarts that follow from it may go on."""
    controls.config_in_force.reload(client, by=client.by, dry_run=args["dry_run"])


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the changes, one line per task."""
    if options.json:
        screen.json(answer)
        return OK
    for text in answer.get("warnings", ()):  # an older supervisor has none
        screen.complain(f"warning: {text}")
    for what in ("added", "removed"):
        for name in answer[what]:
            screen.line(f"{what}: {name}")
    for what in ("changed", "restarted"):
        for name, keys in answer[what].items():
            screen.line(f"{what}: {name} ({', '.join(keys)})")
    for key in answer["at_next_start"]:
        screen.line(f"takes effect when the supervisor is started again: supervisor.{key}")
    count = len(answer["unchanged"])
    screen.line(f"unchanged: {count} task{'' if count == 1 else 's'}" + (" (dry run)" if answer["dry_run"] else ""))
    return OK
