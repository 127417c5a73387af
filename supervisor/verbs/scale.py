"""`supctl scale`: change the number of instances."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import REFUSED, UNKNOWN, USAGE
from supervisor.verbs.arguments import ADMIN, JSON, STRINGS, WAIT, Argument
from supervisor.verbs.interface import Arguments
from supervisor.verbs.outcome import came_up, show_outcomes, under_way, went_down
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl scale worker=8
supctl scale worker=0"""

MOST = 1000


ROLE, ACTS = ADMIN, True

ARGUMENTS = (
    Argument("scales", "task and number of instances", kind=STRINGS, many="+", metavar="NAME=N"),
    WAIT,
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Scale tasks. It holds until the `replicas` of the task change in the config. The highest numbers stop first.

    A triggered task is refused. The number of its runs is a decision of its config, `max_parallel`.
    """
    asked, waits = [_parse(controls, item) for item in args["scales"]], args["wait"]
    if not asked:
        raise RefusedError("which task, and how many? Give NAME=N", USAGE)

    def checked(wrong: str) -> None:
        gone = [task for task, _ in asked if task not in controls.context.config.tasks]
        if wrong or gone:
            client.fail(f"nothing was scaled: {wrong or f'{gone[0]} was removed meanwhile'}", REFUSED)
        else:
            _scale(controls, client, asked, waits=waits)

    controls.config_in_force.scale_checked(dict(asked), checked)


def _scale(controls: Controls, client: Asker, asked: list[tuple[str, int]], *, waits: bool) -> None:
    before = {i.key: i for task, _ in asked for i in controls.fleet.copies(task)}
    for task, replicas in asked:
        controls.config_in_force.scale(task, replicas, client.by)
    after = {i.key: i for task, _ in asked for i in controls.fleet.copies(task)}
    concerned = [i for key, i in after.items() if key not in before or i.retired or before[key].retired]

    def settled(fleet: Fleet, instance: Instance) -> Result | None:
        return (went_down if instance.retired or not instance.wanted else came_up)(fleet, instance)

    if waits and concerned:
        controls.follow(client, concerned, settled)
    else:
        client.answer(under_way(concerned))


def _parse(controls: Controls, item: str) -> tuple[str, int]:
    task, _, number = item.partition("=")
    if not number.isdecimal() or len(number) > len(str(MOST)) or int(number) > MOST:
        raise RefusedError(f"{item!r}: NAME=N with N from 0 to {MOST}", USAGE)
    if task not in controls.context.config.tasks:
        raise RefusedError(f"no task {task!r}; {_hint(controls, task)}", UNKNOWN)
    if controls.context.config.tasks[task].kind == "triggered":
        says = "a triggered task; change its max_parallel in the config, and reload"
        raise RefusedError(f"cannot scale {task}: it is {says}", REFUSED)
    return task, int(number)


def _hint(controls: Controls, task: str) -> str:
    from supervisor.core.nearest import nearest  # noqa: PLC0415 - not in supctl

    near = nearest(task, controls.context.config.tasks)
    return f"did you mean {near!r}?" if near else "see `supctl status`"


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show one line per instance that came or went."""
    if not (answer["instances"] or options.json):
        screen.line(f"{', '.join(options.scales)}: nothing to start or stop")
    return show_outcomes(answer, options, screen)
