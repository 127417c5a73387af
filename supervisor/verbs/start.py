"""`supctl start`: want tasks up."""

from __future__ import annotations

from supervisor.verbs.arguments import INSTANCES, OPERATE
from supervisor.verbs.interface import Arguments, chosen, refuse_idle_triggered, with_runs
from supervisor.verbs.outcome import came_up, show_outcomes, under_way

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl start web
supctl start @etl 'import-*'
supctl start --all --no-wait"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = INSTANCES

render = show_outcomes


def _kept_up(instance: Instance) -> bool:
    return instance.task.kind == "continuous" or (instance.task.kind == "startup" and not instance.ready)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Start instances. A running one stays as it is. Clear a give-up.

    A start-up task that is done runs only when its own name is given. A group or a glob does not repeat it. A triggered
    task is run by `supctl run`.
    """
    from supervisor.core.events import Want  # noqa: PLC0415 - not in supctl

    instances, waits = with_runs(chosen(controls.fleet, args), args["names"]), args["wait"]
    named = set(args["names"])
    instances = [i for i in instances if _kept_up(i) or not named.isdisjoint((i.task.name, i.key))]
    refuse_idle_triggered(instances)
    resting = [i.key for i in instances if not (i.wanted and i.state in ("starting", "running"))]
    controls.fleet.apply_all(resting, Want("start", client.by), controls.host.now())
    if waits:
        controls.follow(client, [controls.fleet.instances[i.key] for i in instances], came_up)
    else:
        client.answer(under_way([controls.fleet.instances[i.key] for i in instances]))
