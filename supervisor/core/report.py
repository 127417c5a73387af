"""Report the status of all instances, with reasons, to people and programs.

The functions are pure: the shell supplies `stamp`, which turns a moment into text. Section 7 of the contract defines
the shapes. An unknown value is None, never missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from supervisor.core import health, pause
from supervisor.core.definition import Config, Kind, Mode
from supervisor.core.escalation import STAY, gave_up
from supervisor.core.fleet import Fleet
from supervisor.core.freeze import Freeze
from supervisor.core.instance import ITS_OWN_END, Instance, Outcome
from supervisor.core.states import State

Stamp = Callable[[float], str]

FRESH = 4
"""The maximum age of a sample, as a multiple of the time between two samples."""


def supervisor_state(fleet: Fleet) -> str:
    """Return "starting" (start-up tasks are not done), "running", or "stopping"."""
    if fleet.shutdown:
        return "stopping"
    return "running" if fleet.startup_is_over() else "starting"


def summary(fleet: Fleet) -> str:
    """Return one line on the fleet: "12 running, 1 held, frozen"."""
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
    """Fill in the usage of the runs, where the newest sample is of the current run and not out of date."""
    if not samples or now - samples["at"] > FRESH * samples["every"]:
        return
    for one in tasks:
        sample = samples["instances"].get(f"{one['task']}:{one['instance']}")
        if sample and sample["run"] == one["run"]:
            figures = {"cpu_percent": "cpu", "memory_bytes": "memory", "processes": "processes"}
            one |= {name: sample[key] for name, key in figures.items()}


def status(fleet: Fleet, config: Config, instances: list[Instance], now: float, stamp: Stamp) -> list[dict[str, Any]]:
    """Return the `tasks` of `status --json`."""
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
        "health": wellness(fleet, i),
        "ready": i.state is State.RUNNING if alive or i.task.kind is Kind.CONTINUOUS else i.ready,
        "says": (i.run.health.says or None) if i.run else None,
        "paused": pause.as_json(i),
        "why": "; ".join(filter(None, (short_reason(fleet, i), _trouble(fleet, i, now)))),
        "next": next_step(i, stamp),
        "last_exit": last_exit(i.last, stamp),
        "cpu_percent": None,
        "memory_bytes": None,
        "processes": None,
        "progress": None,
        "waiting": 0,
    }


def wellness(fleet: Fleet, i: Instance) -> str | None:
    """Return the column `health`: that of its run, and for a triggered task that of its last runs as well."""
    words = (fleet.last_runs.word(i.task.name), health.word(i))
    return next((word for word in ("unwell", "ok") if word in words), None)


def _trouble(fleet: Fleet, i: Instance, now: float) -> str:
    """Return what is wrong with the last runs of a triggered task, apart from what its state already tells; or ""."""
    parts = []
    failed = fleet.last_runs.failed(i.task.name)
    if failed and (i.run or i.last is None or i.last.reason != failed):
        parts.append(f"the last run failed: {failed}")
    if overdue := fleet.last_runs.overdue(i.task.name, now):
        parts += [overdue, *(freeze.says for freeze in fleet.freezes_of(i.task.name))]
    return "; ".join(parts)


def _expectation(fleet: Fleet, i: Instance, now: float, stamp: Stamp) -> str:
    """Return in a sentence when a task becomes overdue, or since when it is."""
    if i.task.timing.expect is None:
        return ""
    if (at := fleet.last_runs.due_at(i.task.name)) is not None:
        return f"Without a success until {stamp(at)} it becomes overdue (expect)."
    if fleet.last_runs.overdue(i.task.name, now):
        return "Its next success ends that it is overdue."
    return "When it becomes overdue is not known: @timekeeper has not sent its last success."


def last_exit(outcome: Outcome | None, stamp: Stamp) -> dict[str, Any] | None:
    """Return how the last run ended, as the contract shows it."""
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
    """Return which processes a stop killed besides the main one, and which it could not kill; empty for none."""
    met = f"killed the remaining processes: {', '.join(outcome.killed)}" if outcome.killed else ""
    return "; ".join(filter(None, (met, spared(outcome))))


def spared(outcome: Outcome | None) -> str:
    """Return in words which processes run on after the end of a run; empty for none."""
    if outcome is None or not outcome.spared:
        return ""
    return f"left running, because the supervisor may not signal them: {', '.join(outcome.spared)}"


def next_step(i: Instance, stamp: Stamp) -> dict[str, str] | None:
    """Return what happens next by itself, and when; None when nothing does."""
    if i.deadline is None or pause.describe(i):
        return None
    what = {
        State.STARTING: "stop, if it is not ready",
        State.STOPPING: _next_signal(i),
        State.BACKOFF: "restart",
    }[i.state]
    return {"at": stamp(i.deadline), "what": what}


def _next_signal(i: Instance) -> str:
    if i.run and i.run.dumping:
        return i.task.stop.signal
    return "SIGKILL" if i.run and not i.run.kills else "SIGKILL again"


def freeze_json(freeze: Freeze) -> dict[str, Any]:
    """Return a freeze as `status --json` shows it."""
    return {
        "scope": freeze.scope or "all",
        "source": freeze.source,
        "by": freeze.by,
        "since": freeze.since,
        "until": freeze.until,
        "reason": freeze.reason or None,
    }


def short_reason(fleet: Fleet, i: Instance) -> str:
    """Return the `why` column: a few words, empty when there is nothing to say."""
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
    probe = health.ready_probe(i.task)
    waits = f"waits for a good answer to its {probe.kind} probe" if probe else "waits for READY=1"
    return "; ".join(filter(None, [pause.describe(i), waits, health.describe(i)]))


def _running(fleet: Fleet, i: Instance) -> str:
    if fleet.leaving(i):
        return f"about to stop: {fleet.leaving(i)}"
    unwell = health.unwell(i)
    if unwell and fleet.freezes_of(i.task.name):
        unwell += "; left alone while frozen"
    return "; ".join(filter(None, [_awaited(fleet, i), pause.describe(i), unwell, health.describe(i)]))


def _awaited(fleet: Fleet, i: Instance) -> str:
    """Return why a run goes on although the supervisor is shutting down, or ""."""
    if fleet.outlasts(i):
        return "the shutdown waits for its end"
    others = ", ".join(other.name for other in fleet.needed_by(i.task.name))
    return f"stays for {others}: the shutdown waits for the end of that" if others else ""


def _stopping(i: Instance) -> str:
    parts = [i.run.cause] if i.run and i.run.cause else []
    if i.run and i.run.outcome:
        parts.append(f"its main process ended ({i.run.outcome.reason}), other processes of the run are alive")
    if i.run and i.run.kills:
        parts.append(f"sent SIGKILL {i.run.kills} times" if i.run.kills > 1 else "sent SIGKILL")
    if i.run and i.run.left:
        parts.append(f"still alive: {', '.join(i.run.left)}")
    return "; ".join(parts)


def _stopped(i: Instance) -> str:
    if i.task.kind is not Kind.CONTINUOUS and i.last is not None:
        return "done" if i.last.success else i.last.reason
    if i.by and i.by != ITS_OWN_END:
        return "; ".join(filter(None, (f"stopped by {i.by}", spared(i.last))))
    if i.last is None:
        if i.task.timing.fires:
            return "has not fired yet"
        return "waits for a trigger" if i.task.kind is Kind.TRIGGERED else "not started: autostart = false"
    return f"ended by itself: {i.last.reason}"


def why(fleet: Fleet, i: Instance, now: float, stamp: Stamp) -> str:
    """Return one paragraph: why the instance is in its state, and what happens next and when."""
    sentences = [f"{i.name} is {i.state} since {stamp(i.since)}" + _because(fleet, i) + "."]
    if i.run and i.run.pid:
        sentences.append(
            f"Run {i.run.id} (trigger {i.run.trigger}, attempt {i.run.attempt}) "
            f"has pid {i.run.pid} and has run for {now - i.run.began:.1f} s."
        )
    if i.last and i.state is not State.STOPPED:
        ended = f"The last run ended {stamp(i.last.at)} after {i.last.duration:.1f} s: {i.last.reason}"
        sentences.append(f"{'; '.join(filter(None, (ended, killed(i.last))))}.")
    if trouble := _trouble(fleet, i, now):
        sentences.append(f"{trouble[0].upper()}{trouble[1:]}.")
    sentences += [_expectation(fleet, i, now, stamp), _who_waits(i)]
    sentences.append(_what_next(fleet, i, now, stamp))
    return " ".join(sentence for sentence in sentences if sentence)


def _because(fleet: Fleet, i: Instance) -> str:
    reason = short_reason(fleet, i)
    if i.state is State.FAILED and i.task.on_give_up != STAY:
        reason += f"; on_give_up = {i.task.on_give_up}"
    return f": {reason}" if reason else ""


def _what_next(fleet: Fleet, i: Instance, now: float, stamp: Stamp) -> str:
    step = next_step(i, stamp)
    if fleet.shutdown and fleet.shutdown.wait_until is not None and fleet.needed_by(i.task.name):
        return f"At {stamp(fleet.shutdown.wait_until)}, or at a second request to shut down, it is stopped."
    if i.state is State.BACKOFF and step and i.deadline is not None:
        return (
            f"It is restarted at {step['at']} (in {max(0.0, i.deadline - now):.1f} s), restart {i.streak + 1} in a row."
        )
    if i.state is State.STOPPING and step:
        after = "it is started again" if i.wanted and not fleet.shutdown else "it stays down"
        return f"At {step['at']} the remaining processes get {step['what']}; when none remains, {after}."
    if i.state is State.STARTING and step:
        return f"If it is not ready at {step['at']}, it is stopped and counts as failed."
    if i.state is State.FAILED and i.task.timing.fires:
        return f"Its next firing runs it again; `supctl run {i.name}` does so now."
    if i.state is State.FAILED:
        return f"Nothing happens by itself: `supctl {_verb(i)} {i.name}`, or a changed definition, clears it."
    if i.state is State.HELD:
        shut = "It will not start: the supervisor is shutting down."
        return shut if fleet.shutdown else "It starts as soon as these reasons are gone."
    if i.state is State.STOPPED and i.task.timing.fires:
        return ""
    if i.state is State.STOPPED:
        return f"`supctl {_verb(i)} {i.name}` starts it."
    return _if_it_ends(i)


def _verb(i: Instance) -> str:
    """Return the verb that starts an instance."""
    return "run" if i.task.kind is Kind.TRIGGERED else "start"


_WAITS = {
    Mode.BLOCKING: "All other tasks wait for its success",
    Mode.BACKGROUND: "No other task waits for it",
    Mode.FOREGROUND: "No other task waits for it, but a shutdown does",
}


def _who_waits(i: Instance) -> str:
    """Return who waits for a start-up task that has not succeeded; "" for others."""
    if i.task.kind is not Kind.STARTUP or i.ready or not i.wanted:
        return ""
    return f'{_WAITS[i.task.mode]} (mode = "{i.task.mode}").'


def _left_alone(i: Instance) -> bool:
    return bool(health.unwell(i)) and i.task.health is not None and not i.task.health.restart


def _if_it_ends(i: Instance) -> str:
    """Return what the restart policy does at its end; also that an unwell run is left alone if the config says so."""
    kept = {"always": "it is restarted", "on-failure": "it is restarted if it failed", "never": "it stays down"}
    alone = "It is unwell and left alone (health.restart = false). " * bool(_left_alone(i))
    return f'{alone}When it ends by itself, {kept[i.task.restart]} (restart = "{i.task.restart}").'


# -- the machine as a whole, for a load balancer ----------------------------------------------------------------------


def not_ready(fleet: Fleet) -> list[str]:
    """Return why the machine must get no work now; empty when it may."""
    if fleet.shutdown:
        return [f"shutting down: {fleet.shutdown.reason}"]
    settled = fleet.startup_is_over()
    reasons = [] if settled else ["starting: the start-up tasks have not finished"]
    missing = [i for i in fleet.startup if i.wanted and not i.ready and (settled or i.last)]
    reasons += [f"start-up task {i.name} has not succeeded: {i.last.reason if i.last else i.state}" for i in missing]
    reasons += [freeze.says for freeze in fleet.freezes if not freeze.scope]
    for name, task in fleet.tasks.items():
        copies = list(fleet.copies(name))
        if task.essential and not any(i.ready and _serves(fleet, i) for i in copies):
            troubled = "; ".join(f"{i.name} is {_ailment(i)}" for i in copies)
            reasons.append(f"{name} is essential: {troubled or 'it has no instance'}")
    return reasons


def _serves(fleet: Fleet, i: Instance) -> bool:
    return wellness(fleet, i) != "unwell" and not pause.describe(i)


def _ailment(i: Instance) -> str:
    if i.ready:
        return "paused" if pause.describe(i) else "unwell"
    return str(i.state)


def own_health(fleet: Fleet, name: str) -> dict[str, Any]:
    """Return the answer of `/health`: the machine, and each instance in short."""
    why = not_ready(fleet)
    tasks = {
        i.name: {"state": str(i.state), "health": wellness(fleet, i), "essential": i.task.essential}
        for i in fleet.ordered()
        if not i.task.helper
    }
    return {"name": name, "state": supervisor_state(fleet), "ready": not why, "why": why, "tasks": tasks}
