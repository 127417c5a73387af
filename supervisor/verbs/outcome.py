"""What start, stop, restart and run have in common: when an instance has come to rest, and how that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import NOT_WELL, OK, REFUSED
from supervisor.verbs.screen import Screen

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from supervisor.control.wait import Result
    from supervisor.core.fleet import Fleet
    from supervisor.core.instance import Instance

STUCK = 4
"""SIGKILLs without effect after which a stop is reported as failed; the supervisor goes on trying."""


def name_arguments(parser: ArgumentParser) -> None:
    """NAME…, --all, --no-wait, --json."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="task, instance (web:2), group (@etl) or glob ('w*')")
    parser.add_argument("--all", action="store_true", help="every task")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for the outcome")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def name_request(options: Namespace) -> dict[str, Any]:
    """What name_arguments took."""
    return {"names": options.names, "all": options.all, "wait": not options.no_wait}


def came_up(fleet: Fleet, instance: Instance) -> Result | None:
    """For start and restart: running (a start-up task: done), held by something lasting, or failed."""
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
    """For stop and scale: nothing of the run is left."""
    from supervisor.control.wait import result  # noqa: PLC0415

    if instance.run is None:
        return result(instance, "stopped", ok=True, text=_how(instance))
    if instance.wanted:
        return result(instance, str(instance.state), ok=False, text=f"start asked by {instance.by} meanwhile")
    if instance.run.kills >= STUCK:
        left = ", ".join(instance.run.left) or f"pid {instance.run.pid}"
        text = f"still there after SIGKILL: {left}; it goes on being tried"
        return result(instance, "stopping", ok=False, text=text)
    return None


def _how(instance: Instance) -> str:
    from supervisor.core.report import killed  # noqa: PLC0415 - not in supctl

    last = instance.last
    if last is None:
        return "stopped"
    return "; ".join(filter(None, (f"stopped ({last.reason} after {last.duration:.1f} s)", killed(last))))


def under_way(instances: list[Instance]) -> dict[str, Any]:
    """The answer of --no-wait."""
    return {
        "instances": [
            {"name": i.name, "outcome": str(i.state), "ok": True, "text": f"asked; {i.state} now", "run": None}
            for i in instances
        ]
    }


def show_outcomes(answer: dict[str, Any], options: Namespace, screen: Screen) -> int:
    """One line each. Exit code 0, 3 when something is held, 1 when something failed."""
    if options.json:
        screen.json(answer)
    else:
        for one in answer["instances"]:
            screen.line(f"{one['name']}: {one['text']}")
    outcomes = [one["outcome"] for one in answer["instances"] if not one["ok"]]
    if not outcomes:
        return OK
    return NOT_WELL if set(outcomes) == {"held"} else REFUSED
