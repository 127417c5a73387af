"""Escalate: decide what follows for all when one instance gave up (`on_give_up`), or too many fail (`auto_freeze`).

Every change passes `Fleet._step`. There the fleet sees both causes: the change to `failed`, and the end of a failed
run. The fleet itself stops a group. The shell carries out the other two, before anything more is started:

- a freeze, which needs the wall clock and a disk;
- a shutdown, which needs the service manager.

Each change to `failed` escalates once. A supervisor that takes over a `failed` instance does not escalate again. So
the journal must have all consequences no later than the change itself. `Parent.advance` ensures that.

While the supervisor shuts down, it escalates nothing: the shutdown itself causes those failures.
"""

from __future__ import annotations

from supervisor.core.duration import spoken
from supervisor.core.freeze import AUTO_FREEZE, EVERYTHING, ON_GIVE_UP
from supervisor.core.immutable import immutable
from supervisor.core.instance import Instance
from supervisor.core.roster import Roster
from supervisor.core.states import State

STAY, STOP_GROUP, FREEZE, SHUTDOWN = "stay", "stop-group", "freeze", "shutdown"
"""The values of `on_give_up`."""


@immutable
class Escalation:
    """One consequence for others. The fleet carries out a `stop-group`, the shell the other two."""

    what: str  # STOP_GROUP | FREEZE | SHUTDOWN
    source: str  # the key that wants it: ON_GIVE_UP | AUTO_FREEZE
    reason: str
    name: str | None = None  # the instance that gave up
    run: int | None = None  # the number of its last run
    stops: tuple[Instance, ...] = ()  # of a stop-group


def observe(roster: Roster, old: Instance, new: Instance, now: float) -> None:
    """Note the possible consequences of a change of one instance."""
    if new.task.helper or roster.shutdown:
        return
    everything_frozen = any(freeze.scope == EVERYTHING for freeze in roster.freezes)
    if new.last is not old.last and new.failures and not everything_frozen:
        roster.storm.failed(new.task.name, now)
    if new.state is State.FAILED and old.state is not State.FAILED and new.task.on_give_up != STAY:
        roster.gave_up.append(new.key)


def escalate(roster: Roster) -> list[Escalation]:
    """Return the consequences of all changes since the last call."""
    keys, roster.gave_up = roster.gave_up, []
    found = [_of(roster, roster.instances[key]) for key in keys if key in roster.instances]
    if reason := roster.storm.reason():
        roster.storm.clear()
        found.append(Escalation(FREEZE, AUTO_FREEZE, reason))
    return found


def gave_up(i: Instance) -> str:
    """Return why it is `failed`: "gave up: 3 failures within 1m, the last: exit 1"; without `give_up` only its end."""
    last = i.last.reason if i.last else ""
    policy = i.task.give_up
    if policy is None or len(i.failed_at) < policy.failures:
        return last
    if i.task.retry:  # of a start-up task
        return f"gave up after attempt {policy.failures} of {policy.failures}: {last}"
    if policy.failures == 1:
        return f"gave up: {last}"
    return f"gave up: {len(i.failed_at)} failures within {spoken(policy.within)}, the last: {last}"


def _of(roster: Roster, instance: Instance) -> Escalation:
    what = instance.task.on_give_up
    stops = _members(roster, instance) if what == STOP_GROUP else []
    reason = f"on_give_up of {instance.name}: {gave_up(instance)}"
    return Escalation(what, ON_GIVE_UP, reason, instance.name, instance.runs, tuple(stops))


def _members(roster: Roster, instance: Instance) -> list[Instance]:
    """Return the wanted instances that share a group with it. One that gave up, too, stays `failed`, for people."""
    groups = [group for group in roster.groups.values() if instance.task.name in group.tasks]
    tasks = dict.fromkeys(task for group in groups for task in group.tasks)
    return [i for task in tasks for i in roster.copies(task) if i.wanted and i.state is not State.FAILED]
