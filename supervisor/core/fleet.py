"""All instances together: gates, order, freezes, deadlines, shutdown.

`lifecycle` decides for one instance; the fleet decides what follows from it for the others. It does so by looking,
not by remembering: whenever something changes, it looks again at what that may concern (`_look`) and asks the
gates. So there is no list of pending work that could be lost: the same state always leads to the same decisions.

The shell feeds events (`apply`, `freeze`, `shut_down` …), lets time pass (`expire`), lets some start (`admit`), and
then takes what is to be remembered, done and told (`take`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from math import inf

from supervisor.core import escalation, lifecycle
from supervisor.core import events as ev
from supervisor.core.actions import Action
from supervisor.core.definition import Config, Group, Kind, Task
from supervisor.core.freeze import EVERYTHING, KEPT, Freeze
from supervisor.core.gate import Verdict, in_the_way, may_start, must_fail, must_leave, will_start
from supervisor.core.immutable import immutable, replace
from supervisor.core.instance import Instance, Outcome, Run
from supervisor.core.states import ALIVE, State
from supervisor.core.storm import Storm


@immutable
class Shutdown:
    """The supervisor is on its way out."""

    reason: str
    deadline: float | None  # monotonic seconds: what is left then is killed; None: that has happened
    exit_code: int = 0
    drain_until: float | None = None  # monotonic seconds of the first stop signal; None: it has come


@immutable
class Change:
    """One instance became another one; `new` is None when it has left the fleet."""

    old: Instance
    new: Instance | None
    ended: Outcome | None = None  # how the run of the old one ended, if this is its end


class Fleet:
    """Every instance, every freeze, and what follows from them."""

    def __init__(self, epoch: str) -> None:
        """`epoch` makes run ids unique over restarts of the numbering."""
        self.epoch = epoch
        self.instances: dict[str, Instance] = {}
        self.groups: dict[str, Group] = {}
        self.freezes: tuple[Freeze, ...] = ()
        self.shutdown: Shutdown | None = None
        self.counts = dict.fromkeys(State, 0)  # instances of tasks (not of helpers) by state
        self.tasks: dict[str, Task] = {}  # of the config; a task with no replicas has no instance
        self.storm = Storm()
        self.gave_up: list[str] = []  # keys; taken by `escalation.escalate`
        self._copies: dict[str, list[str]] = {}
        self._dependents: dict[str, list[str]] = {}
        self._startup: list[str] = []
        self._timers: list[tuple[float, str]] = []
        self._alarms: list[tuple[float, str]] = []
        self._armed: dict[str, float] = {}  # by key, the moment in `_alarms`; one that has moved on is armed again then
        self._queue: dict[str, None] = {}  # may start, in the order of asking
        self.numbered: dict[str, int] = {}  # runs of instances that have left: no number is given twice
        self._to_look: dict[str, None] = {}
        self._actions: list[Action] = []
        self._changes: list[Change] = []

    # -- what there is ------------------------------------------------------------------------------------------------

    def copies(self, task: str) -> Iterator[Instance]:
        """The instances of a task."""
        return (self.instances[key] for key in self._copies.get(task, ()))

    def ordered(self) -> Iterator[Instance]:
        """Every instance, those of one task together, in the order of the config."""
        return (self.instances[key] for keys in self._copies.values() for key in keys)

    @property
    def busy(self) -> int:
        """How many instances of tasks (not of helpers) have a process."""
        return sum(self.counts[state] for state in ALIVE)

    @property
    def waiting(self) -> int:
        """How many wait for their turn to start."""
        return len(self._queue)

    def dependents(self, task: str) -> Iterator[Instance]:
        """The instances of the tasks that name this one in `after` or `requires`."""
        return (instance for name in self._dependents.get(task, ()) for instance in self.copies(name))

    @property
    def startup(self) -> Iterator[Instance]:
        """The instances of the start-up tasks."""
        return (instance for name in self._startup for instance in self.copies(name))

    def freezes_of(self, task: str) -> tuple[Freeze, ...]:
        """The freezes that forbid a start of this task."""
        if not self.freezes or task.startswith("@"):  # a helper
            return ()
        groups = tuple(group.name for group in self.groups.values() if task in group.tasks)
        return tuple(freeze for freeze in self.freezes if freeze.covers(task, groups))

    def verdict(self, instance: Instance) -> Verdict:
        """Whether it may start now, and every reason why not."""
        return may_start(self, instance)

    def leaving(self, instance: Instance) -> str:
        """Why its run has to end, or ""."""
        return must_leave(self, instance)

    def startup_settled(self) -> bool:
        """Whether the start-up tasks are through: done, given up, not wanted, or held by something lasting."""
        return not any(i.wanted and not i.ready and _trying(self, i) for i in self.startup)

    # -- what happens -------------------------------------------------------------------------------------------------

    def add(self, instance: Instance) -> None:
        """A new instance, or one that another supervisor left behind."""
        instance = replace(instance, runs=max(instance.runs, self.numbered.pop(instance.key, 0)))
        self.instances[instance.key] = instance
        self._copies.setdefault(instance.task.name, []).append(instance.key)
        self._copies[instance.task.name].sort(key=lambda key: self.instances[key].index)
        self.counts[instance.state] += not instance.task.helper
        if instance.deadline is not None:
            heappush(self._timers, (instance.deadline, instance.key))
        self._arm(instance)
        self._changes.append(Change(instance, instance))
        self._to_look[instance.key] = None

    def connect(self, config: Config) -> None:
        """Takes over groups and dependencies. Call it after instances were added or redefined."""
        self.groups, self.tasks = config.groups, config.tasks
        self.storm.policy = config.settings.auto_freeze
        tasks = {instance.task.name: instance.task for instance in self.instances.values()} | config.tasks
        order = {name: place for place, name in enumerate(config.tasks)}
        self._copies = dict(sorted(self._copies.items(), key=lambda item: order.get(item[0], len(order))))
        self._startup = [name for name, task in tasks.items() if task.kind is Kind.STARTUP]
        self._dependents = {}
        for name, task in tasks.items():
            for other in task.dependencies:
                self._dependents.setdefault(other, []).append(name)
        self._to_look.update(dict.fromkeys(self.instances))

    def apply(self, key: str, event: ev.Event, now: float) -> None:
        """Something happened to one instance. One that has left the fleet meanwhile is passed over."""
        self.note(key, event, now)
        self.settle(now)

    def apply_all(self, keys: Iterable[str], event: ev.Event, now: float) -> None:
        """The same happened to several at once; all of them have it before anything follows from it."""
        for key in list(keys):
            self.note(key, event, now)
        self.settle(now)

    def note(self, key: str, event: ev.Event, now: float) -> None:
        """As `apply`, but what follows from it waits for `settle`: for things that happen at once."""
        if key in self.instances:
            self._step(key, event, now)

    def freeze(self, freeze: Freeze, now: float) -> None:
        """Adds a freeze, in place of an older one of the same identity."""
        self.freezes = (*(f for f in self.freezes if f.identity != freeze.identity), freeze)
        self._look_at_all(now)

    def thaw(self, gone: Iterable[Freeze], now: float) -> tuple[Instance, ...]:
        """Takes freezes away. Returns what they had suppressed and nothing else still freezes."""
        gone = set(gone)
        frozen = [i for i in self.instances.values() if i.state is State.HELD and may_start(self, i).frozen]
        self.freezes = tuple(freeze for freeze in self.freezes if freeze not in gone)
        if any(freeze.scope == EVERYTHING for freeze in gone):
            self.storm.clear()
        released = [i.key for i in frozen if not may_start(self, i).frozen]
        for key in released:
            self._step(key, ev.Refresh(), now)
        self._look_at_all(now)
        return tuple(self.instances[key] for key in released)

    def shut_down(self, shutdown: Shutdown, now: float) -> None:
        """Everything must leave, dependents first; helpers last."""
        self.shutdown = self.shutdown or shutdown
        self._look_at_all(now)

    def kill_all(self, cause: str, now: float) -> None:
        """SIGKILL to everything that is left, in no order."""
        if self.shutdown:
            self.shutdown = replace(self.shutdown, deadline=None, drain_until=None)
        for key in [i.key for i in self.instances.values() if i.state in ALIVE and not i.task.helper]:
            self._step(key, ev.Kill(cause), now)
        self.settle(now)

    def postpone(self, key: str, run: Run, by: float) -> None:
        """The stop signal of a run was sent so many seconds after it was decided: SIGKILL comes so much later, too.

        Nobody is told of it, and the journal keeps the moment of the decision: the next supervisor counts from that.
        """
        i = self.instances.get(key)
        if by > 0 and i and i.run and i.run.number == run.number and i.deadline is not None and not i.run.kills:
            self.instances[key] = replace(i, deadline=i.deadline + by)
            heappush(self._timers, (i.deadline + by, key))

    def expire(self, now: float) -> tuple[Freeze, ...]:
        """Time has passed. Returns the freezes that ended by it; the caller thaws them."""
        while self._timers and self._timers[0][0] <= now:
            deadline, key = heappop(self._timers)
            if key in self.instances and self.instances[key].deadline == deadline:
                self._step(key, ev.Due(), now)
        while self._alarms and self._alarms[0][0] <= now:
            self._rung(*heappop(self._alarms), now)
        if self.shutdown and self.shutdown.drain_until is not None and self.shutdown.drain_until <= now:
            self.shutdown = replace(self.shutdown, drain_until=None)
            self._look_at_all(now)
        if self.shutdown and self.shutdown.deadline is not None and self.shutdown.deadline <= now:
            self.kill_all("the time for the whole stop (stop_grace) is over", now)
        self.settle(now)
        return tuple(f for f in self.freezes if f.expires is not None and f.expires <= now)

    def admit(self, now: float, limit: int) -> None:
        """Lets up to `limit` of those that may start do so; a fork takes time that others wait for."""
        while self._queue and limit > 0:
            key = next(iter(self._queue))
            del self._queue[key]
            instance = self.instances.get(key)
            if instance and instance.state is State.HELD and may_start(self, instance):
                self._step(key, ev.Admit(f"{key}/{instance.runs + 1}@{self.epoch}"), now)
                self.settle(now)
                limit -= 1

    # -- what follows -------------------------------------------------------------------------------------------------

    def take(self) -> tuple[list[Action], list[Change]]:
        """What is to be done and what has changed since the last call, in order."""
        taken = self._actions, self._changes
        self._actions, self._changes = [], []
        return taken

    def next_deadline(self) -> float | None:
        """When time alone will change something; 0.0 when something waits for its turn to start."""
        if self._queue:
            return 0.0
        while self._timers:
            deadline, key = self._timers[0]
            if key in self.instances and self.instances[key].deadline == deadline:
                break
            heappop(self._timers)
        ends = [freeze.expires for freeze in self.freezes if freeze.expires is not None]
        if self.shutdown and self.shutdown.deadline is not None:
            ends.append(self.shutdown.deadline)
            if self.shutdown.drain_until is not None:
                ends.append(self.shutdown.drain_until)
        ends += [heap[0][0] for heap in (self._timers, self._alarms) if heap]
        return min(ends, default=None)

    def settle(self, now: float) -> None:
        """Looks at everything that recent changes may concern, until nothing follows any more."""
        while self._to_look:
            key = next(iter(self._to_look))
            del self._to_look[key]
            if key in self.instances:
                self._look(self.instances[key], now)

    def _look_at_all(self, now: float) -> None:
        self._to_look.update(dict.fromkeys(self.instances))
        self.settle(now)

    def _look(self, instance: Instance, now: float) -> None:
        key = instance.key
        if instance.state is State.HELD:
            if may_start(self, instance):
                self._queue[key] = None
            else:
                self._queue.pop(key, None)
        elif instance.state is State.BACKOFF:
            if self.freezes_of(instance.task.name):
                self._step(key, ev.Hold(), now)
        elif instance.state in (State.STARTING, State.RUNNING):
            cause, fault = must_leave(self, instance), must_fail(self, instance)
            if fault and not cause:
                self._step(key, ev.Leave(fault, blamed=True), now)
            elif cause and not in_the_way(self, instance):
                self._step(key, ev.Leave(cause), now)

    def _step(self, key: str, event: ev.Event, now: float) -> None:
        old = self.instances[key]
        new, actions = lifecycle.step(old, event, now)
        self._actions += actions
        if new is old:
            return
        self.instances[key] = new
        if new.deadline is not None and new.deadline != old.deadline:
            heappush(self._timers, (new.deadline, key))
        self._arm(new)
        gone = new.retired and new.state is State.STOPPED
        self._changes.append(Change(old, None if gone else new, new.last if old.run and not new.run else None))
        if not new.task.helper:
            self.counts[old.state] -= 1
            self.counts[new.state] += 1
        escalation.see(self, old, new, now)
        self._mark(old, new)
        if gone:
            self._remove(new)

    def _arm(self, instance: Instance) -> None:
        """One entry per instance: a run that gives a sign of life each second makes no heap grow."""
        alarm, key = instance.alarm, instance.key
        if alarm is not None and alarm < self._armed.get(key, inf):
            self._armed[key] = alarm
            heappush(self._alarms, (alarm, key))

    def _rung(self, moment: float, key: str, now: float) -> None:
        if self._armed.get(key) != moment:
            return
        del self._armed[key]
        instance = self.instances.get(key)
        if instance and instance.alarm is not None:
            if instance.alarm <= now:
                self._step(key, ev.Alarm(), now)
            else:
                self._arm(instance)

    def _mark(self, old: Instance, new: Instance) -> None:
        """Notes whom a change may concern: itself, its neighbours, and sometimes all."""
        self._to_look[new.key] = None
        for name in new.task.dependencies:
            self._to_look.update(dict.fromkeys(self._copies.get(name, ())))
        for name in self._above(new.task.name):
            self._to_look.update(dict.fromkeys(self._copies.get(name, ())))
        startup_settled = new.task.kind is Kind.STARTUP and (old.ready, old.wanted) != (new.ready, new.wanted)
        if startup_settled or (self.shutdown and not self.busy):
            self._to_look.update(dict.fromkeys(self.instances))

    def _above(self, task: str) -> dict[str, None]:
        """The tasks that depend on this one, directly or not: who must leave is decided from the bottom up."""
        found: dict[str, None] = {}
        new = [task]
        while new:
            fresh = [name for name in self._dependents.get(new.pop(), ()) if name not in found]
            found.update(dict.fromkeys(fresh))
            new += fresh
        return found

    def _remove(self, instance: Instance) -> None:
        del self.instances[instance.key]
        self.numbered[instance.key] = instance.runs
        self.counts[instance.state] -= not instance.task.helper
        self._copies[instance.task.name].remove(instance.key)
        self._queue.pop(instance.key, None)


def _trying(fleet: Fleet, instance: Instance) -> bool:
    if instance.state is State.HELD:
        return will_start(fleet, instance)
    return instance.state is not State.FAILED


def new_instances(task: Task, now: float) -> list[Instance]:
    """The instances that a task has by its definition."""
    return [Instance(task, index, since=now) for index in range(1, task.replicas + 1)]


def kept_freezes(freezes: Iterable[Freeze]) -> tuple[Freeze, ...]:
    """Those that outlive the supervisor: the config's come back with the config."""
    return tuple(freeze for freeze in freezes if freeze.source in KEPT)
