"""`supctl pause`: suspend every process of a run. The processes keep their resources."""

from __future__ import annotations

from supervisor.verbs.arguments import INSTANCES, OPERATE
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.outcome import show_outcomes, under_way

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl pause web:2
supctl pause @etl"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = INSTANCES

render = show_outcomes


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Wait until all processes stand still. Refuse each instance without a process, with its reason."""
    from supervisor.core.events import Pause  # noqa: PLC0415 - not in supctl

    before, waits = {i.key: i for i in chosen(controls.fleet, args)}, args["wait"]
    refused = {key: why for key, i in before.items() if (why := no_process(i))}
    host = controls.host
    controls.fleet.apply_all([key for key in before if key not in refused], Pause(client.by, host.stamp()), host.now())
    instances = [controls.fleet.instances[key] for key in before]

    def settled(_fleet: Fleet, instance: Instance) -> Result | None:
        return _result(before[instance.key], instance, refused.get(instance.key, ""))

    if waits or refused:
        controls.follow(client, instances, settled)
    else:
        client.answer(under_way(instances))


def no_process(i: Instance) -> str:
    """Return why an instance has no process to pause or resume; "" if it has one."""
    if i.run is None:
        return f"{i.state}: it has no process"
    if i.state == "stopping":
        return "it is being stopped"
    return "" if i.run.program else "its program is not running yet"


def _result(before: Instance, i: Instance, refused: str) -> Result | None:
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
