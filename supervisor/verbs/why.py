"""`supctl why`: why a task is in the state it is in, and what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, Arguments, chosen
from supervisor.verbs.output import output, tell
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = "supctl why web"


def arguments(parser: ArgumentParser) -> None:
    """NAME…, --json."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="task, instance, group or glob")
    parser.add_argument("--json", action="store_true", help="as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """One paragraph per instance."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    host = parent.host
    client.answer(
        {
            "instances": [
                {
                    "name": i.name,
                    "state": str(i.state),
                    "why": report.why(parent.fleet, i, host.now(), host.stamp),
                    **output(parent, i),
                }
                for i in chosen(parent, args)
            ]
        }
    )


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """The paragraphs."""
    if options.json:
        screen.json(answer)
        return OK
    for one in answer["instances"]:
        screen.line(one["why"])
        tell(one, screen)
    return OK
