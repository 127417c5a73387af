"""`supctl show`: everything that is known about a task, an instance or a run."""

from __future__ import annotations

import os

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import OK, UNKNOWN
from supervisor.verbs import history_reader
from supervisor.verbs.arguments import ADMIN, FLAG, JSON, STRINGS, Argument
from supervisor.verbs.figures import figures
from supervisor.verbs.interface import Arguments, chosen, of_run, with_runs
from supervisor.verbs.output import output, show
from supervisor.verbs.screen import Screen, age
from supervisor.verbs.why import explained

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Asker
    from supervisor.core.definition import Probe, Task
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl show web
supctl show web:2/7"""


ROLE, ACTS = ADMIN, False

ARGUMENTS = (
    Argument("names", "task, instance, group, glob, or the id of a run", kind=STRINGS, many="1", metavar="NAME|RUN"),
    Argument("reveal", "show the values of variables and headers; only for root and the owner", "--reveal", kind=FLAG),
    JSON,
)


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any] | None:
    """Show an ended run from the history: that needs no supervisor."""
    return {**history_reader.offline(runtime_dir), "instances": []} if "/" in options.names[0] else None


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Answer definition, status and reason of each instance."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    host, name = controls.host, args["names"][0] if args["names"] else ""
    reveal = _may_reveal(args, client)
    instances = of_run(controls, name) if "/" in name else with_runs(chosen(controls.fleet, args), args["names"])
    tasks = report.status(controls.fleet, controls.context.config, instances, host.now(), host.stamp)
    figures(controls, tasks)
    for one, i in zip(tasks, instances, strict=True):
        one["explanation"] = explained(controls, i)
        one["schedule"] = controls.schedules.of(i.task) if controls.schedules.fires(i.task) else None
        one["definition"] = definition(i.task, reveal=reveal)
        one["unread_output"] = host.unread(i.key)
        one.update(output(controls, i))
    client.answer({"instances": tasks, **history_reader.answer(controls, instances)})


def _may_reveal(args: Arguments, client: Asker) -> bool:
    """Return whether to reveal secrets. Members of `socket_group` may control tasks, but not read their passwords."""
    if not args["reveal"]:
        return False
    if client.who()["uid"] not in (0, os.geteuid()):
        raise RefusedError("--reveal is only for root and the owner of the supervisor")
    return True


def definition(task: Task, *, reveal: bool = False) -> dict[str, Any]:
    """Return the definition as the config writes it. Mask possible secrets, unless `reveal` is set.

    These are the values of the environment, and those that a kind of probe calls secret, such as headers.
    """
    from supervisor.core.definition import Probe  # noqa: PLC0415 - in the supervisor
    from supervisor.core.immutable import plain  # noqa: PLC0415

    shown = plain(task)
    timing = shown.pop("timing")
    if task.kind == "triggered":  # it has an instance for each run at once; its config does not say replicas
        shown = {key: value for key, value in shown.items() if key != "replicas"} | timing
    if not reveal:
        shown["environment"] = dict.fromkeys(shown["environment"], "…")
    for key in ("ready", "health"):
        if isinstance(probe := getattr(task, key), Probe):
            shown[key] = _probe(probe, reveal=reveal)
    return shown


def _probe(probe: Probe, *, reveal: bool) -> dict[str, Any]:
    """Return a probe as the config writes it: the keys of its kind, and those of all probes."""
    from supervisor import probes  # noqa: PLC0415 - in the supervisor
    from supervisor.core.immutable import plain  # noqa: PLC0415
    from supervisor.core.kind_key import masked  # noqa: PLC0415

    secrets = {key.name for key in probes.load(probe.kind).keys if key.secret and not reveal}
    own = {name: masked(value) if name in secrets else value for name, value in probe.values.items()}
    common = {name: value for name, value in plain(probe).items() if name not in ("kind", "values")}
    return {name: value for name, value in (own | common).items() if value is not None}


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show one block per instance, or the run record of an ended run."""
    if not answer["instances"]:
        return _render_run(answer, options, screen)
    figures = _figures(answer)
    for one in answer["instances"]:
        one["figures"] = figures.get(one["task"])
    if options.json:
        del answer["history"], answer["newest"]
        screen.json(answer)
        return OK
    for number, one in enumerate(answer["instances"]):
        if number:
            screen.line()
        screen.line(one["explanation"])
        show(one, screen)
        last = one["last_exit"]
        facts = {
            "kind": one["kind"],
            "group": one["group"],
            "wanted": "up" if one["wanted"] else "down",
            "run": one["run"],
            "pid": one["pid"],
            "restarts": one["restarts"],
            "failures in a row": one["failures"],
            "last exit": f"{last['reason']} at {last['at']} after {age(last['duration_s'])}" if last else None,
        }
        if one["schedule"]:
            facts |= _schedule(one["schedule"])
        if one["figures"]:
            facts |= _in_words(one["figures"])
        _block({key: str(value) for key, value in facts.items() if value is not None}, screen)
        defined = {key: value for key, value in one["definition"].items() if value not in (None, [], {}, "")}
        screen.line(f"as defined in {defined.pop('where', 'the config')}:")
        _block({key: _toml(value) for key, value in defined.items() if key not in ("name", "kind")}, screen)
    return OK


def _schedule(schedule: dict[str, Any]) -> dict[str, Any]:
    skip = schedule["last_skip"]
    skipped = f"{schedule['skipped']}, of which {schedule['missed']} were missed" if schedule["skipped"] else "none"
    return {
        "fires": schedule["words"],
        "next firing": schedule["next"],
        "held": schedule["held"],
        "last firing": f"{schedule['last']}, run {schedule['last_run']}" if schedule["last"] else None,
        "skipped firings": f"{skipped}; the last: {skip['due']}, {skip['why']}" if skip else skipped,
    }


def _figures(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of each task from the history; nothing if no history can be read."""
    from supervisor.store.history import of_task  # noqa: PLC0415
    from supervisor.usage.figures import figures  # noqa: PLC0415 - needs SQLite

    try:
        with history_reader.opened(answer) as connection:
            return {task: figures(of_task(connection, task)) for task in {one["task"] for one in answer["instances"]}}
    except RefusedError:
        return {}


def _in_words(figures: dict[str, Any]) -> dict[str, str]:
    apart = figures["mtbf_s"]
    rate = figures["success_rate"]
    return {
        "runs": f"{figures['runs']} since {figures['since']}" + (f", {rate:.1%} succeeded" if rate is not None else ""),
        "duration": f"median {age(figures['median_s'])}, 95 % within {age(figures['p95_s'])}",
        "time between failures": f"{age(apart)} of run time" if apart is not None else "no failure",
    }


def _render_run(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite

    with history_reader.opened(answer) as connection:
        one = history.run(connection, options.names[0])
    if one is None:
        raise RefusedError(
            f"no run {options.names[0]!r}: it neither runs nor is in the history; see `supctl runs`", UNKNOWN
        )
    if options.json:
        screen.json({"run": one})
        return OK
    tail = one.pop("tail")
    many = f", the first of {one['runs']} similar runs, until {one['last_end']}" if one["runs"] > 1 else ""
    how = f"stopped ({one['reason']})" if one["stopped"] else one["reason"]
    screen.line(f"{one['run']} ended at {one['end']}: {how}{many}.")
    hidden = ("run", "runs", "last_run", "last_end", "reason", "name")
    facts = {key: value for key, value in one.items() if key not in hidden and value not in (None, [], "")}
    _block({key.replace("_", " "): _shown(value) for key, value in facts.items()}, screen)
    if tail:
        screen.line("its last lines:")
        for line in tail.splitlines():
            screen.line(f"  {line}")
    return OK


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _block(facts: dict[str, str], screen: Screen) -> None:
    width = max(map(len, facts))
    for key, value in facts.items():
        screen.line(f"  {key:<{width}}  {value}")


def _toml(value: object) -> str:
    """Format a value nearly as the config writes it. Times are seconds."""
    from json import dumps  # noqa: PLC0415

    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else dumps(value, ensure_ascii=False)
