"""Firings that the supervisor makes itself: `autostart` at its start, and `on` at the end of a run.

The journal has each of them, in the same write as its cause, until @timekeeper has committed it. The id follows from
the cause. So a firing is made once, whatever dies meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from supervisor.core.definition import Kind
from supervisor.core.firing import Firing, firing_of
from supervisor.core.immutable import plain
from supervisor.core.lifecycle import ORPHANED
from supervisor.core.reactions import Reactions, firings
from supervisor.core.states import State
from supervisor.host import clock
from supervisor.store.journal import mistyped

if TYPE_CHECKING:
    from supervisor.core.instance import Outcome, Run
    from supervisor.core.roster import Change
    from supervisor.shell.context import Context

FIRE = "fleet fire "
"""The names of the facts of firings that @timekeeper has not committed. The id of the firing follows."""

STARTED = "fleet started"
"""The name of the fact that this is no first start. It has the firings of `autostart` that are not committed."""

TRIGGER = "start"
"""The trigger of a firing of `autostart`."""

MOST = 500
"""Firings of `on` in the journal while @timekeeper commits none. Further ends of runs fire nothing."""

Put = Callable[[Firing, Callable[[dict[str, Any] | None], None]], None]


class OwnFirings:
    """The firings that one supervisor makes, until they go the way of all firings."""

    def __init__(self, context: Context, put: Put) -> None:
        """`put` has @timekeeper write a firing, and then calls back."""
        self._context = context
        self._put = put
        self._reactions = Reactions(())
        self._new: list[Firing] = []  # to be put once the journal has them
        self._waiting: set[str] = set()  # ids of firings of `on` that are not committed
        self._at_start: dict[str, Firing] = {}  # the same of `autostart`

    def restore(self, facts: dict[str, dict[str, Any]]) -> None:
        """Take over what an earlier supervisor could not hand over; or make the firings of a first start."""
        self.define()
        started = facts.get(STARTED)
        self._new += _firings_of([fact.get("fire") for name, fact in facts.items() if name.startswith(FIRE)])
        self._waiting |= {firing.id for firing in self._new}
        if started is not None:
            self._at_start = {firing.id: firing for firing in _firings_of(started.get("fires"))}
        elif not any("instance" in fact for fact in facts.values()):
            self._start()
        self._new += self._at_start.values()
        self._record_start()

    def _start(self) -> None:
        wall = self._context.host.wall()
        for task in self._context.config.tasks.values():
            if task.autostart and task.kind is Kind.TRIGGERED:
                identity = f"{task.name}/{TRIGGER}/{wall:.0f}.{self._context.life}"
                self._at_start[identity] = Firing(identity, task.name, TRIGGER, wall, 0.0)

    def _record_start(self) -> None:
        fires = [plain(firing) for firing in self._at_start.values()]
        self._context.journaling.facts.append({"fleet": "started", "fires": fires})

    def define(self) -> None:
        """Read the keys `on` of the config in force."""
        self._reactions = Reactions(self._context.config.tasks.values())

    def record(self, changes: Iterable[Change], over: Iterable[dict[str, Any]]) -> None:
        """Write the firings that follow from ends of runs to the journal.

        Args:
            changes: of instances.
            over: the firings that ended by them. A run whose firing gets another one fires nothing yet.
        """
        ended = {one["id"] for one in over if not one.get("again")}
        for change in changes:
            run, outcome = change.old.run, change.ended
            if run and outcome and _is_last(change, run, outcome, ended):
                success = None if outcome.asked else outcome.success
                self.react(change.old.task.name, run.id, self._described(change, run, outcome), success=success)

    def react(self, task: str, run: str, record: dict[str, Any], *, success: bool | None) -> None:
        """Make the firings that follow from the end of a run: facts of the journal, to be put by `hand_over`."""
        context = self._context
        for firing in firings(self._reactions.to(task, success), run, json.dumps(record), context.host.wall()):
            if len(self._waiting) >= MOST:
                text = f"{firing.task}: not fired by the end of run {run}: {MOST} firings wait for @timekeeper"
                context.host.log("error", text)
                continue
            self._waiting.add(firing.id)
            self._new.append(firing)
            context.journaling.facts.append({"fleet": f"fire {firing.id}", "fire": plain(firing)})

    def hand_over(self) -> None:
        """Have @timekeeper write what is new. Call it after the journal was written."""
        new, self._new = self._new, []
        for firing in new:
            self._put(firing, partial(self._committed, firing.id))

    def _committed(self, identity: str, _known: dict[str, Any] | None) -> None:
        if self._at_start.pop(identity, None):
            self._record_start()
        elif identity in self._waiting:
            self._waiting.remove(identity)
            self._context.journaling.facts.append({"fleet": f"fire {identity}", "gone": True})

    def _described(self, change: Change, run: Run, outcome: Outcome) -> dict[str, Any]:
        """Return the record of a run as its readers get it; the names are those of `supctl runs --json`."""
        old, stamp = change.old, self._context.host.stamp
        order = run.order if run.order and run.order.firing else None
        return {
            "run": run.id,
            "task": old.task.name,
            "name": old.name,
            "trigger": run.trigger,
            "attempt": run.attempt,
            "firing": order.firing if order else None,
            "due": clock.rfc3339(order.due) if order else None,
            "start": stamp(run.began),
            "end": stamp(outcome.at),
            "duration_s": round(outcome.duration, 3),
            "code": outcome.code,
            "signal": outcome.signal,
            "core_dumped": outcome.core_dumped,
            "success": outcome.success,
            "reason": outcome.reason,
            "stopped": outcome.asked or None,
        }


def cut_off(firing: Firing, run: str, reason: str) -> dict[str, Any]:
    """Return the record of a run that was on when the machine went down."""
    unknown = dict.fromkeys(("name", "start", "end", "duration_s", "code", "signal", "stopped"))
    facts = {"run": run, "task": firing.task, "trigger": firing.trigger, "attempt": firing.attempt, "firing": firing.id}
    due = {"due": clock.rfc3339(firing.due), "core_dumped": False, "success": False, "reason": reason}
    return {**facts, **due, **unknown}


def _is_last(change: Change, run: Run, outcome: Outcome, ended: set[str]) -> bool:
    """Return whether no other run follows for the same reason."""
    task = change.old.task
    if task.helper or outcome.asked == ORPHANED:
        return False
    if run.order and run.order.firing:
        return run.order.firing in ended
    waits = change.new is not None and change.new.state in (State.BACKOFF, State.HELD)
    return not (task.retry and waits and not outcome.success)  # of a start-up task


def _firings_of(facts: object) -> list[Firing]:
    """Return the firings of a list of facts; those that are damaged, or of another version, are left out."""
    found = []
    for fact in facts if isinstance(facts, list) else ():
        with suppress(TypeError, KeyError, ValueError, AttributeError):
            firing = firing_of(fact)
            if not mistyped(firing) and not (firing.input and mistyped(firing.input)):
                found.append(firing)
    return found
