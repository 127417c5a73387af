"""Keep the records of the last runs of triggered tasks (`core.last_runs`), and tell people which tasks are overdue.

A record has two copies:

- The journal gets it in the same write as the end of the run. So it survives the supervisor.
- @timekeeper gets it after that, for the next boot. There its moment is a wall-clock time. If the clock was set
  meanwhile, the time since then is wrong, until the next success. A moment in the future counts as now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core.immutable import plain, replace
from supervisor.core.last_runs import Record, Turn
from supervisor.core.utf8 import readable
from supervisor.registry.timekeeper import HELPER

if TYPE_CHECKING:
    from supervisor.shell.alerts import Alerts
    from supervisor.shell.context import Context

RUNS = "fleet runs "
"""The names of the facts of these records in the journal. The task follows."""

LONGEST_REASON = 1000
"""Characters of a reason that are kept."""


class Overdue:
    """The records of one supervisor, and what people are told of them."""

    def __init__(self, context: Context, alerts: Alerts) -> None:
        self._context = context
        self._alerts = alerts
        self._last_runs = context.fleet.last_runs

    def restore(self, facts: dict[str, dict[str, Any]]) -> None:
        """Take over the records in the journal. Those that are not in it come from @timekeeper."""
        self.define()
        now = self._context.host.now()
        for name, fact in facts.items():
            if name.startswith(RUNS) and (record := _record(fact.get("record"))):
                self._last_runs.restore(name.removeprefix(RUNS), record, now)

    def define(self) -> None:
        """Take over the tasks of the config in force."""
        self._last_runs.define(self._context.config.tasks.values(), self._context.host.now())

    # -- @timekeeper --------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """Send a new @timekeeper what is known."""
        self.hand_over(self._last_runs.records())

    def heard(self, message: dict[str, Any]) -> None:
        """Take over the records of @timekeeper: a record, or None for a task that is new to it."""
        host = self._context.host
        now, wall = host.now(), host.wall()
        for name, kept in message.get("runs", {}).items():
            record = _record(kept)
            if record and record.since is not None:
                record = replace(record, since=now - max(0.0, wall - record.since))
            self._last_runs.restore(name, record, now)

    def hand_over(self, records: dict[str, Record | None] | dict[str, Record]) -> None:
        """Send records to @timekeeper. One that is lost is sent again, once @timekeeper has connected anew."""
        host = self._context.host
        offset = host.wall() - host.now()
        known = {
            name: plain(replace(record, since=record.since + offset, failed=readable(record.failed)[:LONGEST_REASON]))
            for name, record in records.items()
            if record and record.since is not None
        }
        if known:
            host.send(HELPER.key, "runs", known)

    # -- time, and news -----------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self._last_runs.next_deadline()

    def due(self, now: float) -> None:
        """See `Timed`."""
        self._last_runs.expire(now)

    def alert(self) -> dict[str, Record | None]:
        """Tell people who became overdue, or ceased to be. Return the records that have changed."""
        changed, turns = self._last_runs.drain()
        for turn in turns:
            self._alert(turn)
        return changed

    def record(self, changed: dict[str, Record | None]) -> None:
        """Write these records to the journal. The alerts of `alert` come before: a torn write must not lose them."""
        for name, record in changed.items():
            kept = {"record": plain(record)} if record else {"gone": True}
            self._context.journaling.facts.append({"fleet": f"runs {name}", **kept})

    def _alert(self, turn: Turn) -> None:
        context = self._context
        fleet = context.fleet
        closed = (*fleet.freezes_of(turn.task), *fleet.holds_of(turn.task)) if turn.overdue else ()
        why = "; ".join((turn.why, *(one.says for one in closed)))
        context.announcer.overdue(turn.task, why, overdue=turn.overdue)
        if turn.overdue:
            self._alerts.overdue(turn.task, why)
        else:
            self._alerts.in_time(turn.task, why)


def _record(found: object) -> Record | None:
    """Return the record that `plain` made this of; None if it is none, or damaged."""
    if not isinstance(found, dict):
        return None
    try:
        record = Record(**found)
    except TypeError:
        return None
    flags = (record.succeeded, record.expected, record.overdue)
    whole = (record.since is None or isinstance(record.since, int | float)) and isinstance(record.failed, str)
    return record if whole and all(isinstance(one, bool) for one in flags) else None
