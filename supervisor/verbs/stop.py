"""`supctl stop`: want tasks down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import Arguments, chosen, flag
from supervisor.verbs.outcome import name_arguments, name_request, show_outcomes, under_way, went_down

if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.parent import Parent

EXAMPLE = """supctl stop web:2
supctl stop --all"""

arguments = name_arguments
request = name_request
render = show_outcomes


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """Stops side by side, dependents first; works while frozen."""
    from supervisor.core.events import Unwant  # noqa: PLC0415 - not in supctl

    keys = [i.key for i in chosen(parent, args)]
    parent.fleet.apply_all(keys, Unwant(client.by), parent.host.now())
    instances = [parent.fleet.instances[key] for key in keys if key in parent.fleet.instances]
    if flag(args, "wait"):
        parent.follow(client, instances, went_down)
    else:
        client.answer(under_way(instances))
