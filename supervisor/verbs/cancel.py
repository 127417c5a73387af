"""`supctl cancel`: end a run of a triggered task, or take back a firing that waits."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import UNKNOWN, USAGE
from supervisor.verbs.arguments import JSON, OPERATE, STRINGS, WAIT, Argument
from supervisor.verbs.interface import Arguments, of_run
from supervisor.verbs.outcome import show_outcomes, under_way, went_down

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

EXAMPLE = """supctl cancel import:1/7
supctl cancel import/manual/1796083200.3f9a1c.1"""

ROLE, ACTS = OPERATE, True

ARGUMENTS = (
    Argument("names", "the id of a run or of a firing", kind=STRINGS, many="1", metavar="RUN|FIRING"),
    WAIT,
    JSON,
)


def answer(controls: Controls, client: Asker, args: Arguments) -> None:
    """End the run by the stop protocol, which is neither failure nor success; or skip the firing that waits."""
    name = args["names"][0] if args["names"] else ""
    if not name:
        raise RefusedError("cancel which run or firing? See `supctl status` and `supctl schedule`", USAGE)
    if "/" not in name:
        raise RefusedError(
            f"{name!r} is no run and no firing: these look like import:1/7; `supctl stop` stops tasks", UNKNOWN
        )
    instance = next(iter(of_run(controls, name)), None) or controls.firing_runs.instance_of(name)
    if instance is None:
        controls.by_hand.take_back(client, name)
        return
    _refuse_others(instance)
    began = instance.run is not None
    controls.firing_runs.cancel(instance, f"cancelled by {client.by}", client.by)
    now = controls.fleet.instances[instance.key]
    if args["wait"] and not began and instance.order:
        controls.by_hand.await_skip(client, instance.order.firing)
    elif args["wait"]:
        controls.follow(client, [now], went_down)
    else:
        client.answer(under_way([now]))


def _refuse_others(instance: Instance) -> None:
    """Refuse runs that would be started again."""
    if instance.task.helper:
        raise RefusedError(f"{instance.name} is a part of the supervisor")
    if instance.task.kind != "triggered":
        kind = f"{instance.name} is {instance.task.kind}, not triggered"
        raise RefusedError(f"{kind}; `supctl stop {instance.name}` stops it, `supctl restart` replaces its run")


render = show_outcomes
