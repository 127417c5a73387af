"""`supctl status`: the state of the supervisor and of all instances."""

from __future__ import annotations

from supervisor.core.exits import NOT_WELL, OK
from supervisor.verbs.arguments import ANY, FLAG, SECONDS, VIEW, Argument
from supervisor.verbs.figures import figures
from supervisor.verbs.interface import Arguments, chosen, no_instance, with_runs
from supervisor.verbs.screen import Screen, age, percent

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl status
supctl status @etl --json
supctl status --watch"""


ROLE, ACTS = VIEW, False

SILENT = 5.0
"""Seconds without an answer after which a helper is said not to answer. A busy disk needs less."""

ARGUMENTS = (
    ANY,
    Argument("json", "as JSON", "--json", kind=FLAG, local=True),
    Argument("watch", "show it again and again, until Ctrl-C", "-w", "--watch", kind=FLAG, local=True),
    Argument(
        "interval", "of --watch; default: 1", "--interval", kind=SECONDS, metavar="SECONDS", default=1.0, local=True
    ),
)


def _seconds(given: str) -> float:
    seconds = float(given)
    if not 0.1 <= seconds <= 86400:
        raise ValueError
    return seconds


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer the supervisor, one object per instance, and the tasks without instances."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl
    from supervisor.core.select import without_instances  # noqa: PLC0415

    host = controls.host
    instances = with_runs(chosen(controls.fleet, args, all_without_names=True, may_be_none=True), args["names"])
    tasks = report.status(controls.fleet, controls.context.config, instances, host.now(), host.stamp)
    for one, i in zip(tasks, instances, strict=True):
        one["lost_output"] = controls.losses.of(i.key)
        if i.task.kind == "triggered":
            one.update(_of_firings(controls, i, one, args["names"]))
        fires = controls.schedules.says(i.task) if i.state in ("stopped", "failed") else ""
        one["why"] = "; ".join(filter(None, (one["why"], fires, controls.losses.describe(i.key))))
    figures(controls, tasks)
    none = without_instances(controls.fleet, args["names"])
    client.answer({"supervisor": supervisor(controls), "tasks": tasks, "without_instances": none})


def _of_firings(controls: Controls, i: Instance, one: dict[str, Any], named: list[str]) -> dict[str, Any]:
    """Return what differs for a triggered task. It has a row for each run, and one row with its own name for none."""
    name = i.task.name if i.state == "stopped" and i.key not in named else i.name
    waiting = controls.firing_runs.firings.count_waiting(i.task.name)
    return {"name": name, "next": one["next"] or controls.schedules.next_step(i.task), "waiting": waiting}


def supervisor(controls: Controls) -> dict[str, Any]:
    """Return the `supervisor` object of `status --json`."""
    import os  # noqa: PLC0415

    from supervisor.core import report  # noqa: PLC0415
    from supervisor.version import __version__  # noqa: PLC0415

    troubles = [_stuck(controls, i) for i in controls.fleet.instances.values() if i.task.helper]
    return {
        "name": controls.context.announcer.name,
        "pid": os.getpid(),
        "version": __version__,
        "since": controls.since,
        "state": report.supervisor_state(controls.fleet),
        "frozen": [report.freeze_json(freeze) for freeze in controls.fleet.freezes],
        "holds": [report.freeze_json(hold) | {"says": hold.says} for hold in controls.fleet.holds],
        "config": {
            "path": controls.context.config.path,
            "loaded": controls.config_in_force.loaded,
            "error": "\n".join(controls.config_in_force.errors) or None,
        },
        "helpers": list(filter(None, (*troubles, *controls.host.troubles(), controls.losses.set_aside()))),
    }


def _stuck(controls: Controls, i: Instance) -> str:
    """Return the problem of a helper that does not work. The kernel shows whether it lives: no process is woken."""
    from supervisor import registry  # noqa: PLC0415 - not in supctl

    helper, state, silence = registry.of(i.task), controls.host.state_of(i.key), controls.host.silence(i.key)
    if helper is None:  # of another version that ran before: it is being stopped
        return ""
    if state in ("T", "t"):
        says = f"{i.name} (pid {i.pid}) was stopped by a signal or a debugger; SIGCONT continues it"
        return f"{says}; until then {helper.down}"
    if state == "D" and helper.reads_output and any(controls.host.unread(key) for key in controls.fleet.instances):
        return f"{i.name} (pid {i.pid}) waits for a disk; until then {helper.down}"
    if (
        helper.socket and i.run and silence is None and state == "D"
    ):  # it was killed as it does not answer, or it starts
        silence = controls.host.now() - i.run.began
    if silence is not None and silence > SILENT:
        what = "waits for a disk" if state == "D" else "has not answered"
        return f"{i.name} (pid {i.pid}) {what} for {silence:.0f} s; until then {helper.down}"
    why = "" if silence is not None and i.run else _down(controls, i)  # it is connected, and answers
    return f"{why}; until then {helper.down}" if why else ""


def _down(controls: Controls, i: Instance) -> str:
    """Return why and since when a helper is down; "" if it works.

    A helper that has just been restarted after several failures will soon fail again or work.
    """
    fresh = i.run is not None and controls.host.now() - i.run.began < i.task.backoff.reset_after
    if i.last is None or not (i.state in ("backoff", "failed") or (fresh and i.streak > 1)):
        return ""
    since, said = controls.helpers.down(i)
    why = f"{i.last.reason}: {said}" if said else i.last.reason
    return f"{i.name} does not run ({why}) since {controls.host.stamp(since)}; the supervisor starts it again"


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show a table. Return 3 if a wanted instance is not running or not well."""
    if options.json:
        screen.json(answer)
    else:
        _head(answer["supervisor"], screen)
        _table(answer["tasks"], screen)
        for task in answer["without_instances"]:
            screen.line(no_instance(task))
    return NOT_WELL if any(_unwell(task) for task in answer["tasks"]) else OK


def _unwell(task: dict[str, Any]) -> bool:
    if task["kind"] == "triggered" and task["health"] == "unwell":  # also between its runs, when it is not wanted
        return True
    return task["wanted"] and (task["state"] != "running" or task["health"] not in (None, "ok"))


def _head(head: dict[str, Any], screen: Screen) -> None:
    screen.line(f"{head['name']}: {head['state']} since {head['since']}, pid {head['pid']}, version {head['version']}")
    for freeze in head["frozen"]:
        scope = "everything" if freeze["scope"] == "all" else freeze["scope"]
        until = f" until {freeze['until']}" if freeze["until"] else ""
        reason = f": {freeze['reason']}" if freeze["reason"] else ""
        screen.line(f"frozen: {scope} by {freeze['by']} since {freeze['since']}{until}{reason}")
    for says in (*(hold["says"] for hold in head["holds"]), *head["helpers"]):
        screen.line(says)
    if head["config"]["error"]:
        screen.line(f"the config has errors; the one loaded at {head['config']['loaded']} is in force:")
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
