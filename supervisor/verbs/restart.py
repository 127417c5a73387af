"""`supctl restart`: stop and start again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import Arguments, RefusedError, chosen, flag
from supervisor.verbs.outcome import came_up, name_arguments, name_request, show_outcomes, under_way

if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl restart web
supctl restart @etl"""

arguments = name_arguments
request = name_request
render = show_outcomes


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """What is down is started. It is refused where it would stop what could not be started again.

    That is what is frozen, and everything while no record of a new run can be written (`memory`).
    """
    from supervisor.core.events import Outdate, Want  # noqa: PLC0415 - not in supctl

    instances, waits = chosen(parent, args), flag(args, "wait")
    if flag(args, "all"):
        instances = [i for i in instances if i.task.kind == "continuous"]
    frozen = [i.name for i in instances if parent.fleet.freezes_of(i.task.name)]
    if frozen:
        freeze = parent.fleet.freezes_of(next(i for i in instances if i.name == frozen[0]).task.name)[0]
        raise RefusedError(
            f"nothing was stopped, as it could not be started again: {', '.join(frozen)}: {freeze.says}", 3
        )
    now = parent.host.now()
    if trouble := parent.memory.tried(now):
        raise RefusedError(f"nothing was stopped, as it could not be started again: {trouble}")
    keys, before = [i.key for i in instances], {i.key: i.runs for i in instances}
    parent.fleet.apply_all(keys, Want("start", client.by), now)
    parent.fleet.apply_all(keys, Outdate(f"restart asked by {client.by}"), now)
    instances = [parent.fleet.instances[key] for key in keys]

    def renewed(fleet: Fleet, instance: Instance) -> Result | None:
        return came_up(fleet, instance) if instance.runs > before[instance.key] or not instance.run else None

    if waits:
        parent.follow(client, instances, renewed)
    else:
        client.answer(under_way(instances))
