"""Judge triggered tasks by their last runs: a task is unwell if its last run failed, or if none succeeds for too long.

Both end with the next success. A run that ended on request (a stop, a shutdown) is neither a success nor a failure.

"Too long" is the key `expect`. It counts from the end of the last success. As long as there is none, it counts from
the moment at which the task came into the config with this key.

All moments are monotonic. So a change of the wall clock makes no task overdue.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from supervisor.core.definition import Kind, Task
from supervisor.core.duration import lasting
from supervisor.core.immutable import immutable, replace
from supervisor.core.instance import Outcome


@immutable
class Record:
    """What is known of the last runs of one task."""

    since: float | None = None  # monotonic seconds from which `expect` counts; None: the store has not told it yet
    succeeded: bool = False  # a run has succeeded
    failed: str = ""  # how the last run ended, if it failed
    expected: bool = False  # the task has the key `expect`
    overdue: bool = False  # no run has succeeded within `expect`


@immutable
class Turn:
    """A task has become overdue, or is no longer."""

    task: str
    overdue: bool
    why: str


UNKNOWN = Record()


class LastRuns:
    """The records of all triggered tasks of the config."""

    def __init__(self) -> None:
        self._expect: dict[str, float | None] = {}  # the triggered tasks of the config
        self._records: dict[str, Record] = {}
        self._deadlines: list[tuple[float, str]] = []  # a heap; those that no longer hold are skipped
        self._changed: dict[str, None] = {}
        self._turns: list[Turn] = []

    # -- what happens -------------------------------------------------------------------------------------------------

    def define(self, tasks: Iterable[Task], now: float) -> None:
        """Take over the triggered tasks of a config, and drop the records of all others."""
        self._expect = {task.name: task.timing.expect for task in tasks if task.kind is Kind.TRIGGERED}
        for name in [name for name in self._records if name not in self._expect]:
            del self._records[name]
            self._changed[name] = None
        for name, record in list(self._records.items()):
            self._set(name, self._fitted(name, record, now))

    def restore(self, name: str, record: Record | None, now: float) -> None:
        """Take over a record that an earlier supervisor has kept, unless it is known already. None: there is none."""
        old = self._records.get(name, UNKNOWN)
        if name in self._expect and old.since is None:
            record = record or Record(now)
            self._set(name, self._fitted(name, replace(record, failed=old.failed or record.failed), now))

    def ended(self, name: str, outcome: Outcome) -> None:
        """Note the end of a run."""
        if name not in self._expect or outcome.asked:
            return
        old = self._records.get(name, UNKNOWN)
        if not outcome.success:
            self._set(name, replace(old, failed=outcome.reason))
            return
        self._set(name, Record(outcome.at, succeeded=True, expected=self._expect[name] is not None))
        if old.overdue:
            self._turns.append(Turn(name, overdue=False, why="a run has succeeded"))

    def expire(self, now: float) -> None:
        """Let time pass: some tasks become overdue."""
        while (moment := self.next_deadline()) is not None and moment <= now:
            name = heappop(self._deadlines)[1]
            self._set(name, replace(self._records[name], overdue=True))
            self._turns.append(Turn(name, overdue=True, why=self.overdue(name, now)))

    def _fitted(self, name: str, record: Record, now: float) -> Record:
        """Return the record as the config wants it: `expect` may be new, longer, or gone."""
        expect, since = self._expect[name], record.since
        if since is not None and expect is not None and not (record.expected or record.succeeded):
            since = now
        overdue = record.overdue and expect is not None and since is not None and since + expect <= now
        if record.overdue and not overdue:
            self._turns.append(Turn(name, overdue=False, why="the config has changed"))
        return replace(record, since=since, expected=expect is not None, overdue=overdue)

    def _set(self, name: str, record: Record) -> None:
        if record != self._records.get(name):
            self._records[name] = record
            self._changed[name] = None
        if (moment := self.due_at(name)) is not None:
            heappush(self._deadlines, (moment, name))

    # -- what follows -------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when the next task becomes overdue."""
        while self._deadlines and self.due_at(self._deadlines[0][1]) != self._deadlines[0][0]:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def drain(self) -> tuple[dict[str, Record | None], list[Turn]]:
        """Return the records that have changed since the last call (None: dropped), and the turns of tasks."""
        changed = {name: self._records.get(name) for name in self._changed}
        turns, self._turns = self._turns, []
        self._changed.clear()
        return changed, turns

    # -- questions ----------------------------------------------------------------------------------------------------

    def records(self) -> dict[str, Record]:
        """Return all records, by task."""
        return dict(self._records)

    def due_at(self, name: str) -> float | None:
        """Return when a task becomes overdue; None: it is already, it has no `expect`, or that is not known yet."""
        record, expect = self._records.get(name, UNKNOWN), self._expect.get(name)
        if expect is None or record.since is None or record.overdue:
            return None
        return record.since + expect

    def failed(self, name: str) -> str:
        """Return how the last run of a task ended, if it failed; "" if not."""
        return self._records.get(name, UNKNOWN).failed

    def overdue(self, name: str, now: float) -> str:
        """Return since when no run of a task has succeeded, if it is overdue; "" if not."""
        record, expect = self._records.get(name, UNKNOWN), self._expect.get(name)
        if expect is None or record.since is None or not record.overdue:
            return ""
        return f"no success for {lasting(max(now - record.since, expect))} (expected within {lasting(expect)})"

    def word(self, name: str) -> str | None:
        """Return "unwell", "ok" for a task that has an `expect` and is in time, or None."""
        record = self._records.get(name, UNKNOWN)
        if record.failed or record.overdue:
            return "unwell"
        return "ok" if record.expected and record.since is not None else None
