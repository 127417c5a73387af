"""Ask the gates: may this instance start now, and must it stop? Every refusal has a reason.

A gate forbids; it never acts. The fleet decides what follows from a refusal: it holds or stops the instance.
"""

from __future__ import annotations

from supervisor.core import health
from supervisor.core.definition import Kind
from supervisor.core.immutable import immutable
from supervisor.core.instance import Instance
from supervisor.core.roster import Roster
from supervisor.core.states import ALIVE, State


@immutable
class Verdict:
    """The answer of a gate. `reasons` are empty exactly when it is open."""

    reasons: tuple[str, ...] = ()
    frozen: bool = False

    def __bool__(self) -> bool:
        return not self.reasons


OPEN = Verdict()

SHUTTING_DOWN = "the supervisor is shutting down"


def may_start(roster: Roster, instance: Instance) -> Verdict:
    """Ask every gate: those of `may_line_up`, and then the pool whose slots it needs."""
    verdict, share = may_line_up(roster, instance), instance.task.pool
    if not verdict or share is None:
        return verdict
    why = roster.pools.refusal(instance.key, share)
    return Verdict((f"waits for {why}",)) if why else OPEN


def may_line_up(roster: Roster, instance: Instance) -> Verdict:
    """Ask every gate but the pool: shutdown, freeze, start-up tasks, dependencies. Return all refusals.

    An instance that one of these refuses does not stand in the line of a pool: it would block others.
    """
    if roster.shutdown and not _still_needed(roster, instance):
        return Verdict((f"the supervisor is shutting down: {roster.shutdown.reason}",))
    if instance.task.helper:
        return OPEN
    freezes = roster.freezes_of(instance.task.name)
    reasons = [freeze.says for freeze in freezes]
    reasons += [f"start-up task {other.name} {_is(other)}" for other in _awaited(roster, instance) if not other.ready]
    for name in instance.task.dependencies:
        verb = "requires" if name in instance.task.requires else "starts after"
        copies = _staying(roster, name)
        reasons += [f"{verb} {other.name}, which {_is(other)}" for other in copies if not other.ready]
        reasons += [] if copies else [f"{verb} {name}, which has no instance"]
        if name in instance.task.requires:  # the gate would stop it again at once
            leaving = (other for other in copies if other.ready and other.run and must_end(roster, other))
            reasons += [f"requires {other.name}, which is about to stop" for other in leaving]
    return Verdict(tuple(reasons), frozen=bool(freezes)) if reasons else OPEN


def _still_needed(roster: Roster, instance: Instance) -> bool:
    """Return whether a helper may start during a shutdown: as long as a task has a process, and once after that.

    The last start is for a helper that has failed. So @scribe gets a chance to keep the last output and the last runs.
    """
    last = instance.last
    failed = last is not None and (not last.asked or bool(last.code))
    return instance.task.helper and (roster.busy > 0 or (failed and roster.final.get(instance.key) == instance.runs))


def will_start(roster: Roster, instance: Instance) -> bool:
    """Return whether a held instance will start without anyone's action: what it waits for is on its way."""
    if may_start(roster, instance):
        return True
    if roster.shutdown or may_line_up(roster, instance).frozen:
        return False
    share = instance.task.pool
    if share and roster.pools.refusal(instance.key, share) and not roster.pools.ends_by_itself(instance.key, share):
        return False
    pending = _awaited(roster, instance)
    for name in instance.task.dependencies:
        copies = _staying(roster, name)
        if not copies:
            return False
        pending += copies
    return all(other.ready or _under_way(roster, other) for other in pending)


def _awaited(roster: Roster, instance: Instance) -> list[Instance]:
    """Return the wanted start-up tasks that it waits for without naming them."""
    return [other for other in roster.startup_before(instance.task.name) if other.wanted]


def _staying(roster: Roster, task: str) -> list[Instance]:
    """Return the instances that count for dependents of the task: not the retired ones."""
    return [other for other in roster.copies(task) if not other.retired]


def _under_way(roster: Roster, other: Instance) -> bool:
    if other.state is State.HELD:
        return will_start(roster, other)
    return other.wanted and other.state in ALIVE


def must_end(roster: Roster, instance: Instance) -> str:
    """Return why a living run must end, or "" when it may stay."""
    if roster.shutdown and roster.shutdown.drain_until is None:
        if instance.task.helper:
            return "" if roster.busy or instance.state is State.STARTING else SHUTTING_DOWN
        if not roster.needed_by(instance.task.name):
            return SHUTTING_DOWN
    if not instance.wanted:
        return f"removed from the config by {instance.by}" if instance.retired else f"stop requested by {instance.by}"
    if instance.outdated and not roster.freezes_of(instance.task.name):  # frozen: it could not come back
        return instance.outdated
    return _requirement_gone(roster, instance)


def must_fail(roster: Roster, instance: Instance) -> str:
    """Return why a living run must be stopped as failed: its time is over, its watchdog or its probe says so; or "".

    A frozen or paused run is not stopped for this. A paused run (`supctl pause`) cannot send a watchdog message. A
    breached limit is the exception, as the run would harm others.

    As with a crash, the stop waits for no dependent: those that require the instance stop after it.
    """
    run, probe = instance.run, instance.task.health
    if run and run.breach:
        return run.breach
    if run is None or run.paused or roster.freezes_of(instance.task.name):
        return ""
    return health.overrun(instance) or run.health.fault or (health.unwell(instance) if probe and probe.restart else "")


def _requirement_gone(roster: Roster, instance: Instance) -> str:
    """Return which task of `requires` is gone or about to stop, or "": the instance stops then, before it if possible.

    A required instance that never was up has not gone down. It may be new (`supctl scale`), or a reload has added it.
    """
    for name in instance.task.requires:
        copies = _staying(roster, name)
        if not copies:
            return f"requires {name}, which has no instance"
        for other in copies:
            if not other.ready and not _never_was_up(other):
                return f"requires {other.name}, which {_is(other)}"
            if other.state is State.RUNNING and must_end(roster, other):
                return f"requires {other.name}, which is about to stop"
    return ""


def _never_was_up(other: Instance) -> bool:
    return other.wanted and other.last is None and other.state in (State.HELD, State.STARTING)


def in_the_way(roster: Roster, instance: Instance) -> tuple[Instance, ...]:
    """Return the dependents that must end before this instance is stopped: those that must stop as well.

    A dependent that survives SIGKILL does not count: no stop waits for ever for another one.
    """
    return tuple(
        other
        for other in roster.dependents(instance.task.name)
        if other.run and other.run.kills < 2 and (other.state is State.STOPPING or must_end(roster, other))
    )


def _is(other: Instance) -> str:
    """Return in words why a dependency is not ready."""
    if other.state is State.RUNNING and other.run and other.run.health.leaving:
        return "reports that it is stopping"
    if other.task.kind is Kind.CONTINUOUS or other.state not in (State.STOPPED, State.FAILED):
        return "waits for its restart" if other.state is State.BACKOFF else f"is {other.state}"
    return "has not run yet" if other.last is None else f"has not succeeded ({other.last.reason})"
