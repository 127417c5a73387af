"""`supctl resume`: continue what `supctl pause` has suspended."""

from __future__ import annotations

from supervisor.verbs.arguments import INSTANCES, OPERATE
from supervisor.verbs.interface import Arguments, chosen
from supervisor.verbs.outcome import show_outcomes
from supervisor.verbs.pause import no_process

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.control.wait import Asker, Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl resume web:2
supctl resume --all"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = INSTANCES

render = show_outcomes


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """Resume at once, so there is nothing to wait for. An instance that was not paused stays as it is."""
    from supervisor.control.wait import result  # noqa: PLC0415 - not in supctl
    from supervisor.core.events import Resume  # noqa: PLC0415

    before = {i.key: i for i in chosen(controls.fleet, args)}
    refused = {key: why for key, i in before.items() if (why := no_process(i))}
    controls.fleet.apply_all(list(before), Resume(client.by), controls.host.now())

    def settled(_fleet: Fleet, i: Instance) -> Result | None:
        if why := refused.get(i.key):
            return result(i, str(before[i.key].state), ok=False, text=why)
        run = before[i.key].run
        text = f"resumed (pid {i.pid})" if run and run.paused else "was not paused"
        return result(i, str(i.state), ok=True, text=text)

    controls.follow(client, [controls.fleet.instances[key] for key in before], settled)
