"""`supctl start`: want tasks up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import Arguments, chosen, flag, strings
from supervisor.verbs.outcome import came_up, name_arguments, name_request, show_outcomes, under_way

if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl start web
supctl start @etl 'import-*'
supctl start --all --no-wait"""

arguments = name_arguments
request = name_request
render = show_outcomes


def _kept_up(instance: Instance) -> bool:
    return instance.task.kind == "continuous" or (instance.task.kind == "startup" and not instance.ready)


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """One that is running stays as it is; a give-up is cleared.

    A triggered task, or a start-up task that is done, runs only when it is named itself: no group or glob repeats it.
    """
    from supervisor.core.events import Want  # noqa: PLC0415 - not in supctl

    instances, waits = chosen(parent, args), flag(args, "wait")
    named = set(strings(args, "names"))
    instances = [i for i in instances if _kept_up(i) or not named.isdisjoint((i.task.name, i.key))]
    resting = [i.key for i in instances if not (i.wanted and i.state in ("starting", "running"))]
    parent.fleet.apply_all(resting, Want("start", client.by), parent.host.now())
    if waits:
        parent.follow(client, [parent.fleet.instances[i.key] for i in instances], came_up)
    else:
        client.answer(under_way([parent.fleet.instances[i.key] for i in instances]))
