"""The gates: may this instance start now, and must it leave? One question, one place, a reason with every refusal.

A gate forbids; it never acts. What follows from a refusal (to hold, to stop) is the fleet's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core import health
from supervisor.core.definition import Kind
from supervisor.core.immutable import immutable
from supervisor.core.instance import Instance
from supervisor.core.states import ALIVE, State

if TYPE_CHECKING:
    from supervisor.core.fleet import Fleet


@immutable
class Verdict:
    """The answer of a gate. `reasons` are empty exactly when it is open."""

    reasons: tuple[str, ...] = ()
    frozen: bool = False

    def __bool__(self) -> bool:
        return not self.reasons


OPEN = Verdict()


def may_start(fleet: Fleet, instance: Instance) -> Verdict:
    """Asks every gate: shutdown, freeze, start-up tasks, dependencies. All refusals are given, not just the first."""
    if fleet.shutdown:
        return Verdict((f"the supervisor is shutting down: {fleet.shutdown.reason}",))
    if instance.task.helper:
        return OPEN
    freezes = fleet.freezes_of(instance.task.name)
    reasons = [freeze.says for freeze in freezes]
    if instance.task.kind is not Kind.STARTUP:
        reasons += [
            f"start-up task {other.name} {_is(other)}" for other in fleet.startup if not other.ready and other.wanted
        ]
    for name in instance.task.dependencies:
        verb = "requires" if name in instance.task.requires else "starts after"
        copies = _staying(fleet, name)
        reasons += [f"{verb} {other.name}, which {_is(other)}" for other in copies if not other.ready]
        reasons += [] if copies else [f"{verb} {name}, which has no instance"]
        if name in instance.task.requires:  # it would have to leave again at once
            leaving = (other for other in copies if other.ready and other.run and must_leave(fleet, other))
            reasons += [f"requires {other.name}, which is about to stop" for other in leaving]
    return Verdict(tuple(reasons), frozen=bool(freezes)) if reasons else OPEN


def will_start(fleet: Fleet, instance: Instance) -> bool:
    """Whether something is already under way that will let a held instance start, without anybody's doing."""
    verdict = may_start(fleet, instance)
    if verdict:
        return True
    if verdict.frozen or fleet.shutdown:
        return False
    pending = [other for other in fleet.startup if other.wanted] if instance.task.kind is not Kind.STARTUP else []
    for name in instance.task.dependencies:
        copies = _staying(fleet, name)
        if not copies:
            return False
        pending += copies
    return all(other.ready or _under_way(fleet, other) for other in pending)


def _staying(fleet: Fleet, task: str) -> list[Instance]:
    """The copies that count for those that depend on the task: not those that leave for good."""
    return [other for other in fleet.copies(task) if not other.retired]


def _under_way(fleet: Fleet, other: Instance) -> bool:
    if other.state is State.HELD:
        return will_start(fleet, other)
    return other.wanted and other.state in ALIVE


def must_leave(fleet: Fleet, instance: Instance) -> str:
    """Why a living run has to end, or "" when it may stay."""
    if fleet.shutdown and fleet.shutdown.drain_until is None:
        return "" if instance.task.helper and fleet.busy else "the supervisor is shutting down"
    if not instance.wanted:
        return f"removed from the config by {instance.by}" if instance.retired else f"stop asked by {instance.by}"
    if instance.outdated and not fleet.freezes_of(instance.task.name):  # frozen: it could not come back
        return instance.outdated
    return _requirement_gone(fleet, instance)


def must_fail(fleet: Fleet, instance: Instance) -> str:
    """Why a living run has to be stopped as failed: its time is over, it gives no sign of life, its probe says so.

    Never while frozen, nor while it stands still (`supctl pause`), when it cannot give any sign; but for a limit,
    beyond which it would hurt others.

    Nobody is waited for then, as with a crash: what requires it goes down after it.
    """
    run, probe = instance.run, instance.task.health
    if run and run.breach:
        return run.breach
    if run is None or run.paused or fleet.freezes_of(instance.task.name):
        return ""
    return health.over(instance) or run.health.fault or (health.unwell(instance) if probe and probe.restart else "")


def _requirement_gone(fleet: Fleet, instance: Instance) -> str:
    """`requires`: it goes down with what it requires, before it when that is going to be stopped.

    What never was up has not gone down: a new copy (`supctl scale`), or a requirement that a reload has added.
    """
    for name in instance.task.requires:
        copies = _staying(fleet, name)
        if not copies:
            return f"requires {name}, which has no instance"
        for other in copies:
            if not other.ready and not _never_was_up(other):
                return f"requires {other.name}, which {_is(other)}"
            if other.state is State.RUNNING and must_leave(fleet, other):
                return f"requires {other.name}, which is about to stop"
    return ""


def _never_was_up(other: Instance) -> bool:
    return other.wanted and other.last is None and other.state in (State.HELD, State.STARTING)


def in_the_way(fleet: Fleet, instance: Instance) -> tuple[Instance, ...]:
    """The dependents that have to be gone before this one is stopped: those that are leaving as well.

    One that outlives SIGKILL does not count: no stop waits for ever for another one.
    """
    return tuple(
        other
        for other in fleet.dependents(instance.task.name)
        if other.run and other.run.kills < 2 and (other.state is State.STOPPING or must_leave(fleet, other))
    )


def _is(other: Instance) -> str:
    """What keeps a dependency from being ready, in words."""
    if other.state is State.RUNNING and other.run and other.run.health.leaving:
        return "says that it is stopping"
    if other.task.kind is Kind.CONTINUOUS or other.state not in (State.STOPPED, State.FAILED):
        return "waits for its restart" if other.state is State.BACKOFF else f"is {other.state}"
    return "has not run yet" if other.last is None else f"has not succeeded ({other.last.reason})"
