"""Telling: every change becomes one line of the log, one event, and the title and status line of the supervisor.

One place turns the difference between two values of an instance into words, so that log, events and `why` cannot
disagree.
"""

from __future__ import annotations

from typing import Any

from supervisor.control.feed import Feed
from supervisor.core import health, report
from supervisor.core.escalation import STOP_GROUP, Escalation
from supervisor.core.fleet import Change, Fleet
from supervisor.core.freeze import Freeze
from supervisor.core.instance import Instance, Outcome
from supervisor.core.losses import News
from supervisor.core.states import State
from supervisor.core.words import in_words
from supervisor.host.interface import Host
from supervisor.store.account import Account, accounts_of

_LEVELS = {State.STARTING: "debug", State.FAILED: "error", State.BACKOFF: "warning"}


def _level(new: Instance) -> str:
    """How much a new state matters to the operator; that it comes back after a good end is no trouble."""
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
        self._news = True  # something has changed since that was published

    def changes(self, changes: list[Change]) -> None:
        """Tells of every change of state; one that was held for an instant only is not told."""
        moved_on = {id(change.old) for change in changes if change.new and change.new.state is not State.HELD}
        for change in changes:
            old, new = change.old, change.new
            passing = new is not None and new.state is State.HELD and id(new) in moved_on
            if new is None or passing:
                for account in accounts_of([change]):
                    self.ended(account)
            elif old.state is not new.state:
                self._state(old, new)
            elif new.run is not old.run:
                self._health(old, new)
                self._pause(old, new)
            if new is not None and new.last and new.last is not old.last and new.last.killed:
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

    def ended(self, account: Account) -> None:
        """A run whose end no change of state tells.

        The next one begins in the same moment, or its instance has left the fleet, or an earlier supervisor had
        remembered that end, and has died before it could tell it, or soon after.
        """
        self.event(
            "ended",
            name=account["name"],
            task=account["task"],
            instance=int(account["instance"].rpartition(":")[2]),
            run=account["run"],
            trigger=account["trigger"],
            pid=account["pid"],
            exit={
                "at": self._host.stamp(account["ended"]),
                "code": account["code"],
                "signal": account["signal"],
                "core_dumped": account["core"],
                "reason": account["reason"],
                "duration_s": round(account["ended"] - account["began"], 3),
            },
        )

    def _killed(self, old: Instance, outcome: Outcome) -> None:
        """A run is over, and not all of it ended when it was asked to."""
        run = old.run.id if old.run else None
        self.event("killed", name=old.name, run=run, processes=list(outcome.killed))
        self._host.log("warning", f"{old.name}: {report.killed(outcome)}")

    def _health(self, old: Instance, new: Instance) -> None:
        """Well, unwell, and what it says of itself; not each answer."""
        before, after = health.word(old), health.word(new)
        says = new.run.health.says if new.run else ""
        if before != after and "unwell" in (before, after):
            why = report.short_reason(self._fleet, new) if after == "unwell" else "well again"
            self.event("health", name=new.name, run=new.run.id if new.run else None, health=after, why=why)
            self._host.log("warning" if after == "unwell" else "info", f"{new.name}: {why}")
        if old.run and says != old.run.health.says:
            self._host.log("debug", f"{new.name}: says: {says}")

    def _pause(self, old: Instance, new: Instance) -> None:
        """It stands still, or goes on."""
        if old.run is None or new.run is None or old.run.paused == new.run.paused:
            return
        kind, by = "paused" if new.run.paused else "resumed", new.run.pause.by
        self.event(kind, name=new.name, task=new.task.name, instance=new.index, run=new.run.id, by=by)
        self._host.log("warning" if new.run.paused else "info", f"{new.name}: {kind} by {by}")

    def dropped(self, i: Instance, news: News) -> None:
        """Some of its output is lost; the log has the first of many."""
        lost = {"bytes": news.bytes, "lines": news.lines}
        self.event("dropped-output", name=i.name, task=i.task.name, instance=i.index, **lost, why=news.why)
        self._host.log("warning" if news.first else "debug", f"{i.name}: {news.says}")

    def event(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - whatever an event has to say
        """An event that is no change of state."""
        self._feed.publish({"at": self._host.stamp(), "event": kind, **fields})

    def escalated(self, escalation: Escalation) -> None:
        """One gave up, or too many failed, and others have to bear it."""
        self.event(
            "escalation",
            name=escalation.name,
            run=escalation.run,
            source=escalation.source,
            what=escalation.what,
            why=escalation.reason,
            stops=list(escalation.stops),
        )
        whom = f" ({', '.join(escalation.stops) or 'nobody is up'})" if escalation.what == STOP_GROUP else ""
        self._host.log("error", f"{escalation.what}{whom}: {escalation.reason}")

    def frozen(self, freeze: Freeze) -> None:
        """A freeze has come."""
        self.event("freeze", **report.freeze_json(freeze))
        self._host.log("warning", f"frozen: {freeze.scope or 'everything'}: {freeze.says}")
        self.overview()

    def thawed(self, freeze: Freeze, by: str, released: tuple[Instance, ...]) -> None:
        """A freeze has gone; what it had suppressed is listed."""
        names = [f"{i.name} ({i.trigger})" for i in released]
        self.event("thaw", **report.freeze_json(freeze) | {"by": by}, released=[i.name for i in released])
        self._host.log(
            "warning", f"thawed by {by}: {freeze.scope or 'everything'}; starts now: {', '.join(names) or '-'}"
        )
        self.overview()

    def publish(self) -> None:
        """For @health, when it has become different."""
        if not self._news:
            return
        self._news = False
        whole = report.own_health(self._fleet, self.name)
        if whole != self._published:
            self._published = whole
            try:
                self._host.post("health.json", whole)
            except OSError as error:
                self._host.log("error", f"cannot tell @health: {in_words(error)}")

    def reloaded(self) -> None:
        """Ends the service manager's RELOADING=1; who was not ready before is not ready by that."""
        if self._ready:
            self._host.notify("READY=1")

    def overview(self) -> None:
        """What concerns all of them has changed: the title, the status line, whether the supervisor is ready."""
        self._news = True
        summary = report.summary(self._fleet)
        if summary != self._summary:
            self._summary = summary
            self._host.title(f"supervisor: {self.name} [{summary}]")
            self._host.notify(f"STATUS={summary}")
        if not self._ready and not self._fleet.shutdown and self._fleet.startup_settled():
            self._ready = True
            self._host.notify("READY=1", f"STATUS={summary}")
            self.event("ready", why=summary)
            self._host.log("info", f"ready: {summary}")
