"""Decide for all instances together: gates, order, freezes, deadlines, shutdown.

`lifecycle` decides for one instance; the fleet decides what follows for the others. After each change it looks again
at every instance that the change may concern (`_reconsider`), and asks the gates. It keeps no list of pending work that
could be lost. So the same state always leads to the same decisions.

The shell uses it in four steps:

- it feeds events (`apply`, `freeze`, `shut_down` …);
- it lets time pass (`expire`);
- it lets some instances start (`admit`);
- it takes the actions to do, and the changes to remember and report (`drain`).
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from math import inf

from supervisor.core import escalation, lifecycle
from supervisor.core import events as ev
from supervisor.core.actions import Action
from supervisor.core.definition import Config, Kind, PoolShare, Task
from supervisor.core.escalation import Escalation
from supervisor.core.freeze import EVERYTHING, KEPT, Freeze
from supervisor.core.gate import Verdict, in_the_way, may_line_up, may_start, must_end, must_fail, will_start
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Run
from supervisor.core.roster import STUCK, Change, Roster, Shutdown
from supervisor.core.startup import StartupOrder
from supervisor.core.states import ALIVE, State


class Fleet(Roster):
    """Every instance, every freeze, and what follows from them."""

    def __init__(self, epoch: str) -> None:
        """`epoch` keeps run ids unique when the numbering starts again."""
        super().__init__()
        self.epoch = epoch
        self.numbered: dict[str, int] = {}  # the last run numbers of removed instances: no number is used twice
        self._timers: list[tuple[float, str]] = []
        self._alarms: list[tuple[float, str]] = []
        self._armed: dict[str, float] = {}  # by key, the moment in `_alarms`; a later alarm is armed then
        self._queue: dict[str, None] = {}  # may start, in the order of asking
        self._to_reconsider: dict[str, None] = {}
        self._actions: list[Action] = []
        self._changes: list[Change] = []

    # -- what the gates say --------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many instances wait for their turn to start."""
        return len(self._queue)

    def verdict(self, instance: Instance) -> Verdict:
        """Return whether it may start now, and every reason why not."""
        return may_start(self, instance)

    def leaving(self, instance: Instance) -> str:
        """Return why its run must end, or ""."""
        return must_end(self, instance)

    def startup_is_over(self) -> bool:
        """Return whether the start-up tasks are over: done, given up, not wanted, or held by something permanent."""
        return not any(i.wanted and not i.ready and _trying(self, i) for i in self.startup)

    # -- what happens -------------------------------------------------------------------------------------------------

    def add(self, instance: Instance) -> None:
        """Add a new instance, or one that another supervisor left behind."""
        instance = replace(instance, runs=max(instance.runs, self.numbered.pop(instance.key, 0)))
        self.instances[instance.key] = instance
        self._copies.setdefault(instance.task.name, []).append(instance.key)
        self._copies[instance.task.name].sort(key=lambda key: self.instances[key].index)
        self.counts[instance.state] += not instance.task.helper
        if _is_unreachable(instance):
            self.unreachable.add(instance.key)
        if instance.run:
            self._take_slots(instance, instance.run)
        if instance.deadline is not None:
            heappush(self._timers, (instance.deadline, instance.key))
        self._arm(instance)
        self._changes.append(Change(instance, instance))
        self._to_reconsider[instance.key] = None

    def connect(self, config: Config) -> None:
        """Take over groups and dependencies. Call it after instances were added or redefined."""
        self.groups, self.tasks = config.groups, config.tasks
        self.pools.define(config.pools)
        self.storm.policy = config.settings.auto_freeze
        tasks = {instance.task.name: instance.task for instance in self.instances.values()} | config.tasks
        order = {name: place for place, name in enumerate(config.tasks)}
        self._copies = dict(sorted(self._copies.items(), key=lambda item: order.get(item[0], len(order))))
        self._startup = StartupOrder(tasks)
        self._dependents = {}
        for name, task in tasks.items():
            for other in task.dependencies:
                self._dependents.setdefault(other, []).append(name)
        self._to_reconsider.update(dict.fromkeys(self.instances))
        for instance in sorted((i for i in self.instances.values() if i.task.pool), key=lambda i: i.since):
            self._line_up(instance)  # an earlier supervisor may have left some: by the time that they have waited

    def apply(self, key: str, event: ev.Event, now: float) -> None:
        """Apply an event to one instance. The fleet ignores an instance that it no longer has."""
        self.step(key, event, now)
        self.propagate(now)

    def apply_all(self, keys: Iterable[str], event: ev.Event, now: float) -> None:
        """Apply the same event to several instances, before anything follows from it."""
        for key in list(keys):
            self.step(key, event, now)
        self.propagate(now)

    def step(self, key: str, event: ev.Event, now: float) -> None:
        """Apply an event like `apply`, but leave the consequences to `propagate`: for simultaneous events."""
        if key in self.instances:
            self._step(key, event, now)

    def freeze(self, freeze: Freeze, now: float) -> None:
        """Add a freeze; it replaces an older one of the same identity."""
        self.freezes = (*(f for f in self.freezes if f.identity != freeze.identity), freeze)
        self._reconsider_all(now)

    def thaw(self, gone: Iterable[Freeze], now: float) -> tuple[Instance, ...]:
        """Remove freezes. Return the instances that they held and that no other freeze covers."""
        gone = set(gone)
        frozen = [i for i in self.instances.values() if i.state is State.HELD and may_start(self, i).frozen]
        self.freezes = tuple(freeze for freeze in self.freezes if freeze not in gone)
        if any(freeze.scope == EVERYTHING for freeze in gone):
            self.storm.clear()
        released = [i.key for i in frozen if not may_start(self, i).frozen]
        for key in released:
            self._step(key, ev.Refresh(), now)
        self._reconsider_all(now)
        return tuple(self.instances[key] for key in released)

    def hold(self, hold: Freeze) -> None:
        """Add a hold; it replaces an older one of the same scope. `core.firings` decides what follows."""
        self.holds = (*(one for one in self.holds if one.identity != hold.identity), hold)

    def release(self, gone: Iterable[Freeze]) -> None:
        """Remove holds."""
        gone = set(gone)
        self.holds = tuple(hold for hold in self.holds if hold not in gone)

    def shut_down(self, shutdown: Shutdown, now: float, within: float | None = None) -> None:
        """Begin to stop everything, dependents first, helpers last. Foreground tasks may go on for some time.

        Args:
            shutdown: its `wait_until` is set here. The first one counts.
            now: monotonic seconds.
            within: the maximum of seconds for which foreground tasks may go on; None: as `stop_grace` permits.
        """
        if self.shutdown is None:
            until = shutdown.deadline if within is None else now + within
            self.shutdown = replace(shutdown, wait_until=until)
            self._wait_no_longer_than(self._last_stop(shutdown.deadline), now)
        self._restart_helpers(now)
        self._reconsider_all(now)

    def hasten(self, within: float, now: float) -> None:
        """Let the shutdown wait for foreground tasks for these seconds at most."""
        self._wait_no_longer_than(now + within, now)
        self._reconsider_all(now)

    def _wait_no_longer_than(self, moment: float | None, now: float) -> None:
        if self.shutdown and self.shutdown.wait_until is not None:
            until = now if moment is None else min(moment, self.shutdown.wait_until)
            self.shutdown = replace(self.shutdown, wait_until=until if until > now else None)

    def _last_stop(self, deadline: float | None) -> float | None:
        """Return when foreground tasks must be stopped: then they, and what they need, still have their grace.

        None: no such task runs.
        """
        waits = [self._graces(i.task) for i in self.instances.values() if self.outlasts(i)]
        return deadline - max(waits) if waits and deadline is not None else None

    def _graces(self, task: Task) -> float:
        """Return the seconds until a task, and what it needs, is stopped, if each uses all of its grace."""
        needed = (self.tasks[name] for name in task.dependencies if name in self.tasks)
        return task.stop.grace + max(map(self._graces, needed), default=0.0)

    def _restart_helpers(self, now: float) -> None:
        """Let helpers start that wait for the end of their back-off. A shutdown gives them no other chance."""
        helpers = [i for i in self.instances.values() if i.task.helper]
        if not self.busy:
            self.final = {i.key: i.runs for i in helpers}
        for i in helpers:
            if i.state is State.BACKOFF:
                self._step(i.key, ev.Hold(), now)

    def kill_all(self, cause: str, now: float) -> None:
        """Send SIGKILL to everything that is left, in no order."""
        if self.shutdown:
            self.shutdown = replace(self.shutdown, deadline=None, drain_until=None, wait_until=None)
        for key in [i.key for i in self.instances.values() if i.state in ALIVE and not i.task.helper]:
            self._step(key, ev.Kill(cause), now)
        self.propagate(now)

    def postpone(self, key: str, run: Run, by: float) -> None:
        """Delay SIGKILL by the seconds that passed between the decision to stop a run and its stop signal.

        No change is reported. The journal keeps the moment of the decision; the next supervisor counts from that.
        """
        i = self.instances.get(key)
        if by > 0 and i and i.run and i.run.number == run.number and i.deadline is not None and not i.run.kills:
            self.instances[key] = replace(i, deadline=i.deadline + by)
            heappush(self._timers, (i.deadline + by, key))

    def stalled(self, seconds: float, now: float) -> None:
        """Extend the deadlines of runs by the time for which the supervisor was suspended (SIGSTOP, a frozen machine).

        The deadline of a shutdown moves, too. These stay as they are:

        - the end of a freeze, which people know as a time of day;
        - a back-off, which only delays a start;
        - the windows after which failures no longer count.
        """
        if self.shutdown and self.shutdown.deadline is not None:
            drain, wait = self.shutdown.drain_until, self.shutdown.wait_until
            later = self.shutdown.deadline + seconds
            drain = None if drain is None else drain + seconds
            wait = None if wait is None else wait + seconds
            self.shutdown = replace(self.shutdown, deadline=later, drain_until=drain, wait_until=wait)
        self.apply_all([i.key for i in self.instances.values() if i.run], ev.Stalled(seconds), now)

    def expire(self, now: float) -> tuple[Freeze, ...]:
        """Let time pass. Return the freezes and holds that ended; the caller thaws or releases them."""
        while self._timers and self._timers[0][0] <= now:
            deadline, key = heappop(self._timers)
            if key in self.instances and self.instances[key].deadline == deadline:
                self._step(key, ev.Due(), now)
        while self._alarms and self._alarms[0][0] <= now:
            self._rung(*heappop(self._alarms), now)
        if self.shutdown and self.shutdown.drain_until is not None and self.shutdown.drain_until <= now:
            self.shutdown = replace(self.shutdown, drain_until=None)
            self._reconsider_all(now)
        if self.shutdown and self.shutdown.wait_until is not None and self.shutdown.wait_until <= now:
            self.shutdown = replace(self.shutdown, wait_until=None)
            self._reconsider_all(now)
        if self.shutdown and self.shutdown.deadline is not None and self.shutdown.deadline <= now:
            self.kill_all("the time for the whole stop (stop_grace) is over", now)
        self.propagate(now)
        return tuple(one for one in (*self.freezes, *self.holds) if one.expires is not None and one.expires <= now)

    def escalate(self, now: float) -> list[Escalation]:
        """Return what follows from give-ups and storms since the last call. This method carries out a `stop-group`."""
        found = escalation.escalate(self)
        for one in found:
            if one.stops:
                self.apply_all([i.key for i in one.stops], ev.Unwant(f"on_give_up of {one.name}"), now)
        return found

    def admit(self, now: float, limit: int) -> None:
        """Start up to `limit` instances that may start: others wait during a fork."""
        while self._queue and limit > 0:
            key = next(iter(self._queue))
            del self._queue[key]
            instance = self.instances.get(key)
            if instance and instance.state is State.HELD and may_start(self, instance):
                self._step(key, ev.Admit(f"{key}/{instance.runs + 1}@{self.epoch}"), now)
                self.propagate(now)
                limit -= 1

    # -- what follows -------------------------------------------------------------------------------------------------

    @property
    def has_changed(self) -> bool:
        """Whether an instance has changed since the last `drain`."""
        return bool(self._changes)

    def drain(self) -> tuple[list[Action], list[Change]]:
        """Return the actions to do and the changes since the last call, in order."""
        taken = self._actions, self._changes
        self._actions, self._changes = [], []
        return taken

    def next_deadline(self) -> float | None:
        """Return when time alone will change something; 0.0 when an instance waits for its turn to start."""
        if self._queue:
            return 0.0
        while self._timers:
            deadline, key = self._timers[0]
            if key in self.instances and self.instances[key].deadline == deadline:
                break
            heappop(self._timers)
        ends = [one.expires for one in (*self.freezes, *self.holds) if one.expires is not None]
        if self.shutdown and self.shutdown.deadline is not None:
            moments = (self.shutdown.deadline, self.shutdown.drain_until, self.shutdown.wait_until)
            ends += [moment for moment in moments if moment is not None]
        ends += [heap[0][0] for heap in (self._timers, self._alarms) if heap]
        return min(ends, default=None)

    def propagate(self, now: float) -> None:
        """Look at everything that recent changes may concern, until nothing more follows."""
        while self._to_reconsider or self.pools.turns_to_check:
            self._to_reconsider.update(dict.fromkeys(self.pools.pop_turns()))
            if not self._to_reconsider:
                return
            key = next(iter(self._to_reconsider))
            del self._to_reconsider[key]
            if key in self.instances:
                self._reconsider(self.instances[key], now)

    def _reconsider_all(self, now: float) -> None:
        self._to_reconsider.update(dict.fromkeys(self.instances))
        self.propagate(now)

    def _reconsider(self, instance: Instance, now: float) -> None:
        key = instance.key
        self._line_up(instance)
        if instance.state is State.HELD:
            if may_start(self, instance):
                self._enqueue(instance)
            else:
                self._queue.pop(key, None)
        elif instance.state is State.BACKOFF:
            if self.freezes_of(instance.task.name):
                self._step(key, ev.Hold(), now)
        elif instance.state in (State.STARTING, State.RUNNING):
            cause, fault = must_end(self, instance), must_fail(self, instance)
            if fault and not cause:
                self._step(key, ev.Leave(fault, blamed=True), now)
            elif cause and not in_the_way(self, instance):
                self._step(key, ev.Leave(cause), now)

    def _line_up(self, instance: Instance) -> None:
        """Let an instance wait for its slots exactly as long as nothing else forbids its start."""
        share = instance.task.pool
        if share and instance.state is State.HELD and may_line_up(self, instance):
            self.pools.join(instance.key, share, instance.name, lasting=_lasts(instance))
        else:
            self.pools.leave(instance.key)

    def _take_slots(self, instance: Instance, run: Run) -> None:
        """Count the slots of a run. It has those that it began with: a reload does not change them."""
        if run.pool:
            share = PoolShare(run.pool, run.slots)
            self.pools.take(instance.key, share, instance.name, lasting=_lasts(instance))

    def _enqueue(self, instance: Instance) -> None:
        """Put an instance into the queue of starts. Helpers go first: one of them reads the output of tasks."""
        if instance.task.helper and instance.key not in self._queue:
            self._queue = {instance.key: None, **self._queue}
        else:
            self._queue[instance.key] = None

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
        if new.run and not old.run:
            self._take_slots(new, new.run)
        elif old.run and not new.run:
            self.pools.give_back(key)
        gone = new.retired and new.state is State.STOPPED
        ended = new.last if old.run and not new.run else None
        self._changes.append(Change(old, None if gone else new, ended))
        if ended:
            self.last_runs.ended(new.task.name, ended)
        if not new.task.helper:
            self.counts[old.state] -= 1
            self.counts[new.state] += 1
            (self.unreachable.add if _is_unreachable(new) else self.unreachable.discard)(key)
            if self.shutdown and old.state in ALIVE and not self.busy:
                self._restart_helpers(now)
        escalation.observe(self, old, new, now)
        self._mark(old, new)
        if gone:
            self._remove(new)

    def _arm(self, instance: Instance) -> None:
        """Keep one alarm per instance: so a watchdog message each second does not make the heap grow."""
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
        """Note which instances a change may concern: itself, its neighbours, and sometimes all."""
        self._to_reconsider[new.key] = None
        for name in new.task.dependencies:
            self._to_reconsider.update(dict.fromkeys(self._copies.get(name, ())))
        for name in self.above(new.task.name):
            self._to_reconsider.update(dict.fromkeys(self._copies.get(name, ())))
        startup_settled = new.task.blocks and (old.ready, old.wanted) != (new.ready, new.wanted)
        if startup_settled or (self.shutdown and (new.task.outlasts or not self.busy)):
            self._to_reconsider.update(dict.fromkeys(self.instances))

    def _remove(self, instance: Instance) -> None:
        del self.instances[instance.key]
        self.numbered[instance.key] = instance.runs
        self.counts[instance.state] -= not instance.task.helper
        self._copies[instance.task.name].remove(instance.key)
        self._queue.pop(instance.key, None)
        self.pools.leave(instance.key)


def _lasts(instance: Instance) -> bool:
    """Return whether its runs do not end by themselves."""
    return instance.task.kind is Kind.CONTINUOUS


def _is_unreachable(instance: Instance) -> bool:
    """Return whether the supervisor may not signal the leader of its run, and has tried to kill it for some time."""
    run = instance.run
    return run is not None and run.refused and run.kills >= STUCK


def _trying(fleet: Fleet, instance: Instance) -> bool:
    """Return whether a start-up task can still finish; also while something that it needs waits for a restart."""
    if instance.state is not State.HELD:
        return instance.state is not State.FAILED
    return will_start(fleet, instance) or _awaits_a_restart(fleet, instance)


def _awaits_a_restart(fleet: Fleet, instance: Instance) -> bool:
    if fleet.freezes_of(instance.task.name):
        return False
    copies = (other for name in instance.task.dependencies for other in fleet.copies(name) if not other.retired)
    needed = [other for other in copies if not other.ready]
    return bool(needed) and all(other.wanted and _trying(fleet, other) for other in needed)


def new_instances(task: Task, now: float) -> list[Instance]:
    """Return the instances that a task has by its definition."""
    return [Instance(task, index, since=now) for index in range(1, task.replicas + 1)]


def kept_freezes(freezes: Iterable[Freeze]) -> tuple[Freeze, ...]:
    """Return the freezes that outlive the supervisor: not those of the config, which sets them again."""
    return tuple(freeze for freeze in freezes if freeze.source in KEPT)
