"""Report losses of output. @scribe writes its sums to the runtime directory, and the host reports new ones.

This module turns them into events, a line of the log, and an alert. So only a loss wakes the parent, and the parent
never waits for @scribe. The journal has the losses that were reported. So the next supervisor reports what was lost
while no supervisor ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core import losses
from supervisor.store.statefile import LOSSES

if TYPE_CHECKING:
    from supervisor.core.losses import Loss
    from supervisor.shell.alerts import Alerts
    from supervisor.shell.context import Context


class Losses:
    """The lost output of the tasks of one supervisor."""

    def __init__(self, context: Context, alerts: Alerts) -> None:
        self._context = context
        self._alerts = alerts
        self._losses = losses.Losses(context.host.moment)
        self._rejected = 0  # the number of records that @scribe has set aside, as last reported

    def restore(self, facts: dict[str, Any]) -> None:
        """Begin with the losses that were reported. `facts` is the journal.

        Without a journal the last supervisor has ended in order, and has reported all losses that there are.
        """
        told = facts.get("fleet losses", {}).get("losses") if facts else self._context.host.losses()
        self._losses.restore(LOSSES.sanitize(told) if isinstance(told, dict) else {})
        known = facts.get("fleet rejects", {}) if facts else self._context.host.rejects()
        before = known.get("records")
        self._rejected = before if isinstance(before, int) else 0
        self.read()

    def read(self) -> None:
        """Read the new sums and report them."""
        self._rejects()
        context, found = self._context, self._context.host.losses()
        if found:
            context.journaling.facts.append({"fleet": "losses", "losses": found})
        for news in self._losses.add(found):
            instance = context.fleet.instances.get(news.key)
            if instance is None:  # removed from the config; its last output found no room
                continue
            context.announcer.dropped(instance, news)
            if news.first:
                self._alerts.dropped(instance, news.says)

    def _rejects(self) -> None:
        """Report records that @scribe has set aside. Its own line in the log says which."""
        found = self._context.host.rejects()
        count = found.get("records", 0)
        if count == self._rejected:
            return
        self._context.journaling.facts.append({"fleet": "rejects", "records": count})
        self._context.announcer.event("set-aside", records=max(0, count - self._rejected), **_where(found))
        self._rejected = count

    def set_aside(self) -> str:
        """Return the text for `status`, or "" if all records could be kept lately."""
        found = self._context.host.rejects()
        if not found or self._context.host.now() - self._context.host.moment(found["at"]) >= losses.SHOWN:
            return ""
        where, why = found["path"], found["why"]
        return f"{found['records']} runs could not be written to the history and are in {where}, the last one: {why}"

    def of(self, key: str) -> Loss | None:
        """Return all that an instance has lost: `lost_output` of the verbs."""
        return self._losses.of(key)

    def describe(self, key: str) -> str:
        """Return the text for the `why` column."""
        return self._losses.describe(key, self._context.host.now())


def _where(found: dict[str, Any]) -> dict[str, Any]:
    return {"path": found.get("path"), "why": found.get("why")}
