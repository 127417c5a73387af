"""`supctl pause`: every process of a run stands still, and keeps what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import Arguments, chosen, flag
from supervisor.verbs.outcome import name_arguments, name_request, show_outcomes, under_way

if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl pause web:2
supctl pause @etl"""

arguments = name_arguments
request = name_request
render = show_outcomes


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Waits until all of them stand still; what has no process is refused, each with its reason."""
    from supervisor.core.events import Pause  # noqa: PLC0415 - not in supctl

    before, waits = {i.key: i for i in chosen(parent, args)}, flag(args, "wait")
    refused = {key: why for key, i in before.items() if (why := no_process(i))}
    host = parent.host
    parent.fleet.apply_all([key for key in before if key not in refused], Pause(client.by, host.stamp()), host.now())
    instances = [parent.fleet.instances[key] for key in before]

    def settled(_fleet: Fleet, instance: Instance) -> Result | None:
        return _settled(before[instance.key], instance, refused.get(instance.key, ""))

    if waits or refused:
        parent.follow(client, instances, settled)
    else:
        client.answer(under_way(instances))


def no_process(i: Instance) -> str:
    """Why there is nothing that could be paused, or go on; "" when there is."""
    if i.run is None:
        return f"{i.state}: it has no process"
    if i.state == "stopping":
        return "it is being stopped"
    return "" if i.run.program else "its program is not running yet"


def _settled(before: Instance, i: Instance, refused: str) -> Result | None:
    from supervisor.control.wait import result  # noqa: PLC0415 - not in supctl

    if refused:
        return result(i, str(before.state), ok=False, text=refused)
    old, run = before.run, i.run
    if run is None or old is None or run.number != old.number or i.state == "stopping":
        return result(i, str(i.state), ok=False, text=f"{i.state} meanwhile")
    if not run.paused:
        return result(i, str(i.state), ok=False, text=f"resumed meanwhile by {run.pause.by}")
    if old.paused:
        return result(i, "paused", ok=True, text=f"was paused already, by {old.pause.by} since {old.pause.at}")
    return result(i, "paused", ok=True, text=f"paused (pid {i.pid})") if run.pause.still else None
