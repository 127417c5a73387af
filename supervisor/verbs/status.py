"""`supctl status`: what state everything is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import NOT_WELL, OK, Arguments, chosen, no_instance, strings
from supervisor.verbs.screen import Screen, age, percent

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl status
supctl status @etl --json
supctl status --watch"""

SCRIBE = "@scribe:1"


def arguments(parser: ArgumentParser) -> None:
    """NAME…, --json, --watch, --interval."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="task, instance (web:2), group (@etl) or glob ('w*')")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("-w", "--watch", action="store_true", help="show it again and again, until Ctrl-C")
    parser.add_argument("--interval", type=_seconds, default=1.0, metavar="SECONDS", help="of --watch; default: 1")


def _seconds(given: str) -> float:
    seconds = float(given)
    if not 0.1 <= seconds <= 86400:
        raise ValueError
    return seconds


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": options.names}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """The supervisor, one object per instance, and the tasks that have none."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl
    from supervisor.core.select import without_instances  # noqa: PLC0415

    host = parent.host
    instances = chosen(parent, args, all_without_names=True, may_be_none=True)
    tasks = report.status(parent.fleet, parent.config, instances, host.now(), host.stamp)
    for one, i in zip(tasks, instances, strict=True):
        one["lost_output"] = parent.losses.of(i.key)
        one["why"] = "; ".join(filter(None, (one["why"], parent.losses.note(i.key))))
    report.measured(tasks, host.samples(), host.now())
    none = without_instances(parent.fleet, strings(args, "names"))
    client.answer({"supervisor": supervisor(parent), "tasks": tasks, "without_instances": none})


def supervisor(parent: Parent) -> dict[str, Any]:
    """The `supervisor` object of `status --json`."""
    import os  # noqa: PLC0415

    from supervisor.core import report  # noqa: PLC0415
    from supervisor.version import __version__  # noqa: PLC0415

    troubles = [_stuck(parent, i) for i in parent.fleet.instances.values() if i.task.helper]
    return {
        "name": parent.announce.name,
        "pid": os.getpid(),
        "version": __version__,
        "since": parent.since,
        "state": report.supervisor_state(parent.fleet),
        "frozen": [report.freeze_json(freeze) for freeze in parent.fleet.freezes],
        "config": {
            "path": parent.config.path,
            "loaded": parent.configuration.loaded,
            "error": "\n".join(parent.configuration.errors) or None,
        },
        "helpers": list(filter(None, (*troubles, parent.host.troubles()))),
    }


def _stuck(parent: Parent, i: Instance) -> str:
    """What is wrong with a helper that does not work. The kernel knows of one that lives: nobody is woken to ask."""
    state = parent.host.state_of(i.key)
    if state in ("T", "t"):
        says = f"{i.name} (pid {i.pid}) was stopped by a signal or a debugger; SIGCONT lets it go on"
        return f"{says}; until then tasks that say much have to wait" if i.key == SCRIBE else says
    if state == "D" and i.key == SCRIBE and any(parent.host.unread(key) for key in parent.fleet.instances):
        return f"{i.name} (pid {i.pid}) waits for a disk; what tasks say waits for it"
    if i.state in ("backoff", "failed") and i.last:
        return f"{i.name} is not there ({i.last.reason}), and is started again by itself"
    return ""


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """A table. Exit code 3 when something that is wanted is not running or not well."""
    if options.json:
        screen.json(answer)
    else:
        _head(answer["supervisor"], screen)
        _table(answer["tasks"], screen)
        for task in answer["without_instances"]:
            screen.line(no_instance(task))
    return NOT_WELL if any(_unwell(task) for task in answer["tasks"]) else OK


def _unwell(task: dict[str, Any]) -> bool:
    return task["wanted"] and (task["state"] != "running" or task["health"] not in (None, "ok"))


def _head(head: dict[str, Any], screen: Screen) -> None:
    screen.line(f"{head['name']}: {head['state']} since {head['since']}, pid {head['pid']}, version {head['version']}")
    for freeze in head["frozen"]:
        scope = "everything" if freeze["scope"] == "all" else freeze["scope"]
        until = f" until {freeze['until']}" if freeze["until"] else ""
        reason = f": {freeze['reason']}" if freeze["reason"] else ""
        screen.line(f"frozen: {scope} by {freeze['by']} since {freeze['since']}{until}{reason}")
    for says in head["helpers"]:
        screen.line(says)
    if head["config"]["error"]:
        screen.line(f"the config has errors; what was loaded at {head['config']['loaded']} is in force:")
        for error in head["config"]["error"].splitlines():
            screen.line(f"  {error}")


def _table(tasks: list[dict[str, Any]], screen: Screen) -> None:
    if not tasks:
        screen.line("no tasks")
        return
    measured = any(task["cpu_percent"] is not None or task["memory_bytes"] is not None for task in tasks)
    probed = any(task["health"] is not None for task in tasks)
    head = ["NAME", "STATE", "PID", "UPTIME", "RESTARTS"]
    head += ["HEALTH"] * probed + ["CPU", "MEMORY"] * measured + ["WHY"]
    screen.table(tuple(head), [_row(task, measured=measured, probed=probed) for task in tasks], coloured=1)


def _row(task: dict[str, Any], *, measured: bool, probed: bool) -> tuple[str, ...]:
    cells = [task["name"], task["state"], _text(task["pid"]), age(task["uptime_s"]), str(task["restarts"])]
    if probed:
        cells.append(_text(task["health"]))
    if measured:
        memory = task["memory_bytes"]
        cells += [percent(task["cpu_percent"]), "-" if memory is None else f"{memory / 2**20:.1f}M"]
    why = task["why"]
    if task["next"] and task["state"] == "backoff":
        why += f"; restart at {task['next']['at'][11:19]}Z"
    return (*cells, why)


def _text(value: object) -> str:
    return "-" if value is None else str(value)
