"""Report every change: one line of the log, one event, and the title and status line of the supervisor.

One place turns the difference between two values of an instance into text. So log, events and `why` cannot disagree.
"""

from __future__ import annotations

from typing import Any

from supervisor.control.feed import Feed
from supervisor.core import health, report
from supervisor.core.escalation import STOP_GROUP, Escalation
from supervisor.core.fleet import Fleet
from supervisor.core.freeze import Freeze
from supervisor.core.instance import Instance, Outcome
from supervisor.core.losses import NewLoss
from supervisor.core.roster import Change
from supervisor.core.run_record import RunRecord, records_of
from supervisor.core.states import State
from supervisor.core.words import in_words
from supervisor.host.interface import Host

_LEVELS = {State.STARTING: "debug", State.FAILED: "error", State.BACKOFF: "warning"}


def _level(new: Instance) -> str:
    """Return how much a new state matters to the operator. A restart after a good end is no trouble."""
    if new.task.helper:
        return "debug"
    if new.state is State.BACKOFF and new.last and new.last.success:
        return "info"
    return _LEVELS.get(new.state, "info")


class Announcer:
    """Log, events, process title and sd_notify status of one supervisor."""

    def __init__(self, host: Host, feed: Feed, fleet: Fleet, name: str) -> None:
        """`name` is the supervisor's, as titles show it."""
        self.name = name
        self._host = host
        self._feed = feed
        self._fleet = fleet
        self._summary = ""
        self._ready = False
        self._published: dict[str, Any] = {}
        self._news = True  # something has changed since `_published`

    def changes(self, changes: list[Change]) -> None:
        """Report every change of state, except a state HELD that lasted only an instant."""
        moved_on = {id(change.old) for change in changes if change.new and change.new.state is not State.HELD}
        for change in changes:
            old, new = change.old, change.new
            passing = new is not None and new.state is State.HELD and id(new) in moved_on
            if new is None or passing:
                for record in records_of([change]):
                    self.ended(record)
            elif old.state is not new.state:
                self._state(old, new)
            elif new.run is not old.run:
                self._health(old, new)
                self._pause(old, new)
            if new is not None and new.last and new.last is not old.last and report.killed(new.last):
                self._killed(old, new.last)
        if changes:
            self.overview()

    def _state(self, old: Instance, new: Instance) -> None:
        why = report.short_reason(self._fleet, new)
        run = new.run or old.run
        ended = new.last if new.last is not old.last else None
        self.event(
            "state",
            name=new.name,
            task=new.task.name,
            instance=new.index,
            run=run.id if run else None,
            trigger=run.trigger if run else None,
            pid=(run.pid or None) if run else None,
            **{"from": str(old.state), "to": str(new.state)},
            why=why or None,
            exit=report.last_exit(ended, self._host.stamp) if ended else None,
        )
        text = f"{new.name}: {new.state}"
        if new.pid and new.state is not State.STOPPING:
            text += f" (pid {new.pid})"
        if ended and ended.reason not in why:
            text += f": {ended.reason}"
        if why:
            text += f": {why}"
        if new.state is State.BACKOFF and new.deadline is not None:
            text += f"; restart in {new.deadline - new.since:.2g} s"
        self._host.log(_level(new), text)

    def ended(self, record: RunRecord) -> None:
        """Report the end of a run that no change of state reports.

        There are three cases:

        - The next run begins in the same moment.
        - The instance has left the fleet.
        - An earlier supervisor wrote the end to the journal, and died before it could report it, or soon after.
        """
        self.event(
            "ended",
            name=record["name"],
            task=record["task"],
            instance=int(record["instance"].rpartition(":")[2]),
            run=record["run"],
            trigger=record["trigger"],
            pid=record["pid"],
            exit={
                "at": self._host.stamp(record["ended"]),
                "code": record["code"],
                "signal": record["signal"],
                "core_dumped": record["core"],
                "reason": record["reason"],
                "duration_s": round(record["ended"] - record["began"], 3),
            },
        )

    def _killed(self, old: Instance, outcome: Outcome) -> None:
        """Report that a run is over, and that the supervisor had to kill some of its processes."""
        run = old.run.id if old.run else None
        self.event("killed", name=old.name, run=run, processes=list(outcome.killed))
        self._host.log("warning", f"{old.name}: {report.killed(outcome)}")

    def _health(self, old: Instance, new: Instance) -> None:
        """Report a change between well and unwell, and of the task's own status text, but not each probe's answer."""
        before, after = health.word(old), health.word(new)
        says = new.run.health.says if new.run else ""
        if before != after and "unwell" in (before, after):
            why = report.short_reason(self._fleet, new) if after == "unwell" else "well again"
            self.event("health", name=new.name, run=new.run.id if new.run else None, health=after, why=why)
            self._host.log("warning" if after == "unwell" else "info", f"{new.name}: {why}")
        if old.run and says != old.run.health.says:
            self._host.log("debug", f"{new.name}: status: {says}")

    def _pause(self, old: Instance, new: Instance) -> None:
        """Report that a run is paused or resumed."""
        if old.run is None or new.run is None or old.run.paused == new.run.paused:
            return
        kind, by = "paused" if new.run.paused else "resumed", new.run.pause.by
        self.event(kind, name=new.name, task=new.task.name, instance=new.index, run=new.run.id, by=by)
        self._host.log("warning" if new.run.paused else "info", f"{new.name}: {kind} by {by}")

    def dropped(self, i: Instance, news: NewLoss) -> None:
        """Report lost output of an instance. The log has the first of many losses as a warning."""
        lost = {"bytes": news.bytes, "lines": news.lines}
        self.event("dropped-output", name=i.name, task=i.task.name, instance=i.index, **lost, why=news.why)
        self._host.log("warning" if news.first else "debug", f"{i.name}: {news.says}")

    def overdue(self, task: str, why: str, *, overdue: bool) -> None:
        """Report that a task has become overdue, or is no longer."""
        if overdue:
            self.event("overdue", task=task, why=why)
            self._host.log("warning", f"{task}: {why}")
        else:
            self.event("in-time", task=task, why=why)
            self._host.log("info", f"{task}: no longer overdue: {why}")
        self.overview()

    def stalled(self, seconds: float) -> None:
        """Report that the supervisor stood still."""
        self.event("stalled", seconds=round(seconds, 1))
        why = "SIGSTOP, a frozen machine, or too little processor time"
        text = f"the supervisor stood still for {seconds:.1f} s ({why}); deadlines of tasks are later by that time"
        self._host.log("warning", text)

    def event(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - whatever an event has to say
        """Publish an event."""
        self._feed.publish({"at": self._host.stamp(), "event": kind, **fields})

    def escalated(self, escalation: Escalation) -> None:
        """Report an escalation: one instance gave up, or too many failed, and others are affected."""
        self.event(
            "escalation",
            name=escalation.name,
            run=escalation.run,
            source=escalation.source,
            what=escalation.what,
            why=escalation.reason,
            stops=[i.name for i in escalation.stops],
        )
        whom = (
            f" ({', '.join(i.name for i in escalation.stops) or 'no task is up'})"
            if escalation.what == STOP_GROUP
            else ""
        )
        self._host.log("error", f"{escalation.what}{whom}: {escalation.reason}")

    def frozen(self, freeze: Freeze) -> None:
        """Report a new freeze."""
        self.event("freeze", **report.freeze_json(freeze))
        self._host.log("warning", f"frozen: {freeze.scope or 'everything'}: {freeze.says}")
        self.overview()

    def thawed(self, freeze: Freeze, by: str, released: tuple[Instance, ...]) -> None:
        """Report the end of a freeze, and list the starts that it had suppressed."""
        names = [f"{i.name} ({i.trigger})" for i in released]
        self.event("thaw", **report.freeze_json(freeze) | {"by": by}, released=[i.name for i in released])
        self._host.log(
            "warning", f"thawed by {by}: {freeze.scope or 'everything'}; starts now: {', '.join(names) or '-'}"
        )
        self.overview()

    def held(self, hold: Freeze) -> None:
        """Report a new hold of schedules."""
        self.event("hold", **report.freeze_json(hold))
        self._host.log("warning", hold.says)

    def released(self, hold: Freeze, by: str) -> None:
        """Report the end of a hold of schedules."""
        self.event("release", **report.freeze_json(hold) | {"by": by})
        self._host.log("warning", f"schedules are released by {by}: {hold.scope or 'everything'}")

    def publish(self) -> None:
        """Write the health of the supervisor for @health, if it has changed."""
        if not self._news:
            return
        self._news = False
        whole = report.own_health(self._fleet, self.name)
        if whole != self._published:
            self._published = whole
            try:
                self._host.publish_health(whole)
            except OSError as error:
                self._host.log("error", f"cannot send the state to @health: {in_words(error)}")

    def renew(self) -> None:
        """Write the health again: its file was removed."""
        self._published, self._news = {}, True

    def reloaded(self) -> None:
        """End the service manager's RELOADING=1. This does not make a supervisor ready that was not ready before."""
        if self._ready:
            self._host.notify("READY=1")

    def overview(self) -> None:
        """Update what concerns the whole fleet: the title, the status line, and whether the supervisor is ready."""
        self._news = True
        summary = report.summary(self._fleet)
        if summary != self._summary:
            self._summary = summary
            self._host.title(f"supervisor: {self.name} [{summary}]")
            self._host.notify(f"STATUS={summary}")
        if not self._ready and not self._fleet.shutdown and self._fleet.startup_is_over():
            self._ready = True
            self._host.notify("READY=1", f"STATUS={summary}")
            self.event("ready", why=summary)
            self._host.log("info", f"ready: {summary}")
