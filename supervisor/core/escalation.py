"""What it means for all of them that one gave up (`on_give_up`), or that too many fail (`auto_freeze`).

Both are seen in the one place that every change passes (`Fleet._step`): the edge to `failed`, and the end of a run
that failed. A group is stopped here; a freeze needs the wall clock and a disk, a shutdown the service manager, so they
are handed to the shell, which carries them out before anything more is started.

An edge is walked once: a supervisor that takes over one that is `failed` already does not escalate again. So the
journal has to have everything that follows from it no later than the edge itself (`Parent.settle` sees to that).

While the supervisor shuts down nothing is escalated: what fails then fails for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core import events as ev
from supervisor.core.duration import spoken
from supervisor.core.freeze import AUTO_FREEZE, EVERYTHING, ON_GIVE_UP
from supervisor.core.immutable import immutable
from supervisor.core.instance import Instance
from supervisor.core.states import State

if TYPE_CHECKING:
    from supervisor.core.fleet import Fleet

STAY, STOP_GROUP, FREEZE, SHUTDOWN = "stay", "stop-group", "freeze", "shutdown"
"""The values of `on_give_up`."""


@immutable
class Escalation:
    """One thing that follows for others. A `stop-group` has begun, the other two are the shell's to do."""

    what: str  # STOP_GROUP | FREEZE | SHUTDOWN
    source: str  # the key that wants it: ON_GIVE_UP | AUTO_FREEZE
    reason: str
    name: str | None = None  # who gave up
    run: int | None = None  # the number of its last run
    stops: tuple[str, ...] = ()  # names, of a stop-group


def see(fleet: Fleet, old: Instance, new: Instance, now: float) -> None:
    """Notes what a change of one instance may have to be followed by."""
    if new.task.helper or fleet.shutdown:
        return
    everything_frozen = any(freeze.scope == EVERYTHING for freeze in fleet.freezes)
    if new.last is not old.last and new.failures and not everything_frozen:
        fleet.storm.failed(new.task.name, now)
    if new.state is State.FAILED and old.state is not State.FAILED and new.task.on_give_up != STAY:
        fleet.gave_up.append(new.key)


def escalate(fleet: Fleet, now: float) -> list[Escalation]:
    """What follows from all that was seen since the last call."""
    keys, fleet.gave_up = fleet.gave_up, []
    found = [_of(fleet, fleet.instances[key], now) for key in keys if key in fleet.instances]
    if reason := fleet.storm.reason():
        fleet.storm.clear()
        found.append(Escalation(FREEZE, AUTO_FREEZE, reason))
    return found


def gave_up(i: Instance) -> str:
    """Why one is `failed`: "gave up: 3 failures within 1m, the last: exit 1"; without `give_up` just how it ended."""
    last = i.last.reason if i.last else ""
    policy = i.task.give_up
    if policy is None or len(i.failed_at) < policy.failures:
        return last
    if policy.failures == 1:
        return f"gave up: {last}"
    return f"gave up: {len(i.failed_at)} failures within {spoken(policy.within)}, the last: {last}"


def _of(fleet: Fleet, instance: Instance, now: float) -> Escalation:
    what = instance.task.on_give_up
    stops = _members(fleet, instance) if what == STOP_GROUP else []
    if stops:
        fleet.apply_all([i.key for i in stops], ev.Unwant(f"on_give_up of {instance.name}"), now)
    reason = f"on_give_up of {instance.name}: {gave_up(instance)}"
    return Escalation(what, ON_GIVE_UP, reason, instance.name, instance.runs, tuple(i.name for i in stops))


def _members(fleet: Fleet, instance: Instance) -> list[Instance]:
    """Who shares a group with it and is wanted up; one that gave up as well stays `failed`, for people to see."""
    groups = [group for group in fleet.groups.values() if instance.task.name in group.tasks]
    tasks = dict.fromkeys(task for group in groups for task in group.tasks)
    return [i for task in tasks for i in fleet.copies(task) if i.wanted and i.state is not State.FAILED]
