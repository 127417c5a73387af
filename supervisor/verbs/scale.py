"""`supctl scale`: another number of instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import REFUSED, UNKNOWN, USAGE, Arguments, RefusedError, flag, strings
from supervisor.verbs.outcome import came_up, show_outcomes, under_way, went_down
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl scale worker=8
supctl scale worker=0"""

MOST = 1000


def arguments(parser: ArgumentParser) -> None:
    """NAME=N…, --no-wait."""
    parser.add_argument("scales", nargs="+", metavar="NAME=N", help="task and number of instances")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the outcome")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"scales": options.scales, "wait": not options.no_wait}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Holds until the config's own `replicas` of the task changes. The highest numbers go first."""
    asked, waits = [_parse(parent, item) for item in strings(args, "scales")], flag(args, "wait")
    if not asked:
        raise RefusedError("which task, and how many? Give NAME=N", USAGE)

    def checked(wrong: str) -> None:
        gone = [task for task, _ in asked if task not in parent.config.tasks]
        if wrong or gone:
            client.fail(f"nothing was scaled: {wrong or f'{gone[0]} was removed meanwhile'}", REFUSED)
        else:
            _scale(parent, client, asked, waits=waits)

    parent.configuration.scale_checked(dict(asked), checked)


def _scale(parent: Parent, client: Asker, asked: list[tuple[str, int]], *, waits: bool) -> None:
    before = {i.key: i for task, _ in asked for i in parent.fleet.copies(task)}
    for task, replicas in asked:
        parent.configuration.scale(task, replicas, client.by)
    after = {i.key: i for task, _ in asked for i in parent.fleet.copies(task)}
    concerned = [i for key, i in after.items() if key not in before or i.retired or before[key].retired]

    def settled(fleet: Fleet, instance: Instance) -> Result | None:
        return (went_down if instance.retired or not instance.wanted else came_up)(fleet, instance)

    if waits and concerned:
        parent.follow(client, concerned, settled)
    else:
        client.answer(under_way(concerned))


def _parse(parent: Parent, item: str) -> tuple[str, int]:
    task, _, number = item.partition("=")
    if not number.isdecimal() or len(number) > len(str(MOST)) or int(number) > MOST:
        raise RefusedError(f"{item!r}: NAME=N with N from 0 to {MOST}", USAGE)
    if task not in parent.config.tasks:
        raise RefusedError(f"no task {task!r}; {_hint(parent, task)}", UNKNOWN)
    return task, int(number)


def _hint(parent: Parent, task: str) -> str:
    from supervisor.core.nearest import nearest  # noqa: PLC0415 - not in supctl

    near = nearest(task, parent.config.tasks)
    return f"did you mean {near!r}?" if near else "see `supctl status`"


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One line per instance that came or went."""
    if not (answer["instances"] or options.json):
        screen.line(f"{', '.join(options.scales)}: nothing to start or stop for that")
    return show_outcomes(answer, options, screen)
