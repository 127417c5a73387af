"""`supctl resume`: what `supctl pause` has stopped goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.outcome import name_arguments, name_request, show_outcomes
from supervisor.verbs.pause import no_process

if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

EXAMPLE = """supctl resume web:2
supctl resume --all"""

arguments = name_arguments
request = name_request
render = show_outcomes


def answer(parent: Parent, client: Asker, args: Arguments) -> None:
    """At once, so there is nothing to wait for; what was not paused is well as it is."""
    from supervisor.control.wait import result  # noqa: PLC0415 - not in supctl
    from supervisor.core.events import Resume  # noqa: PLC0415

    before = {i.key: i for i in chosen(parent, args)}
    refused = {key: why for key, i in before.items() if (why := no_process(i))}
    parent.fleet.apply_all(list(before), Resume(client.by), parent.host.now())

    def settled(_fleet: Fleet, i: Instance) -> Result | None:
        if why := refused.get(i.key):
            return result(i, str(before[i.key].state), ok=False, text=why)
        run = before[i.key].run
        text = f"resumed (pid {i.pid})" if run and run.paused else "was not paused"
        return result(i, str(i.state), ok=True, text=text)

    parent.follow(client, [parent.fleet.instances[key] for key in before], settled)
