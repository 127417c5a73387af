"""Outcomes of start, stop, restart and run: when an instance has settled, and how that is shown."""

from __future__ import annotations

from supervisor.core.exits import exit_of
from supervisor.verbs.screen import Screen

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from supervisor.control.wait import Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance


def came_up(fleet: Fleet, instance: Instance) -> Result | None:
    """Return the result of start or restart: running (a start-up task: done), held by something lasting, or failed."""
    from supervisor.control.wait import result  # noqa: PLC0415 - not in supctl
    from supervisor.core.gate import will_start  # noqa: PLC0415
    from supervisor.core.report import short_reason  # noqa: PLC0415

    why = short_reason(fleet, instance)
    match instance.state:
        case "running" if instance.task.kind != "startup" and not fleet.leaving(instance):
            return result(instance, "running", ok=True, text=f"running (pid {instance.pid})")
        case "held" if not will_start(fleet, instance):
            return result(instance, "held", ok=False, text=f"held: {why}")
        case "backoff" | "failed":
            return result(instance, str(instance.state), ok=False, text=f"{instance.state}: {why}")
        case "stopped":
            ok = instance.last is not None and instance.last.success
            return result(instance, "done" if ok else "stopped", ok=ok, text=why)
        case _:
            pass
    return None


def went_down(fleet: Fleet, instance: Instance) -> Result | None:
    """Return the result of stop or scale, once nothing of the run is left."""
    from supervisor.control.wait import result  # noqa: PLC0415
    from supervisor.core.roster import STUCK  # noqa: PLC0415

    if instance.run is None:
        return result(instance, "stopped", ok=True, text=_how(instance))
    if instance.wanted:
        return result(instance, str(instance.state), ok=False, text=f"meanwhile {instance.by} started it again")
    if instance.run.kills >= STUCK:
        left = ", ".join(instance.run.left) or f"pid {instance.run.pid}"
        text = f"still alive after SIGKILL: {left}; the supervisor tries again"
        return result(instance, "stopping", ok=False, text=text)
    return None


def _how(instance: Instance) -> str:
    from supervisor.core.report import killed  # noqa: PLC0415 - not in supctl

    last = instance.last
    if last is None:
        return "stopped"
    return "; ".join(filter(None, (f"stopped ({last.reason} after {last.duration:.1f} s)", killed(last))))


def under_way(instances: list[Instance]) -> dict[str, Any]:
    """Return the answer for --no-wait."""
    return {
        "instances": [
            {"name": i.name, "outcome": str(i.state), "ok": True, "text": f"requested; {i.state} now", "run": None}
            for i in instances
        ]
    }


def show_outcomes(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """Show one line for each outcome. Return 0, 3 if an instance is held, 1 if one failed."""
    if options.json:
        screen.json(answer)
    else:
        for one in answer["instances"]:
            screen.line(f"{one['name']}: {one['text']}")
    return exit_of(answer)
