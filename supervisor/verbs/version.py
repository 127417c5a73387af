"""`supctl version`: the versions of supctl and of the supervisor, if one can be reached."""

from __future__ import annotations

from supervisor.core.exits import OK
from supervisor.verbs.arguments import JSON, VIEW
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen
from supervisor.version import __version__

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = "supctl version"

OFFLINE: dict[str, Any] = {"version": None, "pid": None, "upgrade": None}
"""The answer when no supervisor can be reached; that is no error here."""


ROLE, ACTS = VIEW, False

ARGUMENTS = (JSON,)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer the supervisor's version."""
    import os  # noqa: PLC0415

    client.answer({"version": __version__, "pid": os.getpid(), "upgrade": controls.upgrade.last})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show two lines."""
    if options.json:
        told = {"supervisor": answer["version"], "pid": answer["pid"], "upgrade": answer.get("upgrade")}
        screen.json({"supctl": __version__, **told})
        return OK
    screen.line(f"supctl {__version__}")
    running = f"{answer['version']} (pid {answer['pid']})" if answer["version"] else "not reached"
    screen.line(f"supervisor {running}")
    return OK
