"""Report ended runs and skipped firings to the history, and ended runs to the clients that follow the events.

The journal keeps the record of an ended run, in the same write as its end, until both have it. So no restart waits for
the history, and a supervisor that dies leaves the record to the next one. The history accepts the same run twice.

A skipped firing comes to the history before @timekeeper commits that it is over. A supervisor that dies in between
decides on the firing again: if it is skipped again, the history has it already; if it runs, the run replaces the skip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core.run_record import RunRecord, records_of
from supervisor.core.skip_record import fault

if TYPE_CHECKING:
    from supervisor.core.roster import Change
    from supervisor.shell.context import Context

OWED = "records"
"""The name of the fact. In facts of single records, the id of the run or of the firing follows the name."""

OWED_AT_MOST = 500
"""The maximum of records in the journal while the history takes none. Each has its own fact of a few hundred bytes."""


def unreported(facts: dict[str, dict[str, Any]]) -> list[RunRecord]:
    """Return the records of runs whose end is in the journal, and was perhaps not reported."""
    found = [fact.get("records") for name, fact in facts.items() if f"{name} ".startswith(f"fleet {OWED} ")]
    return [one for records in found if isinstance(records, list) for one in records if not fault(one)]


class EndedRuns:
    """The ended runs of one supervisor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._owed: list[str] = []  # the names of facts of runs that the history could not take yet

    def restore(self, facts: dict[str, dict[str, Any]]) -> None:
        """Report the ended runs that an earlier supervisor did not report."""
        self._owed = [name.removeprefix("fleet ") for name in facts if name.startswith(f"fleet {OWED} ")]
        self.spool(unreported(facts))
        for record in unreported(facts):
            if "run" in record:
                self._context.announcer.ended(record)

    def record(self, changes: list[Change]) -> list[RunRecord]:
        """Write the records of the runs that these changes ended to the journal, and return them."""
        facts = self._context.journaling.facts
        if any(change.new is None for change in changes):
            facts.append({"fleet": "numbers", "numbers": dict(self._context.fleet.numbered)})
        ended = records_of(changes)
        if ended:
            facts.append({"fleet": OWED, "records": ended})
        return ended

    def spool(self, ended: list[RunRecord]) -> None:
        """Give ended runs and skipped firings to the history, if their task has one.

        The newest of those that it cannot take now stay in the journal. The next supervisor hands them over.
        """
        if not ended:
            return
        context, host = self._context, self._context.host
        going = context.fleet.shutdown is not None  # then no process is left to write down how a helper ended
        kept = [record for record in ended if record["keep"] and not (going and record["task"].startswith("@"))]
        if kept and (said := host.spool(kept)):
            host.log("warning", said)
            context.announcer.event("history", why=said)
        facts = context.journaling.facts
        if host.has_unspooled():
            owed = {f"{OWED} {record['run' if 'run' in record else 'firing']}": record for record in kept}
            owed = {name: record for name, record in owed.items() if "skipped" in record or record["pid"]}
            facts += [{"fleet": name, "records": [record]} for name, record in owed.items()]
            self._owed = list(dict.fromkeys([*self._owed, *owed]))
        told = self._owed[:-OWED_AT_MOST] if host.has_unspooled() else self._owed
        self._owed = self._owed[len(told) :]
        facts += [{"fleet": name, "gone": True} for name in (*told, OWED)]
