"""What people and programs are told: status, and why.

Pure: a moment becomes text by `stamp`, which the shell supplies. The shapes are those of the contract's section 7;
an unknown value is None, never missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor.core import health, pause
from supervisor.core.definition import Config, Kind
from supervisor.core.escalation import STAY, gave_up
from supervisor.core.fleet import Fleet
from supervisor.core.freeze import Freeze
from supervisor.core.instance import ITS_OWN_END, Instance, Outcome
from supervisor.core.states import State

Stamp = Callable[[float], str]

FRESH = 4
"""So many times between two samples one of them may be old."""


def supervisor_state(fleet: Fleet) -> str:
    """Starting (start-up tasks are not done), running, or stopping."""
    if fleet.shutdown:
        return "stopping"
    return "running" if fleet.startup_settled() else "starting"


def summary(fleet: Fleet) -> str:
    """One line on the fleet: "12 running, 1 held, frozen"."""
    counts = fleet.counts
    order = (s for s in State if counts[s] and s is not State.STOPPED)
    parts = [f"{counts[s]} {s}" for s in sorted(order, key=lambda s: s is not State.RUNNING)]
    if any(not freeze.scope for freeze in fleet.freezes):
        parts.append("frozen")
    elif fleet.freezes:
        parts.append("partly frozen")
    if fleet.shutdown:
        parts.append("shutting down")
    return ", ".join(parts) or "nothing running"


def measured(tasks: list[dict[str, Any]], samples: dict[str, Any], now: float) -> None:
    """Fills in what the runs use, where the newest sample is of the run that is on, and not out of date."""
    if not samples or now - samples["at"] > FRESH * samples["every"]:
        return
    for one in tasks:
        sample = samples["instances"].get(f"{one['task']}:{one['instance']}")
        if sample and sample["run"] == one["run"]:
            figures = {"cpu_percent": "cpu", "memory_bytes": "memory", "processes": "processes"}
            one |= {name: sample[key] for name, key in figures.items()}


def status(fleet: Fleet, config: Config, instances: list[Instance], now: float, stamp: Stamp) -> list[dict[str, Any]]:
    """The `tasks` of `status --json`."""
    groups: dict[str, str] = {}
    for group in config.groups.values():
        for name in group.tasks:
            groups.setdefault(name, group.name)
    return [_one(fleet, instance, groups.get(instance.task.name), now, stamp) for instance in instances]


def _one(fleet: Fleet, i: Instance, group: str | None, now: float, stamp: Stamp) -> dict[str, Any]:
    alive = i.run is not None
    return {
        "name": i.name,
        "task": i.task.name,
        "instance": i.index,
        "group": group,
        "kind": str(i.task.kind),
        "state": str(i.state),
        "wanted": i.wanted,
        "pid": i.pid,
        "run": i.run.id if i.run else None,
        "since": stamp(i.since),
        "uptime_s": round(now - i.run.began, 3) if i.run else None,
        "restarts": i.restarts,
        "failures": i.failures,
        "health": health.word(i),
        "ready": i.state is State.RUNNING if alive or i.task.kind is Kind.CONTINUOUS else i.ready,
        "says": (i.run.health.says or None) if i.run else None,
        "paused": pause.told(i),
        "why": short_reason(fleet, i),
        "next": next_step(i, stamp),
        "last_exit": last_exit(i.last, stamp),
        "cpu_percent": None,
        "memory_bytes": None,
        "processes": None,
    }


def last_exit(outcome: Outcome | None, stamp: Stamp) -> dict[str, Any] | None:
    """How the last run ended, as the contract shows it."""
    if outcome is None:
        return None
    return {
        "at": stamp(outcome.at),
        "code": outcome.code,
        "signal": outcome.signal,
        "core_dumped": outcome.core_dumped,
        "reason": outcome.reason,
        "duration_s": round(outcome.duration, 3),
    }


def killed(outcome: Outcome) -> str:
    """What a stop had to kill besides the main process, in words; empty when it was nothing."""
    return f"killed what was left: {', '.join(outcome.killed)}" if outcome.killed else ""


def next_step(i: Instance, stamp: Stamp) -> dict[str, str] | None:
    """What happens next by itself, and when; None when nothing does."""
    if i.deadline is None or pause.note(i):
        return None
    what = {
        State.STARTING: "stopped as not ready in time",
        State.STOPPING: _next_signal(i),
        State.BACKOFF: "restart",
    }[i.state]
    return {"at": stamp(i.deadline), "what": what}


def _next_signal(i: Instance) -> str:
    if i.run and i.run.dumping:
        return i.task.stop.signal
    return "SIGKILL" if i.run and not i.run.kills else "SIGKILL again"


def freeze_json(freeze: Freeze) -> dict[str, Any]:
    """One freeze, as `status --json` shows it."""
    return {
        "scope": freeze.scope or "all",
        "source": freeze.source,
        "by": freeze.by,
        "since": freeze.since,
        "until": freeze.until,
        "reason": freeze.reason or None,
    }


def short_reason(fleet: Fleet, i: Instance) -> str:
    """The `why` column: a few words, empty when there is nothing to say."""
    match i.state:
        case State.HELD:
            return "; ".join(fleet.verdict(i).reasons) or "waits for its turn to fork"
        case State.STARTING:
            return _starting(i)
        case State.RUNNING:
            return _running(fleet, i)
        case State.STOPPING:
            return _stopping(i)
        case State.BACKOFF:
            return i.last.reason if i.last else ""
        case State.FAILED:
            return gave_up(i)
        case State.STOPPED:  # pragma: no branch - the last one
            return _stopped(i)


def _starting(i: Instance) -> str:
    if i.run is None or not i.run.program:
        return "forked, its program is not running yet"
    waits = "waits for READY=1" if i.task.ready == "notify" else "waits for a good answer to its probe"
    return "; ".join(filter(None, [pause.note(i), waits, health.note(i)]))


def _running(fleet: Fleet, i: Instance) -> str:
    if fleet.leaving(i):
        return f"to stop: {fleet.leaving(i)}"
    unwell = health.unwell(i)
    if unwell and fleet.freezes_of(i.task.name):
        unwell += "; left alone while frozen"
    return "; ".join(filter(None, [pause.note(i), unwell, health.note(i)]))


def _stopping(i: Instance) -> str:
    parts = [i.run.cause] if i.run and i.run.cause else []
    if i.run and i.run.outcome:
        parts.append(f"its main process ended ({i.run.outcome.reason}), others of the run are left")
    if i.run and i.run.kills:
        parts.append(f"sent SIGKILL {i.run.kills} times" if i.run.kills > 1 else "sent SIGKILL")
    if i.run and i.run.left:
        parts.append(f"still there: {', '.join(i.run.left)}")
    return "; ".join(parts)


def _stopped(i: Instance) -> str:
    if i.task.kind is not Kind.CONTINUOUS and i.last is not None:
        return "done" if i.last.success else i.last.reason
    if i.by and i.by != ITS_OWN_END:
        return f"stopped by {i.by}"
    if i.last is None:
        return "waits for a trigger" if i.task.kind is Kind.TRIGGERED else "not started: autostart = false"
    return f"ended by itself: {i.last.reason}"


def why(fleet: Fleet, i: Instance, now: float, stamp: Stamp) -> str:
    """One paragraph: why it is in the state it is in, and what happens next and when."""
    sentences = [f"{i.name} is {i.state} since {stamp(i.since)}" + _because(fleet, i) + "."]
    if i.run and i.run.pid:
        sentences.append(
            f"Run {i.run.id} (trigger {i.run.trigger}, attempt {i.run.attempt}) "
            f"has pid {i.run.pid} and lives for {now - i.run.began:.1f} s."
        )
    if i.last and i.state is not State.STOPPED:
        ended = f"The last run ended {stamp(i.last.at)} after {i.last.duration:.1f} s: {i.last.reason}"
        sentences.append(f"{'; '.join(filter(None, (ended, killed(i.last))))}.")
    sentences.append(_what_next(fleet, i, now, stamp))
    return " ".join(sentence for sentence in sentences if sentence)


def _because(fleet: Fleet, i: Instance) -> str:
    reason = short_reason(fleet, i)
    if i.state is State.FAILED and i.task.on_give_up != STAY:
        reason += f"; on_give_up = {i.task.on_give_up}"
    return f": {reason}" if reason else ""


def _what_next(fleet: Fleet, i: Instance, now: float, stamp: Stamp) -> str:
    step = next_step(i, stamp)
    if i.state is State.BACKOFF and step and i.deadline is not None:
        return (
            f"It is restarted at {step['at']} (in {max(0.0, i.deadline - now):.1f} s), try {i.streak + 1} of this row."
        )
    if i.state is State.STOPPING and step:
        after = "it is started again" if i.wanted and not fleet.shutdown else "it stays down"
        return f"At {step['at']} what is left gets {step['what']}; when nothing is left, {after}."
    if i.state is State.STARTING and step:
        return f"If it is not ready at {step['at']}, it is stopped and counts as failed."
    if i.state is State.FAILED:
        return f"Nothing happens by itself: `supctl start {i.name}`, or a changed definition, clears it."
    if i.state is State.HELD and fleet.shutdown:
        return "It does not start any more: the supervisor is on its way out."
    if i.state is State.HELD:
        return "It starts as soon as nothing of that holds any more."
    if i.state is State.STOPPED:
        verb = "run" if i.task.kind is Kind.TRIGGERED else "start"
        return f"It stays so until `supctl {verb} {i.name}`."
    return _if_it_ends(i)


def _left_alone(i: Instance) -> bool:
    return bool(health.unwell(i)) and i.task.health is not None and not i.task.health.restart


def _if_it_ends(i: Instance) -> str:
    """What the restart policy says; and that nothing follows from a probe that was told to change nothing."""
    kept = {"always": "it is restarted", "on-failure": "it is restarted if it failed", "never": "it stays down"}
    alone = "It is unwell and left alone (health.restart = false). " * bool(_left_alone(i))
    return f'{alone}When it ends by itself, {kept[i.task.restart]} (restart = "{i.task.restart}").'


# -- the machine as a whole, for a load balancer ----------------------------------------------------------------------


def not_ready(fleet: Fleet) -> list[str]:
    """Why the machine shall get no work now; empty when it may."""
    if fleet.shutdown:
        return [f"shutting down: {fleet.shutdown.reason}"]
    reasons = [] if fleet.startup_settled() else ["starting: the start-up tasks are not through"]
    reasons += [freeze.says for freeze in fleet.freezes if not freeze.scope]
    for name, task in fleet.tasks.items():
        copies = list(fleet.copies(name))
        if task.essential and not any(i.ready and _serves(i) for i in copies):
            ailing = "; ".join(f"{i.name} is {_ailment(i)}" for i in copies)
            reasons.append(f"{name} is essential: {ailing or 'it has no instance'}")
    return reasons


def _serves(i: Instance) -> bool:
    return health.word(i) != "unwell" and not pause.note(i)


def _ailment(i: Instance) -> str:
    if i.ready:
        return "paused" if pause.note(i) else "unwell"
    return str(i.state)


def own_health(fleet: Fleet, name: str) -> dict[str, Any]:
    """What `/health` tells: the machine, and each instance in short."""
    why = not_ready(fleet)
    tasks = {
        i.name: {"state": str(i.state), "health": health.word(i), "essential": i.task.essential}
        for i in fleet.ordered()
        if not i.task.helper
    }
    return {"name": name, "state": supervisor_state(fleet), "ready": not why, "why": why, "tasks": tasks}
