"""`supctl version`: of supctl, and of the supervisor if one can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, Arguments
from supervisor.verbs.screen import Screen
from supervisor.version import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = "supctl version"

OFFLINE: dict[str, Any] = {"version": None, "pid": None, "upgrade": None}
"""The answer when no supervisor can be reached; that is no error here."""


def arguments(parser: ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """Nothing."""
    return {}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """The supervisor's."""
    import os  # noqa: PLC0415

    client.answer({"version": __version__, "pid": os.getpid(), "upgrade": parent.upgrade.last})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Two lines."""
    if options.json:
        told = {"supervisor": answer["version"], "pid": answer["pid"], "upgrade": answer.get("upgrade")}
        screen.json({"supctl": __version__, **told})
        return OK
    screen.line(f"supctl {__version__}")
    running = f"{answer['version']} (pid {answer['pid']})" if answer["version"] else "not reached"
    screen.line(f"supervisor {running}")
    return OK
