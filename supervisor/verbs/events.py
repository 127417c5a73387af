"""`supctl events`: every change, one JSON object a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, USAGE, Arguments, RefusedError, flag, text
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = """supctl events -f
supctl events --since 3f9a1c.1042"""

CURSOR = re.compile(r"[0-9a-z]+\.[0-9]+", re.ASCII)


def arguments(parser: ArgumentParser) -> None:
    """-f, --since."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with every new event, until Ctrl-C")
    parser.add_argument("--since", metavar="CURSOR", help="only what came after the event with this cursor")
    parser.add_argument("--json", action="store_true", help="as it is in any case: one JSON object a line")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"follow": options.follow, "since": options.since}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """The kept events; with `follow`, then every new one until the client hangs up."""
    follow, since = flag(args, "follow"), text(args, "since")
    if since is not None and not CURSOR.fullmatch(since):
        raise RefusedError(
            f"--since takes the cursor of an event, such as {parent.feed.cursor!r}, not {since!r}", USAGE
        )
    for line in parent.feed.since(since):
        client.send(line)
    if follow:
        parent.feed.follow(client)
    else:
        client.answer({"cursor": parent.feed.cursor})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """The events themselves are shown as they come."""
    return OK
