"""`supctl events`: every change, one JSON object a line."""

from __future__ import annotations

import re

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, USAGE
from supervisor.verbs.arguments import FLAG, VIEW, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl events -f
supctl events --since 3f9a1c.1042"""

CURSOR = re.compile(r"[0-9a-z]+\.[0-9]+", re.ASCII)


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    Argument("follow", "then show each new event, until Ctrl-C", "-f", "--follow", kind=FLAG),
    Argument("since", "only events after the one with this cursor", "--since", metavar="CURSOR"),
    Argument("json", "no effect: events are always one JSON object a line", "--json", kind=FLAG, local=True),
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Send the kept events. With `follow`, then send every new one until the client disconnects."""
    follow, since = args["follow"], args["since"]
    if since is not None and not CURSOR.fullmatch(since):
        raise RefusedError(
            f"--since takes the cursor of an event, such as {controls.context.feed.cursor!r}, not {since!r}", USAGE
        )
    for line in controls.context.feed.since(since):
        client.send(line)
    if follow:
        controls.context.feed.follow(client)
    else:
        client.answer({"cursor": controls.context.feed.cursor})


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show nothing more: `supctl` has shown the events as they came."""
    return OK
