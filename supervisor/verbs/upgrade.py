"""`supctl upgrade`: replace the running program by the installed one. The tasks go on."""

from __future__ import annotations

from supervisor.core.exits import OK
from supervisor.verbs.arguments import ADMIN, JSON
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl upgrade
supctl upgrade --json"""

ROLE, ACTS = ADMIN, True

ARGUMENTS = (JSON,)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer a refusal, or nothing: the exec closes the connection. The next program has the outcome for the ticket."""
    controls.upgrade.ask(client)


def lost(pid: int, other: int) -> str:
    """Return what it means that the supervisor has ended before the outcome, and `other` answers (0: none)."""
    if other:
        return f"the new version ended, and a supervisor was started again (pid {other}): see its log"
    return (
        f"the new version (pid {pid}) ended before it was ready; the tasks keep running. Its log has the reason. "
        "A service manager starts it again; if it ends again, install the old version and start that"
    )


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show which version it is now."""
    if options.json:
        screen.json(answer)
    else:
        tasks = f"{answer['adopted']} task{'' if answer['adopted'] == 1 else 's'} adopted"
        screen.line(f"upgraded from {answer['from']} to {answer['to']} (pid stays {answer['pid']}), {tasks}")
    return OK
