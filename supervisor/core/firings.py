"""Decide for the firings of all tasks: wait, run, or skip with a reason.

The firing store adds firings before they are due. `decide` is called after each change, and when the next one is due.
The same firings, instances and gates always lead to the same decisions: nothing is decided in a callback.

A firing that is due goes one of two ways:

- It is on time, or late because the machine is busy. If all runs of the task are busy, `overlap` decides.
- It was missed: the task was frozen, held or paused then, the next firing of the task is due as well, or it is more
  than `LATE` seconds late. In the last two cases the supervisor or the store was down, the machine slept, or the clock
  was set. `catch_up` decides, once the task may start.

A firing that a person has asked for is never missed, and does not take the place of a missed firing. It waits for a
thaw, and `overlap` decides about it.

A firing that had a run already (`retry`) goes neither way. It waits for its next run, and until then it counts as one
that is on. Only `overlap = "replace"` ends it.

Before `catch_up` can decide, all missed firings of the task must be known. The store says how far it has computed its
schedule (`horizon`): a missed firing waits until that is in the future.

A firing that shall run is first *taken*: the store writes down which run it becomes. Only its answer starts the run
(`pop_taken`). Until then the instance is reserved.

A firing that is on time and waits stays on time, over a restart of the supervisor too: the store keeps that (`Keep`).

The first firing of a task that waits for nothing but a pool stands in the line of that pool (`core.pools`). One that is
taken keeps its place until its run has begun: `pop_taken` leaves it to the caller to pass it on to the instance.

The work of a decision does not depend on how many firings wait: only those are looked at that may run or end now.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from functools import partial
from heapq import heappop, heappush, nsmallest
from itertools import islice

from supervisor.core.definition import CatchUp, Overlap, PoolShare, Task
from supervisor.core.firing import Firing
from supervisor.core.firing_queue import Queue, Waiting
from supervisor.core.gate import may_line_up
from supervisor.core.immutable import immutable, replace
from supervisor.core.instance import Instance
from supervisor.core.roster import Roster
from supervisor.core.states import State

LATE = 60.0
"""Seconds after which a firing counts as missed, not as late. A busy machine delays a start by less."""


@immutable
class Take:
    """Let this firing become the next run of an instance: ask the store to write that down."""

    firing: Firing
    key: str


@immutable
class Skip:
    """Let this firing end without a run."""

    firing: Firing
    reason: str
    missed: bool = False  # by `catch_up`
    merged: bool = False  # a later firing runs for it
    begun: bool = False  # it had a run, and gets no further one


@immutable
class Stop:
    """Stop the run of an instance: a newer firing replaces it."""

    key: str
    by: str


@immutable
class Miss:
    """Report that a firing was missed and waits for `catch_up`. Those that join it are not reported."""

    firing: Firing
    why: str


@immutable
class Keep:
    """Keep that this firing was on time: it waits."""

    firing: Firing


Decision = Take | Skip | Stop | Miss | Keep


class Firings:
    """The firings of one supervisor, as far as they are neither over nor a run."""

    def __init__(self, catch_up_parallel: int) -> None:
        """Begin with none.

        Args:
            catch_up_parallel: the maximum of runs at the same time that catch up.
        """
        self.catch_up_parallel = catch_up_parallel
        self._order: list[tuple[float, str]] = []  # a heap of those that are not due: start and id
        self._task_of: dict[str, str] = {}  # of every firing, by its id
        self._coming: dict[str, dict[str, Firing]] = {}  # not due, by task and id
        self._due: dict[str, Queue] = {}  # by task; none is empty
        # By task and id, those that had a run and are not due for the next one. None: the store does not know that yet.
        self._between: dict[str, dict[str, Firing | None]] = {}
        self._last = 0  # the number of the firing that became due last
        self._catching_up: set[str] = set()  # instances whose run catches up
        self._horizon: dict[str, float] = {}  # by task: the store has sent every firing that is due up to then
        self._lined: set[str] = set()  # firings that have a place in the line of a pool
        self._changed = False  # something that `decide` must look at
        self._turn_changes = 0  # those of the pools that `decide` knows

    # -- the answers of the store -------------------------------------------------------------------------------------

    def add(self, firing: Firing) -> None:
        """Add a firing that the store has. One that is known already stays as it is."""
        self._changed = True
        if firing.id not in self._task_of:
            self._task_of[firing.id] = firing.task
            self._coming.setdefault(firing.task, {})[firing.id] = firing
            heappush(self._order, (firing.start, firing.id))
            if firing.begun:
                self._between.setdefault(firing.task, {})[firing.id] = firing

    def extend(self, horizon: dict[str, float]) -> None:
        """Take over up to when the store has sent every firing, by task, in seconds since 1970."""
        self._horizon |= horizon
        self._changed = True

    def remove_unknown(self, known: Collection[str]) -> None:
        """Remove the firings that the store does not have any more."""
        self._changed = True
        for identity in [one for one in self._task_of if one not in known]:
            self._remove(identity)

    def pop_taken(self, identity: str) -> Waiting | None:
        """Remove a firing that the store has written down as taken, and return it. None if it is not awaited."""
        waiting = self._taken(identity)
        if waiting is not None:
            self._remove(identity)
            self._changed = True  # it leaves the line of its pool, if it does not pass its place on
        return waiting

    def run_ended(self, identity: str, task: str) -> None:
        """Note that a firing gets another run. It counts as one that is on, also until the store has it so (`add`)."""
        self._between.setdefault(task, {})[identity] = None

    def forget(self, identity: str) -> None:
        """Note that the store has written down the end of a run. If the firing goes on, `add` came before."""
        for task in [task for task, firings in self._between.items() if firings.get(identity, ...) is None]:
            self._leave_between(task, identity)
            self._changed = True

    def hasten(self, task: str, latest: float) -> None:
        """Let no firing of a task wait for its next run beyond a moment: the clock was set back."""
        for firing in self.trying_again(task):
            if firing.start > latest:
                sooner = replace(firing, start=latest)
                self._coming[task][firing.id] = self._between[task][firing.id] = sooner
                heappush(self._order, (latest, firing.id))

    def release(self, identity: str) -> None:
        """Let a firing wait again: the instance that it was taken for has gone, or the store has refused it."""
        self._changed = True
        waiting = self._taken(identity)
        if waiting is not None:
            queue = self._due[waiting.firing.task]
            queue.remove(identity)
            queue.add(replace(waiting, key=""))

    def take_back(self, identity: str) -> Firing | None:
        """Remove a firing that waits, or is not due yet, and return it; None if there is none."""
        found = self.find(identity)
        if found:
            self._remove(identity)
        return found.firing if found else None

    # -- questions ----------------------------------------------------------------------------------------------------

    def reserved(self, identity: str) -> str:
        """Return the instance for which a firing is taken, while the store has not answered; "" for none."""
        waiting = self._taken(identity)
        return waiting.key if waiting else ""

    def next_start(self) -> float | None:
        """Return when the next firing is due, in seconds since 1970."""
        while self._order:
            start, identity = self._order[0]
            firing = self._coming.get(self._task_of.get(identity, ""), {}).get(identity)
            if firing and firing.start == start:
                return start
            heappop(self._order)
        return None

    def coming(self, task: str, most: int) -> list[Firing]:
        """Return the first firings of a task that are not due yet, and had no run yet, at most so many."""
        return nsmallest(most, (one for one in self._coming.get(task, {}).values() if not one.begun), key=_start)

    def tasks(self) -> set[str]:
        """Return the tasks that have firings here."""
        return {*self._coming, *self._due}

    def by_hand(self, task: str) -> list[Waiting]:
        """Return the firings of a task that persons have asked for: those that are not due yet, and those that wait."""
        coming = [Waiting(one, missed=False, times=one.times) for one in self._coming.get(task, {}).values()]
        return [one for one in (*coming, *self.waiting(task)) if not one.firing.computed]

    def begun(self, task: str) -> list[Firing]:
        """Return the firings of a task that wait for their next run, due or not."""
        due = self._due[task].begun.values() if task in self._due else ()
        return [*self.trying_again(task), *(one.firing for one in due)]

    def find(self, identity: str) -> Waiting | None:
        """Return a firing that waits, or is not due yet; None if there is none."""
        task = self._task_of.get(identity, "")
        coming = self._coming.get(task, {}).get(identity)
        if coming:
            return Waiting(coming, missed=False, times=coming.times)
        return self._due[task].find(identity) if task in self._due else None

    def trying_again(self, task: str) -> tuple[Firing, ...]:
        """Return the firings of a task that had a run, and are not yet due for the next one."""
        return tuple(filter(None, self._between.get(task, {}).values()))

    def waiting(self, task: str, most: int | None = None) -> tuple[Waiting, ...]:
        """Return the firings of a task that are due, and wait, in the order in which they became due."""
        return tuple(islice(self._due[task].shown(), most)) if task in self._due else ()

    def count_waiting(self, task: str) -> int:
        """Return how many firings of a task are due, and wait."""
        return len(self._due[task]) if task in self._due else 0

    # -- decisions ----------------------------------------------------------------------------------------------------

    def decide(self, roster: Roster, wall: float, *, changed: bool) -> list[Decision]:
        """Return the decisions that are due now.

        Args:
            roster: the instances and the gates.
            wall: seconds since 1970.
            changed: whether an instance or a gate has changed since the last call.
        """
        if roster.shutdown:  # the store keeps them for the next supervisor
            return []
        decisions: list[Decision] = []
        on_time: list[Firing] = []
        for name, firings in self._pop_due(wall).items():
            task = roster.tasks.get(name)
            newest = next((one for one in reversed(firings) if one.computed), None)
            for firing in firings:
                if task is None:
                    self._remove(firing.id)
                elif firing.on_time or firing.begun:
                    self._wait(Waiting(firing, missed=False, times=firing.times))
                else:
                    late = _late(firing, wall, last=firing is newest)
                    why = (_held(roster, task) or _hold(roster, firing) or late) if firing.computed else ""
                    decisions += self._decide_due(roster, task, Waiting(firing, bool(why), firing.times, why=why))
                    on_time.append(firing)
        if not (changed or self.must_decide(roster)):
            return decisions
        self._changed, self._turn_changes = False, roster.pools.turn_changes
        decisions += self._proceed_all(roster, wall)
        return decisions + [Keep(one) for one in on_time if self._waits_on_time(one)]

    def _proceed_all(self, roster: Roster, wall: float) -> Iterator[Decision]:
        """Take the firings that may run now."""
        reserved = {one.key for queue in self._due.values() for one in queue.taken.values()}
        self._catching_up = {key for key in self._catching_up if key in reserved or busy(roster.instances.get(key))}
        before, self._lined = self._lined, set()
        for name, queue in sorted(self._due.items(), key=partial(_longest_wait, roster)):
            if task := roster.tasks.get(name):
                yield from self._proceed(roster, task, queue, wall)
            else:
                for one in list(queue.shown()):
                    self._remove(one.firing.id)
        for identity in before - self._lined:
            roster.pools.leave(identity)

    def must_decide(self, roster: Roster) -> bool:
        """Return whether `decide` has something to look at, apart from instances and gates."""
        return self._changed or (bool(self._lined) and roster.pools.turn_changes != self._turn_changes)

    def _pop_due(self, wall: float) -> dict[str, list[Firing]]:
        """Remove the firings that are due now from those that are coming, and return them by task, in order."""
        found: dict[str, list[Firing]] = {}
        while (start := self.next_start()) is not None and start <= wall:
            identity = heappop(self._order)[1]
            name = self._task_of[identity]
            found.setdefault(name, []).append(self._coming[name].pop(identity))
            self._leave_between(name, identity)
            self._changed = True
        return found

    def _decide_due(self, roster: Roster, task: Task, new: Waiting) -> Iterator[Decision]:
        """Let one firing wait, or skip it."""
        timing, queue = task.timing, self._due.get(task.name, Queue())
        if new.missed:
            yield from self._miss(task, new)
            return
        between = len(self._between.get(task.name, ()))
        idle = sum(1 for one in _instances(roster, task) if not busy(one))
        free = idle - (len(queue) - len(queue.missed)) - between
        between += len(queue.begun)
        if free <= 0 and timing.overlap is Overlap.SKIP:
            if why := self._in_the_way(roster, task, queue, new):
                yield from self._skip(new, why)
                return
            if new.firing.computed:  # an earlier firing waits: for the store, or for a task that this one needs
                yield from self._miss(task, replace(new, missed=True, why="an earlier firing waits"))
                return
        if timing.catch_up is CatchUp.ONE and new.firing.computed:  # this run is also for those missed just before
            times = yield from self._absorbed(task, new.times)
            new = replace(new, missed=times > new.times, times=times)
        if free <= 0 and timing.overlap in (Overlap.LATEST, Overlap.REPLACE):
            for old in [*queue.on_time.values(), *queue.by_hand.values()]:
                yield from self._skip(old, "a newer firing took its place")
            self._wait(new)
            if timing.overlap is Overlap.REPLACE and not between and not _held(roster, task):
                yield from _replaced(roster, task)
        elif free <= 0 and len(queue) >= timing.max_waiting:
            yield from self._skip(new, f"{len(queue)} firings were waiting (max_waiting)")
        else:
            self._wait(new)

    def _in_the_way(self, roster: Roster, task: Task, queue: Queue, new: Waiting) -> str:
        """Return why a firing that must not wait for a free run is skipped; "" if it is not."""
        instances = _instances(roster, task)
        if on := next((one.run.id for one in instances if one.run), ""):
            return f"run {on} was still on"
        if identity := next(iter((*self._between.get(task.name, ()), *queue.begun)), ""):
            return f"firing {identity}, which waits for its next attempt, was still on"
        if new.firing.computed:
            return ""
        closed = _held(roster, task) or not may_line_up(roster, instances[0])
        begin = [one.order.firing for one in instances if one.order]
        begin += [*queue.taken, *(() if closed else queue.by_hand)]
        return f"the run of the firing {begin[0]} was about to begin" if begin else ""

    def _miss(self, task: Task, new: Waiting) -> Iterator[Decision]:
        timing, queue = task.timing, self._due.get(task.name, Queue())
        if timing.catch_up is CatchUp.NONE:
            yield from self._skip(new, "missed; catch_up is none", missed=True)
        elif timing.catch_up is CatchUp.ALL and len(queue) >= timing.max_waiting:
            reason = f"missed, and {len(queue)} firings were waiting (max_waiting)"
            yield from self._skip(new, reason, missed=True)
        else:
            times = new.times
            if not queue.missed:
                yield Miss(new.firing, new.why)
            if timing.catch_up is CatchUp.ONE:
                times = yield from self._absorbed(task, times)
            self._wait(replace(new, times=times))

    def _replace(self, task: Task, queue: Queue, free: int) -> Iterator[Decision]:
        """End the oldest firing that is between two runs, if a newer one shall run in its place."""
        between = (*(one.firing for one in queue.begun.values()), *self.trying_again(task.name))
        if queue.on_time and between and free <= len(between):
            oldest = min(between, key=_start)
            self._remove(oldest.id)
            yield Skip(oldest, f"a newer firing took its place before attempt {oldest.attempt}", begun=True)

    def _absorbed(self, task: Task, times: int) -> Generator[Decision, None, int]:
        """Skip the missed firings that wait. Return the due times that a later firing is for, which had `times`."""
        queue = self._due.get(task.name, Queue())
        for old in list(queue.missed.values()):
            times += old.times
            yield from self._skip(old, "missed; a later firing runs for it", missed=True, merged=True)
        return times

    def _proceed(self, roster: Roster, task: Task, queue: Queue, wall: float) -> Iterator[Decision]:
        """Take the firings of a task for which an instance is free and every gate is open."""
        held = _held(roster, task)
        known = self._horizon.get(task.name, wall) >= wall  # all of the missed firings
        hold = next((one.says for one in roster.holds_of(task.name)), "")
        if known and not (held or hold):
            yield from self._skip_oldest(task, queue, wall)
        reserved = {one.key for one in queue.taken.values()}
        free = [one for one in _instances(roster, task) if not busy(one) and one.key not in reserved]
        if task.timing.overlap is Overlap.REPLACE:
            yield from self._replace(task, queue, len(free))
        between = len(self._between.get(task.name, ()))
        verdict = may_line_up(roster, free[0]) if free and not held else None
        closed = held or ("; ".join(verdict.reasons) if verdict is not None else "")
        self._lined.update(queue.taken)  # they keep their places, and so their slots
        while free and not closed:
            catches_up = len(self._catching_up) < self.catch_up_parallel
            one = queue.next(new=len(free) > between, missed=known and catches_up, held=bool(hold))
            if one is None:
                break
            if task.pool and (closed := self._line_up(roster, task, task.pool, one)):
                break
            key = free.pop(0).key
            queue.take(one.firing.id, key)
            self._catching_up |= {key} if one.missed else set()
            yield Take(one.firing, key)
        queue.why_by_hand = closed or ("" if len(free) > between else "a free run")
        queue.why = queue.why_missed = closed or hold or queue.why_by_hand
        if not queue.why:
            others = f"others catch up: {len(self._catching_up)} at a time (catch_up_parallel)"
            queue.why_missed = others if known else ""

    def _line_up(self, roster: Roster, task: Task, share: PoolShare, one: Waiting) -> str:
        """Let a firing stand in the line of a pool. Return what it waits for, or "" if its turn has come."""
        self._lined.add(one.firing.id)
        roster.pools.join(one.firing.id, share, task.name, lasting=False, due=one.firing.due)
        lacking = roster.pools.refusal(one.firing.id, share)
        return f"waits for {lacking}" if lacking else ""

    def _skip_oldest(self, task: Task, queue: Queue, wall: float) -> Iterator[Decision]:
        """Skip the missed firings that are too old."""
        while (oldest := next(iter(queue.missed.values()), None)) is not None:
            if wall - oldest.firing.due <= task.timing.catch_up_within:
                return
            yield from self._skip(oldest, "missed by more than catch_up_within", missed=True)

    def _wait(self, waiting: Waiting) -> None:
        self._last += 1
        self._due.setdefault(waiting.firing.task, Queue()).add(replace(waiting, number=self._last))

    def _skip(self, waiting: Waiting, reason: str, *, missed: bool = False, merged: bool = False) -> Iterator[Decision]:
        self._remove(waiting.firing.id)
        yield Skip(waiting.firing, reason, missed, merged)

    def _waits_on_time(self, firing: Firing) -> bool:
        queue = self._due.get(firing.task)
        return queue is not None and (firing.id in queue.on_time or firing.id in queue.by_hand)

    def _taken(self, identity: str) -> Waiting | None:
        """Return a firing about which the store is asked; None for any other."""
        queue = self._due.get(self._task_of.get(identity, ""))
        return queue.taken.get(identity) if queue else None

    def _leave_between(self, task: str, identity: str) -> None:
        firings = self._between.get(task, {})
        firings.pop(identity, None)
        if not firings:
            self._between.pop(task, None)

    def _remove(self, identity: str) -> None:
        task = self._task_of.pop(identity, "")
        self._leave_between(task, identity)
        if coming := self._coming.get(task):
            coming.pop(identity, None)
            if not coming:
                del self._coming[task]
        if queue := self._due.get(task):
            queue.remove(identity)
            if not queue:
                del self._due[task]


def _start(firing: Firing) -> float:
    return firing.start


def _longest_wait(roster: Roster, item: tuple[str, Queue]) -> float:
    """Return since when the first firing of a task waits: they line up for a pool in this order."""
    first = item[1].next(new=True, missed=True, held=bool(roster.holds_of(item[0])))
    return first.firing.start if first else 0.0


def _instances(roster: Roster, task: Task) -> list[Instance]:
    return [one for one in roster.copies(task.name) if not one.retired]


def busy(instance: Instance | None) -> bool:
    """Return whether an instance has a run, or will have one without a new firing."""
    return instance is not None and instance.state not in (State.STOPPED, State.FAILED)


def _held(roster: Roster, task: Task) -> str:
    """Return why a firing of the task that is due now counts as missed, or ""."""
    if freezes := roster.freezes_of(task.name):
        return freezes[0].says
    paused = [one for one in _instances(roster, task) if one.run and one.run.paused]
    return f"{paused[0].name} is paused" if paused else ""


def _hold(roster: Roster, firing: Firing) -> str:
    """Return the hold that keeps a firing from starting, or "". A person's firing is not held."""
    holds = roster.holds_of(firing.task) if firing.computed else ()
    return holds[0].says if holds else ""


def _late(firing: Firing, wall: float, *, last: bool) -> str:
    """Return why a firing that could start now counts as missed, or "". `last`: no later one of its task is due."""
    if wall - firing.start > LATE:
        return f"{wall - firing.start:.0f} s late"
    return "" if last else "the next firing is due as well"


def _replaced(roster: Roster, task: Task) -> Iterator[Stop]:
    """Stop the oldest run, or one that waits for its restart, unless a run is about to end."""
    on = [one for one in _instances(roster, task) if busy(one)]
    if on and all(one.wanted for one in on):
        oldest = min(on, key=lambda one: one.run.began if one.run else one.since)
        yield Stop(oldest.key, "a newer firing (overlap)")
