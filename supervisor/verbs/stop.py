"""`supctl stop`: want tasks down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import Arguments, chosen, flag
from supervisor.verbs.outcome import name_arguments, name_request, show_outcomes, under_way, went_down

if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl stop web:2
supctl stop --all"""

arguments = name_arguments
request = name_request
render = show_outcomes


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Stops side by side, dependents first; works while frozen."""
    from supervisor.control.wait import result  # noqa: PLC0415 - not in supctl
    from supervisor.core.events import Unwant  # noqa: PLC0415

    before, waits = chosen(parent, args, may_be_none=True), flag(args, "wait")
    keys = [i.key for i in before]
    resting = {i.key for i in before if not (i.run or i.wanted)}
    parent.fleet.apply_all(keys, Unwant(client.by), parent.host.now())
    instances = [parent.fleet.instances[key] for key in keys if key in parent.fleet.instances]

    def settled(fleet: Fleet, instance: Instance) -> Result | None:
        if instance.key in resting:
            return result(instance, "stopped", ok=True, text="was not running")
        return went_down(fleet, instance)

    if waits:
        parent.follow(client, instances, settled)
    else:
        client.answer(under_way(instances))
