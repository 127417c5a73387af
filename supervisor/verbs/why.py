"""`supctl why`: why a task is in the state it is in, and what happens next."""

from __future__ import annotations

from supervisor.core.exits import OK
from supervisor.verbs.arguments import JSON, ONE_OR_MORE, VIEW
from supervisor.verbs.interface import Arguments, chosen, with_runs
from supervisor.verbs.output import output, show
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = "supctl why web"


ROLE, ACTS = VIEW, False

ARGUMENTS = (
    ONE_OR_MORE,
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer one paragraph per instance."""
    client.answer(
        {
            "instances": [
                {
                    "name": i.name,
                    "state": str(i.state),
                    "why": explained(controls, i),
                    **output(controls, i),
                }
                for i in with_runs(chosen(controls.fleet, args), args["names"])
            ]
        }
    )


def explained(controls: Controls, i: Instance) -> str:
    """Return the paragraph of one instance."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    text = report.why(controls.fleet, i, controls.host.now(), controls.host.stamp)
    fires = controls.schedules.says(i.task)
    return f"{text} {fires[0].upper()}{fires[1:]}." if fires else text


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show the paragraphs."""
    if options.json:
        screen.json(answer)
        return OK
    for one in answer["instances"]:
        screen.line(one["why"])
        show(one, screen)
    return OK
