"""`supctl run`: a run of a triggered task, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import USAGE, Arguments, RefusedError, chosen, flag, strings
from supervisor.verbs.outcome import show_outcomes

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl run import
supctl run import --wait --env DAY=2026-11-20 -- --full orders.csv"""


def arguments(parser: ArgumentParser) -> None:
    """NAME, --wait, --env, and the words after --."""
    parser.add_argument("name", metavar="NAME", help="a triggered task; words after -- are added to its command")
    parser.add_argument("--wait", action="store_true", help="wait for the end; exit 0 if it succeeded, else 1")
    parser.add_argument("--env", action="append", default=[], metavar="K=V", help="one variable more; may be repeated")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def request(options: Namespace) -> dict[str, Any]:
    """What arguments took."""
    return {"names": [options.name], "wait": options.wait, "env": options.env, "args": options.words}


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """A second run at the same time is refused; while frozen the run is held until the thaw."""
    from supervisor.core.events import Want  # noqa: PLC0415 - not in supctl
    from supervisor.core.instance import Order  # noqa: PLC0415

    instances = chosen(parent, args)
    order = Order(tuple(strings(args, "args")), tuple(_pair(item) for item in strings(args, "env")))
    for instance in instances:
        if instance.task.kind != "triggered":
            raise RefusedError(f"{instance.name} is {instance.task.kind}, not triggered; use `supctl start`")
        if instance.run:
            raise RefusedError(
                f"{instance.name}: run {instance.run.id} is still on; `supctl stop {instance.name}` ends it"
            )
    before = {i.key: i.runs for i in instances}
    keys = [i.key for i in instances]
    parent.fleet.apply_all(keys, Want("manual", client.by, order), parent.host.now())
    until_end = flag(args, "wait")

    def settled(fleet: Fleet, instance: Instance) -> Result | None:
        return _settled(fleet, instance, began=instance.runs > before[instance.key], until_end=until_end)

    parent.follow(client, [parent.fleet.instances[key] for key in keys], settled)


def _settled(fleet: Fleet, i: Instance, *, began: bool, until_end: bool) -> Result | None:
    from supervisor.control.wait import result  # noqa: PLC0415
    from supervisor.verbs.outcome import came_up  # noqa: PLC0415

    if not began and i.state == "stopped":
        return result(i, "stopped", ok=False, text=f"not run: stopped by {i.by} before its turn came")
    if not began:
        return came_up(fleet, i) if i.state == "held" else None
    if i.run:
        started = i.run.program and not until_end
        return result(i, "running", ok=True, text=f"run {i.run.id} (pid {i.pid})") if started else None
    if i.last is None:
        return None
    ran = i.last.code is not None or i.last.signal is not None
    text = f"run {i.key}/{i.runs}@{fleet.epoch}: {i.last.reason} after {i.last.duration:.1f} s"
    outcome, ok = "done" if i.last.success else "failed", i.last.success or (ran and not until_end)
    return result(i, outcome, ok=ok, text=text) | {"run": f"{i.key}/{i.runs}@{fleet.epoch}"}


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name:
        raise RefusedError("--env takes NAME=VALUE", USAGE)  # without the item, which may be a secret
    return name, value


render = show_outcomes
