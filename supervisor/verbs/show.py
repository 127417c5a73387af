"""`supctl show`: everything that is known of a task, an instance or a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor.verbs import past
from supervisor.verbs.interface import OK, UNKNOWN, Arguments, RefusedError, chosen, flag, strings
from supervisor.verbs.output import output, tell
from supervisor.verbs.screen import Screen, age

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker
    from supervisor.core.definition import Task
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl show web
supctl show web:2/7"""


def arguments(parser: ArgumentParser) -> None:
    """NAME or RUN, --reveal, --json."""
    parser.add_argument("name", metavar="NAME|RUN", help="task, instance, group, glob, or the id of a run")
    parser.add_argument(
        "--reveal", action="store_true", help="values of the environment and of headers; for root and the owner"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def offline(options: Namespace, runtime_dir: str) -> dict[str, Any] | None:
    """A run that is over needs no supervisor."""
    return {**past.offline(runtime_dir), "instances": []} if "/" in options.name else None


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": [options.name], "reveal": options.reveal}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Definition, status and why of each instance."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    host, name = parent.host, next(iter(strings(args, "names")), "")
    reveal = _may_reveal(args, client)
    instances = _of_run(parent, name) if "/" in name else chosen(parent, args)
    tasks = report.status(parent.fleet, parent.config, instances, host.now(), host.stamp)
    report.measured(tasks, host.samples(), host.now())
    for one, i in zip(tasks, instances, strict=True):
        one["explanation"] = report.why(parent.fleet, i, host.now(), host.stamp)
        one["definition"] = definition(i.task, reveal=reveal)
        one["unread_output"] = host.unread(i.key)
        one.update(output(parent, i))
    client.answer({"instances": tasks, **past.answer(parent, instances)})


def _of_run(parent: Parent, name: str) -> list[Instance]:
    """The instance whose current run it is, "web/7", "web:2/7" or the full id; none when it is over."""
    return [
        i
        for i in parent.fleet.instances.values()
        if i.run and name in (i.run.id, f"{i.key}/{i.run.number}", f"{i.name}/{i.run.number}")
    ]


def _may_reveal(args: Arguments, client: Asker) -> bool:
    """Whether secrets are asked for; members of `socket_group` may control the tasks, but not read their passwords."""
    if not flag(args, "reveal"):
        return False
    if client.who()["uid"] not in (0, os.geteuid()):
        raise RefusedError("--reveal is for root and the owner of the supervisor")
    return True


def definition(task: Task, *, reveal: bool = False) -> dict[str, Any]:
    """The definition as the config writes it; what may be secret (see `_mask`) only to `reveal`."""
    from supervisor.core.immutable import plain  # noqa: PLC0415 - in the supervisor

    shown = plain(task)
    if not reveal:
        _mask(shown)
    return shown


def _mask(shown: dict[str, Any]) -> None:
    """Hides the values of the environment, and of the headers of its probes: `Authorization` is one."""
    shown["environment"] = dict.fromkeys(shown["environment"], "…")
    for key in ("health", "ready"):
        if isinstance(shown[key], dict):
            shown[key]["headers"] = [(name, "…") for name, _ in shown[key]["headers"]]


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One block per instance; or the account of a run that is over."""
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
        tell(one, screen)
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
        if one["figures"]:
            facts |= _in_words(one["figures"])
        _block({key: str(value) for key, value in facts.items() if value is not None}, screen)
        defined = {key: value for key, value in one["definition"].items() if value not in (None, [], {}, "")}
        screen.line(f"as defined in {defined.pop('where', 'the config')}:")
        _block({key: _toml(value) for key, value in defined.items() if key not in ("name", "kind")}, screen)
    return OK


def _figures(answer: dict[str, Any]) -> dict[str, Any]:
    """What the history says of each task; nothing when there is no history to be read."""
    from supervisor.store.figures import figures  # noqa: PLC0415 - needs SQLite
    from supervisor.store.history import of_task  # noqa: PLC0415

    try:
        with past.opened(answer) as connection:
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

    with past.opened(answer) as connection:
        one = history.run(connection, options.name)
    if one is None:
        raise RefusedError(f"no run {options.name!r} is on, and none is in the history; see `supctl runs`", UNKNOWN)
    if options.json:
        screen.json({"run": one})
        return OK
    tail = one.pop("tail")
    many = f", the first of {one['runs']} that were alike, until {one['last_end']}" if one["runs"] > 1 else ""
    how = f"stopped ({one['reason']})" if one["stopped"] else one["reason"]
    screen.line(f"{one['run']} is over since {one['end']}: {how}{many}.")
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
    """Nearly as the config writes it; times are seconds."""
    from json import dumps  # noqa: PLC0415

    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else dumps(value, ensure_ascii=False)
