"""The part of @timekeeper that computes firings, and writes them to the store before they are due.

Each trigger has `AHEAD` firings in the store that are due in the future. So the store need not be written at the moment
at which a firing is due, and a firing is on time while @timekeeper is being restarted.

Due times may pass while nobody computes them: the supervisor was down, the machine slept, the clock was set forward.
They become firings as well, and the parent decides by `catch_up`. With `catch_up = "all"` each is a firing. Otherwise
one firing stands for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf

from supervisor import triggers
from supervisor.core.definition import CatchUp, Timing
from supervisor.core.firing import Due, Firing, computed_firing
from supervisor.core.immutable import immutable, replace
from supervisor.store.firings import Firings
from supervisor.triggers.interface import NeverDueError, Trigger
from supervisor.triggers.zone import LOCALTIME

AHEAD = 2
"""Firings of a schedule that are computed in advance. With one, a schedule of each second would wait for the disk."""

FAR = 86400.0
"""Seconds. The clock was wrong if a schedule has passed a due time that is further in the future than this."""

OLDEST = 400 * 86400.0
"""Seconds. Due times that passed longer ago than this are forgotten: the machine was in a store room."""

NEVER = 1e11
"""Seconds since 1970, for the horizon of a trigger that is never behind: JSON has no infinity."""

CHUNK = 2000
"""Due times of one trigger that are computed in one go: the parent must not wait for its answers meanwhile."""

COUNTED = 20_000
"""Due times of one trigger that passed, and are counted one by one. After more of them, those that are too old to be
caught up are left out: a clock that is set forward by a year must not silence a schedule of each second for minutes."""

Say = Callable[[str, str], None]


@immutable
class Armed:
    """What the parent has to know after some planning."""

    firings: tuple[Firing, ...]
    horizon: dict[str, float]  # by task: it has every firing that is due up to then (seconds since 1970)
    more: bool  # call again: not everything was computed


class Planned:
    """One trigger of one task, with its firings that are not over."""

    def __init__(self, task: str, name: str, trigger: Trigger, timing: Timing, mark: float) -> None:
        self.task = task
        self.name = name
        self.trigger = trigger
        self.timing = timing
        self.mark = mark  # the next due time is computed from here
        self.waiting: dict[str, Firing] = {}
        self.taken: dict[str, Firing] = {}
        self.missed: Due | None = None  # what the next firing stands for, as far as it is counted
        self.broken = False  # no due time can be computed

    @property
    def plan_at(self) -> float:
        """When the next firing has to be computed, in seconds since 1970."""
        if self.broken or (self.trigger.serial and (self.waiting or self.taken)):
            return inf
        ahead = sorted(firing.due for firing in self.waiting.values())
        return ahead[-AHEAD] if len(ahead) >= AHEAD and not self.trigger.serial else -inf

    @property
    def horizon(self) -> float:
        """Up to when every firing is computed, in seconds since 1970."""
        return NEVER if self.trigger.serial or self.broken else self.mark


class Planner:
    """The triggers of all tasks."""

    def __init__(self, store: Firings, seed: str, say: Say) -> None:
        """Begin without tasks.

        Args:
            store: see there. Every method that writes must be called within a transaction, and raises sqlite3.Error.
            seed: names this host; the jitter of each task follows from it.
            say: logs a line for the operator.
        """
        self._store = store
        self._seed = seed
        self._say = say
        self._planned: dict[tuple[str, str], Planned] = {}
        self._plan_at: dict[tuple[str, str], float] = {}
        self._said_zone = False  # that the machine has no time zone
        self._of: dict[str, Planned] = {}  # by the id of a firing

    # -- what the parent says -----------------------------------------------------------------------------------------

    def define(self, tasks: dict[str, Timing], now: float) -> dict[str, int]:
        """Take over the tasks of the config. A trigger that is new or has changed begins now, and fires nothing.

        Returns:
            How many firings that were due and waited are dropped, by task.
        """
        self._planned, self._of = {}, {}
        new: set[tuple[str, str]] = set()
        unusable: set[tuple[str, str]] = set()
        assumed = False
        for task, timing in tasks.items():
            for name, make in triggers.of(timing):
                try:
                    trigger = make()
                except (OSError, ValueError) as error:
                    self._say("error", f"{task}: {name} cannot be used and does not fire: {error}")
                    unusable.add((task, name))
                    continue
                known = self._store.mark(task, name)
                mark = known[1] if known and known[0] == trigger.definition else None
                assumed |= trigger.zone_assumed
                self._planned[task, name] = Planned(task, name, trigger, timing, now if mark is None else mark)
                if mark is None:
                    new.add((task, name))
                    self._store.set_mark(task, name, trigger.definition, now)
        if assumed and not self._said_zone:
            self._said_zone = True
            self._say("warning", f"there is no {LOCALTIME}: schedules without a timezone are in UTC")
        dropped = self._drop_others(new, {*self._planned, *unusable}, tasks, now)
        for firing, run, _ in self._store.firings():
            if planned := self._planned.get((firing.task, firing.trigger)):
                (planned.taken if run else planned.waiting)[firing.id] = firing
                self._of[firing.id] = planned
        self._plan_at = {key: one.plan_at for key, one in self._planned.items()}
        self.clock_set(now)  # it may have been set while there was no supervisor
        return dropped

    def _drop_others(
        self, new: set[tuple[str, str]], known: set[tuple[str, str]], tasks: Collection[str], now: float
    ) -> dict[str, int]:
        """Remove the firings that wait and whose trigger is gone or has changed. Count those that were due, by task.

        A firing that was not computed here, or had a run, belongs to its task alone. It ends when the task is gone.
        """
        dropped: dict[str, int] = {}
        for firing, run, _ in self._store.firings():
            key = firing.task, firing.trigger
            if run:
                continue
            if not firing.computed or firing.begun:
                if firing.task not in tasks:
                    why = "its task is no longer a triggered task of the config"
                    self._store.end(firing.id, now, why, ran=firing.begun)
                    self._say("warning", f"{firing.task}: the firing {firing.id} is skipped, as the task has gone")
            elif key in new or key not in known:
                self._store.remove(firing.id)
                dropped[firing.task] = dropped.get(firing.task, 0) + (firing.due <= now)
        for key in self._store.triggers():
            if key not in known:
                self._store.remove_mark(*key)
        self._store.forget(tasks, now - OLDEST)
        return {task: count for task, count in dropped.items() if count}

    def taken(self, identity: str) -> None:
        """Note that a firing has become a run."""
        planned = self._of.get(identity)
        if planned and (firing := planned.waiting.pop(identity, None)):
            planned.taken[identity] = firing

    def keep_on_time(self, identity: str) -> None:
        """Note that a firing was due on time, and waits."""
        planned = self._of.get(identity)
        if planned and (firing := planned.waiting.get(identity)):
            planned.waiting[identity] = replace(firing, on_time=True)

    def free(self, identity: str) -> None:
        """Note that the run of a firing never began, so that it waits again."""
        planned = self._of.get(identity)
        if planned and (firing := planned.taken.pop(identity, None)):
            planned.waiting[identity] = firing

    def again(self, firing: Firing) -> None:
        """Note that a firing waits for its next run."""
        if planned := self._of.get(firing.id):
            planned.taken.pop(firing.id, None)
            planned.waiting[firing.id] = firing

    def over(self, identity: str, at: float) -> None:
        """Note that a firing is over. A serial trigger counts from then."""
        planned = self._of.pop(identity, None)
        if planned is None:
            return
        planned.waiting.pop(identity, None)
        planned.taken.pop(identity, None)
        if planned.trigger.serial:
            self._mark(planned, at)
        self._plan_at[planned.task, planned.name] = planned.plan_at

    # -- planning -----------------------------------------------------------------------------------------------------

    def plan(self, now: float) -> Armed:
        """Compute the firings that are missing, and write them."""
        firings: list[Firing] = []
        horizon: dict[str, float] = {}
        more = False
        for key in [key for key, moment in self._plan_at.items() if moment <= now]:
            one = self._planned[key]
            for due in self._serial(one) if one.trigger.serial else self._ahead(one, now):
                firing = computed_firing(one.task, one.name, due, one.timing.jitter, self._seed)
                if self._store.add(firing):
                    one.waiting[firing.id] = firing
                    self._of[firing.id] = one
                    firings.append(firing)
            self._plan_at[key] = one.plan_at
            more |= one.horizon <= now
            horizon[one.task] = one.horizon
        return Armed(tuple(firings), horizon, more)

    def words(self) -> dict[str, dict[str, str]]:
        """Return by task when it is due, for people, and its time zone."""
        return {one.task: {"words": one.trigger.words, "zone": one.trigger.zone} for one in self._planned.values()}

    def horizons(self) -> dict[str, float]:
        """Return by task up to when every firing is computed."""
        return {one.task: one.horizon for one in self._planned.values()}

    def plan_at(self) -> float:
        """Return when to plan again, in seconds since 1970."""
        return min(self._plan_at.values(), default=inf)

    def clock_set(self, now: float) -> list[str]:
        """Begin anew what has gone too far ahead of a clock that was set back. Return the tasks concerned."""
        return [one.task for one in self._planned.values() if self._unwind(one, now)]

    def _unwind(self, planned: Planned, now: float) -> bool:
        """Drop the firings that a wrong clock has made. Return whether there were any.

        A schedule has passed each due time before its next firing. If one of them is more than `FAR` in the future, the
        clock was wrong. A serial trigger counts from the end of a run: its next firing is not later than if that end
        were now, but for a second.
        """
        ahead = {one.id: one.due for one in planned.waiting.values() if one.due > now and not one.begun}
        if planned.broken or not ahead:
            return False
        expected = self._after(planned, now if planned.trigger.serial else now + FAR)
        if expected is None or expected.at >= min(ahead.values()) - planned.trigger.serial:
            return False
        if not planned.trigger.serial:
            what = f"{len(ahead)} firings were computed by a clock that was far ahead, and are dropped"
            self._say("warning", f"{planned.task}: {what}")
        for identity in ahead:
            self._store.remove(identity)
            del self._of[identity], planned.waiting[identity]
        self._store.rename_over(planned.task, planned.name, now)
        self._mark(planned, now)
        self._plan_at[planned.task, planned.name] = planned.plan_at
        return True

    def _serial(self, planned: Planned) -> list[Due]:
        due = self._after(planned, planned.mark)
        return [due] if due else []

    def _ahead(self, planned: Planned, now: float) -> list[Due]:
        """Compute due times until enough of them are in the future."""
        ahead = sum(1 for firing in planned.waiting.values() if firing.due > now)
        mark, found = self._mark_to_count_from(planned, now), list[Due]()
        for _ in range(CHUNK):
            due = self._after(planned, mark) if ahead < AHEAD else None
            if due is None:
                break
            mark = due.at
            if due.at <= now:
                self._miss(planned, due, found, now)
                continue
            found += [planned.missed] if planned.missed else []
            planned.missed = None
            found.append(due)
            ahead += 1
        if planned.missed:
            planned.mark = mark  # the store gets it with the firing that stands for all of these
        else:
            self._mark(planned, mark)
        return found

    def _mark_to_count_from(self, planned: Planned, now: float) -> float:
        """Return the mark, or a later one if there are too many due times between it and now."""
        old = now - planned.timing.catch_up_within
        if planned.missed and planned.missed.times >= COUNTED and planned.mark < old:
            self._say("warning", f"{planned.task}: more than {COUNTED} due times were missed; not all are counted")
            return old
        return max(planned.mark, now - OLDEST)

    def _miss(self, planned: Planned, due: Due, found: list[Due], now: float) -> None:
        """Note a due time that has passed. One that is too old to be caught up takes no place of one that is not."""
        timing = planned.timing
        each = timing.catch_up is CatchUp.ALL and now - due.at <= timing.catch_up_within
        if each and len(planned.waiting) + len(found) < timing.max_waiting:
            found += [planned.missed] if planned.missed else []
            planned.missed = None
            found.append(due)
        else:
            times = planned.missed.times if planned.missed else 0
            planned.missed = Due(due.at, times + due.times)

    def _after(self, planned: Planned, moment: float) -> Due | None:
        try:
            due = planned.trigger.after(moment)
            if due.at <= moment:
                raise NeverDueError(f"the time after {moment:.0f} would be {due.at:.0f}")
        except (NeverDueError, ValueError, OverflowError) as error:
            planned.broken = True
            self._say("error", f"{planned.task}: {planned.name} does not fire any more: {error}")
            return None
        return due

    def _mark(self, planned: Planned, mark: float) -> None:
        planned.mark = mark
        self._store.set_mark(planned.task, planned.name, planned.trigger.definition, mark)


def timing_of(plain: dict[str, object]) -> Timing:
    """Return the keys of a task from a message of the parent."""
    timing = Timing(**plain)  # type: ignore[arg-type]
    return replace(timing, schedule=tuple(timing.schedule), catch_up=CatchUp(timing.catch_up))
