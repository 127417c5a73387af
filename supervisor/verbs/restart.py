"""`supctl restart`: stop and start again."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.verbs.arguments import INSTANCES, OPERATE
from supervisor.verbs.interface import Arguments, chosen, refuse_idle_triggered, with_runs
from supervisor.verbs.outcome import came_up, show_outcomes, under_way

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl restart web
supctl restart @etl"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = INSTANCES

render = show_outcomes


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Restart instances, and start those that are down. Refuse to stop instances that could not start again.

    Frozen instances could not. No instance could while the parent cannot write the record of a new run (`journaling`).
    """
    from supervisor.core.events import Outdate, Want  # noqa: PLC0415 - not in supctl

    instances, waits = with_runs(chosen(controls.fleet, args), args["names"]), args["wait"]
    if args["all"]:
        instances = [i for i in instances if i.task.kind == "continuous"]
    refuse_idle_triggered(instances)
    frozen = [i.name for i in instances if controls.fleet.freezes_of(i.task.name)]
    if frozen:
        freeze = controls.fleet.freezes_of(next(i for i in instances if i.name == frozen[0]).task.name)[0]
        raise RefusedError(
            f"nothing was stopped, because it could not be started again: {', '.join(frozen)}: {freeze.says}", 3
        )
    now = controls.host.now()
    if trouble := controls.context.journaling.tried(now):
        raise RefusedError(f"nothing was stopped, because it could not be started again: {trouble}")
    keys, before = [i.key for i in instances], {i.key: i.runs for i in instances}
    controls.fleet.apply_all(keys, Want("start", client.by), now)
    controls.fleet.apply_all(keys, Outdate(f"restart requested by {client.by}"), now)
    instances = [controls.fleet.instances[key] for key in keys]

    def renewed(fleet: Fleet, instance: Instance) -> Result | None:
        return came_up(fleet, instance) if instance.runs > before[instance.key] or not instance.run else None

    if waits:
        controls.follow(client, instances, renewed)
    else:
        client.answer(under_way(instances))
