"""`supctl schedule`: when tasks fire next, and what became of their firings; and hold schedules, or release them."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, REFUSED, USAGE
from supervisor.verbs import freeze
from supervisor.verbs.arguments import ANY, COUNT, DURATION, FLAG, FUTURE, JSON, OPERATE, Argument
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.definition import Task
    from supervisor.host.interface import Done
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl schedule
supctl schedule backup -n 5 --from 2027-03-28
supctl schedule --hold @etl --reason "database is moved" --for 2h
supctl schedule --release @etl"""

ROLE, ACTS = OPERATE, True

SHOWN = 10
"""Firings that are computed if no number is given."""

ARGUMENTS = (
    ANY,
    Argument("n", f"show the next N firings; default: {SHOWN}", "-n", kind=COUNT, metavar="N", local=True),
    Argument(
        "since", "show the firings from this time on: 2h (from now), 2027-03-28 (UTC) or 2027-03-28T01:30+01:00",
        "--from", kind=FUTURE, metavar="TIME", local=True,
    ),
    Argument(
        "hold", "schedules start no run until --release; `supctl run` still does", "--hold", kind=FLAG, group="which"
    ),
    Argument("release", "undo --hold", "--release", kind=FLAG, group="which"),
    Argument("reason", "of --hold: shown with everything that it holds", "--reason", metavar="TEXT"),
    Argument("for", 'of --hold: end it after this time: "30m", "2h" …', "--for", kind=DURATION, metavar="DURATION"),
    JSON,
)  # fmt: skip


def reads(args: Mapping[str, Any]) -> bool:
    """Return whether a request changes nothing."""
    return not (args.get("hold") or args.get("release"))


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Hold or release; or answer one object per task that fires by itself."""
    if args["hold"] and args["release"]:
        raise RefusedError("--hold or --release, not both", USAGE)
    if not args["hold"] and (args["reason"] or args["for"]):
        raise RefusedError("--reason and --for belong to --hold", USAGE)
    if args["hold"]:
        _hold(controls, client, args)
    elif args["release"]:
        _release(controls, client, args)
    elif args["names"]:
        tasks = {i.task.name: i.task for i in chosen(controls.fleet, args, may_be_none=True)}.values()
        fire = [task for task in tasks if controls.schedules.fires(task)]
        if not fire:
            raise RefusedError("; ".join(map(_does_not_fire, tasks)), REFUSED)
        client.answer({"tasks": [controls.schedules.of(task) for task in fire]})
    else:
        client.answer({"tasks": controls.schedules.all()})


def _does_not_fire(task: Task) -> str:
    if task.kind != "triggered":
        return f"{task.name} is {task.kind}: it has no schedule"
    return f"{task.name} has neither a schedule nor `every`; `supctl run {task.name}` starts it"


def _hold(controls: Controls, client: Asker, args: Arguments) -> None:
    from supervisor.core.freeze import HOLD  # noqa: PLC0415 - not in supctl

    holds = freeze.freezes_asked_for(controls, client, args, HOLD)

    def kept(done: Done) -> None:
        lost = f"the hold is in force, but could not be saved, so a restart may lose it: {done.error}"
        held = [hold.scope or "all" for hold in holds]
        client.answer({"held": held, "until": holds[0].until, "warning": lost if done.error else None})

    controls.freezes.hold(holds, kept)


def _release(controls: Controls, client: Asker, args: Arguments) -> None:
    from supervisor.core.report import freeze_json  # noqa: PLC0415 - not in supctl

    meant = freeze.scopes(controls, args["names"])
    gone = [hold for hold in controls.fleet.holds if hold.scope in meant]
    still = [freeze_json(hold) for hold in controls.fleet.holds if hold not in gone]

    def kept(done: Done) -> None:
        lost = f"released, but that could not be saved, so a restart may hold again: {done.error}"
        released = [hold.scope or "all" for hold in gone]
        client.answer({"released": released, "still": still, "warning": lost if done.error else None})

    controls.freezes.release(gone, client.by, kept)


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show what is held or released; or the next firings, or a table of the tasks."""
    if "tasks" not in answer:
        return _render_hold(answer, options, screen)
    if options.json or options.n or options.since is not None:
        firings = _firings(answer["tasks"], options)
        if options.json:
            tasks = [{key: one[key] for key in one if key not in ("timing", "coming")} for one in answer["tasks"]]
            screen.json({"firings": firings, "tasks": tasks})
        else:
            _table_of_firings(firings, screen)
    else:
        _table_of_tasks(answer["tasks"], screen)
    return OK


def _firings(tasks: list[dict[str, Any]], options: Namespace) -> list[dict[str, Any]]:
    from supervisor.host.clock import wall  # noqa: PLC0415 - only in supctl
    from supervisor.triggers.upcoming import upcoming  # noqa: PLC0415 - needs cronsim

    return upcoming(tasks, options.since, options.n or SHOWN, wall())


def _table_of_firings(firings: list[dict[str, Any]], screen: Screen) -> None:
    if not firings:
        screen.line("no firing is known")
        return
    jitter = any(one["start"] != one["due"] for one in firings)
    head = ("DUE", "LOCAL", *["STARTS"] * jitter, "TASK", "TRIGGER")
    rows = [(one["due"], one["local"] or "-", *[one["start"]] * jitter, one["task"], one["trigger"]) for one in firings]
    screen.table(head, rows)


def _table_of_tasks(tasks: list[dict[str, Any]], screen: Screen) -> None:
    """Show the tasks, and below them the holds, the firings that wait, and those that were skipped last."""
    if not tasks:
        screen.line("no task has a schedule or `every`")
        return
    head = ("TASK", "NEXT", "LAST", "WAITING", "RAN", "SKIPPED", "MISSED", "WHEN")
    screen.table(head, [_row(one) for one in tasks])
    for held in dict.fromkeys(one["held"] for one in tasks if one["held"]):
        screen.line(held)
    for one in tasks:
        if waiting := one["waiting"]:
            first = waiting[0]
            why = (first["why"] or "it is decided now").removeprefix("waits for ")
            screen.line(f"{one['name']}: the firing of {first['due']} waits: {why}")
        if one["overdue"]:
            screen.line(f"{one['name']}: {one['overdue']}")
        if one["overdue_at"]:
            screen.line(f"{one['name']}: overdue at {one['overdue_at']}, without a success until then (expect)")
        if last := one["last_skip"]:
            screen.line(f"{one['name']}: last skipped the firing of {last['due']}: {last['why']}")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    counts = (str(one["count_waiting"] or "-"), str(one["ran"]), str(one["skipped"]), str(one["missed"]))
    return one["name"], one["next"] or "-", one["last"] or "-", *counts, one["words"] or "-"


def _render_hold(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    if options.json:
        screen.json(answer)
        return OK
    scopes = answer["held"] if "held" in answer else answer["released"]
    scope = ", ".join("everything" if one == "all" else one for one in scopes)
    if "held" in answer:
        until = f" until {answer['until']}" if answer["until"] else ""
        screen.line(f"held: the schedules of {scope}{until}; `supctl run` still starts runs")
    else:
        screen.line(f"released: the schedules of {scope}" if scope else "nothing to release: no hold is in force there")
        for one in answer["still"]:
            name = "" if one["scope"] == "all" else f" {one['scope']}"
            screen.line(f"still held: {name.strip() or 'everything'} by {one['by']} (supctl schedule --release{name})")
    if answer["warning"]:
        screen.line(f"warning: {answer['warning']}")
    return OK
