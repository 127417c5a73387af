"""`supctl stop`: want tasks down."""

from __future__ import annotations

from supervisor.verbs.arguments import INSTANCES, OPERATE
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.outcome import show_outcomes, under_way, went_down

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl stop web:2
supctl stop --all"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = INSTANCES

render = show_outcomes


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Stop instances in parallel, dependents first. This works while frozen.

    What waits to be run by hand is taken back. Schedules go on.
    """
    from supervisor.control.wait import result  # noqa: PLC0415 - not in supctl
    from supervisor.core.events import Unwant  # noqa: PLC0415

    before, waits = chosen(controls.fleet, args, may_be_none=True), args["wait"]
    keys = [i.key for i in before]
    resting = {i.key for i in before if not (i.run or i.wanted)}
    controls.fleet.apply_all(keys, Unwant(client.by), controls.host.now())
    for task in {i.task.name for i in before if i.task.kind == "triggered"}:
        controls.firing_runs.take_back_waiting(task, f"stopped by {client.by}")
    instances = [controls.fleet.instances[key] for key in keys if key in controls.fleet.instances]

    def settled(fleet: Fleet, instance: Instance) -> Result | None:
        if instance.key in resting:
            return result(instance, "stopped", ok=True, text="was not running")
        return went_down(fleet, instance)

    if waits:
        controls.follow(client, instances, settled)
    else:
        client.answer(under_way(instances))
