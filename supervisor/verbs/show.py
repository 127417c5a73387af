"""`supctl show`: everything that is known of a task, an instance or a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import OK, UNKNOWN, Arguments, RefusedError, chosen, strings
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
    """NAME or RUN, --json."""
    parser.add_argument("name", metavar="NAME|RUN", help="task, instance, group, glob, or the id of a run")
    parser.add_argument("--json", action="store_true", help="as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": [options.name]}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Definition, status and why of each instance."""
    from supervisor.core import report  # noqa: PLC0415 - not in supctl

    host, name = parent.host, next(iter(strings(args, "names")), "")
    instances = [_of_run(parent, name)] if "/" in name else chosen(parent, args)
    tasks = report.status(parent.fleet, parent.config, instances, host.now(), host.stamp)
    for one, i in zip(tasks, instances, strict=True):
        one["explanation"] = report.why(parent.fleet, i, host.now(), host.stamp)
        one["definition"] = definition(i.task)
        one["unread_output"] = host.unread(i.key)
        one.update(output(parent, i))
    client.answer({"instances": tasks})


def _of_run(parent: Parent, name: str) -> Instance:
    """The instance whose current run it is: "web/7", "web:2/7" or the full id."""
    for i in parent.fleet.instances.values():
        if i.run and name in (i.run.id, f"{i.key}/{i.run.number}", f"{i.name}/{i.run.number}"):
            return i
    raise RefusedError(f"no run {name!r} is on; runs that have ended are not kept in this version", UNKNOWN)


def definition(task: Task) -> dict[str, Any]:
    """The definition as the config writes it. Values of the environment are not shown: they may be secrets."""
    from supervisor.core.immutable import plain  # noqa: PLC0415 - in the supervisor

    shown = plain(task)
    shown["environment"] = dict.fromkeys(task.environment, "…")
    return shown


def render(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One block per instance."""
    if options.json:
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
        _block({key: str(value) for key, value in facts.items() if value is not None}, screen)
        defined = {key: value for key, value in one["definition"].items() if value not in (None, [], {}, "")}
        screen.line(f"as defined in {defined.pop('where', 'the config')}:")
        _block({key: _toml(value) for key, value in defined.items() if key not in ("name", "kind")}, screen)
    return OK


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
