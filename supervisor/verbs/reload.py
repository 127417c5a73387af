"""`supctl reload`: the config anew, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, Arguments, flag
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = """supctl reload --dry-run
supctl reload"""


def arguments(parser: ArgumentParser) -> None:
    """--dry-run, --json."""
    parser.add_argument("--dry-run", action="store_true", help="only say what a reload would do")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"dry_run": options.dry_run}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Answered when the new config is in force; the restarts that follow from it go on."""
    parent.configuration.reload(client, by=client.by, dry_run=flag(args, "dry_run"))


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """What changed, a line per task."""
    if options.json:
        screen.json(answer)
        return OK
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
