"""Send alerts to people: `notify_command` gets JSON on stdin.

`core.alerts` and `core.alert_queue` decide what to send, and when. An errand runs the command, one at a time, with a
time limit (`runs.command`). The parent only forks the errand and gets its result. The log reports a failure once, until
the command works again. The journal has each undelivered alert, in the same write as the change that it reports. A
shutdown waits for the last message, but not longer than it waits for tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core import alerts
from supervisor.core.alert_queue import AlertQueue
from supervisor.core.duration import spoken
from supervisor.core.freeze import Freeze
from supervisor.host.deadlines import first
from supervisor.host.interface import Done
from supervisor.shell import offloaded

if TYPE_CHECKING:
    from supervisor.core.instance import Instance
    from supervisor.core.roster import Change
    from supervisor.shell.context import Context


class Alerts:
    """The alerts of one supervisor."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._detector = alerts.AlertDetector()
        self._queue = AlertQueue()
        self._count = 0
        self._awake = False  # what the supervisor finds at a takeover is no news
        self._in_time: dict[str, str] = {}  # tasks that are no longer overdue, and why, since the last `observe`
        self._last_call: float | None = None  # when a shutdown waits no longer

    @property
    def busy(self) -> bool:
        """Whether an alert is still to be sent."""
        return self._queue.busy

    @property
    def _command(self) -> tuple[str, ...]:
        return self._context.config.settings.notify_command

    @property
    def _hurry(self) -> bool:
        return self._context.fleet.shutdown is not None

    def restore(self, facts: dict[str, dict[str, Any]]) -> None:
        """Begin with the alerts that an earlier supervisor did not send, and with the instances that were ailing."""
        self._awake = True
        self._detector.restore(self._context.fleet, self._context.host.now())
        if kept := facts.get("fleet alerts"):
            self._queue.restore(kept)

    def next_deadline(self) -> float | None:
        """See `Timed`: an instance has recovered, or the next message may be sent."""
        troubled, outbox = (
            self._detector.next_deadline(self._context.fleet),
            self._queue.next_deadline(hurry=self._hurry),
        )
        return first((troubled, outbox, self._last_call if self.busy else None))

    def due(self, now: float) -> None:
        """See `Timed`. A new alert is sent in the turn after that in which it was written to the journal."""
        for instance in self._detector.recovered(self._context.fleet, now):
            lasts = spoken(round(now - instance.since))
            self._put(alerts.RECOVERED, instance.name, f"has run for {lasts}", instance.task.name)
        self._send(now)

    def observe(self, changes: list[Change]) -> None:
        """Make the alerts of these changes. Call it before the journal is written, so that both are in one write."""
        for what, instance, why in self._detector.observe(changes):
            self._put(what, instance.name, why, instance.task.name)
            if what == alerts.RECOVERED:
                self._in_time.pop(instance.task.name, None)
        for task, why in self._in_time.items():
            self._put(alerts.RECOVERED, task, why, task)
        self._in_time.clear()
        self._detector.forget(self._context.fleet, (change.old.key for change in changes))
        if not self._command:
            self._queue.clear()
        if self._queue.changed:
            self._context.journaling.facts.append({"fleet": "alerts", **self._queue.records()})

    def frozen(self, freeze: Freeze) -> None:
        """Alert to a new freeze."""
        self._put(alerts.FROZEN, freeze.scope or "everything", freeze.whence)

    def thawed(self, freeze: Freeze, by: str) -> None:
        """Alert to the end of a freeze."""
        self._put(alerts.THAWED, freeze.scope or "everything", f"by {by}; it was frozen {freeze.whence}")

    def dropped(self, instance: Instance, why: str) -> None:
        """Alert to lost output of an instance."""
        self._put(alerts.DROPPED, instance.name, why, instance.task.name)

    def overdue(self, task: str, why: str) -> None:
        """Alert to a task that has become overdue."""
        self._put(alerts.OVERDUE, task, why, task)

    def in_time(self, task: str, why: str) -> None:
        """Alert to the end of that. `observe` follows: the task is one alert also if it recovers from a failure."""
        self._in_time[task] = why

    def shutdown(self, reason: str) -> None:
        """Alert to a shutdown that no person asked for."""
        self._put(alerts.SHUTDOWN, "the supervisor", reason)

    def _put(self, what: str, name: str, why: str, task: str | None = None) -> None:
        if not self._command or not self._awake:
            return
        self._count += 1
        alert = {"id": f"{self._context.feed.life}.{self._count}", "at": self._context.host.stamp()}
        self._queue.put(alert | {"what": what, "name": name, "task": task, "why": why})

    def _send(self, now: float) -> None:
        """Send one message, if it is time for one."""
        if self.busy and self._last_call is not None and self._last_call <= now:
            self._context.host.log(
                "error", "notify_command: some alerts could not be sent before the end of stop_grace"
            )
            self.abandon()
        taken = self._queue.take(now, hurry=self._hurry) if self._command else None
        if taken:
            text = alerts.message(self._context.announcer.name, *taken)
            self._context.errand(self._sent, offloaded.run_notify_command, self._command, text)

    def hurry(self, until: float) -> None:
        """Set the last moment for alerts. A shutdown has begun."""
        self._last_call = until

    def abandon(self) -> None:
        """Drop all alerts, so that the shutdown does not wait for them."""
        self._queue.clear()

    def _sent(self, done: Done) -> None:
        error = done.error or done.value
        failed_before = self._queue.failures > 0
        self._queue.done(ok=not error, hurry=self._hurry)
        if error and not failed_before:
            again = "" if self._hurry else "; tried again, which is not logged until it works"
            self._context.host.log("error", f"notify_command: {error}{again}")
        elif failed_before and not error:
            self._context.host.log("info", "notify_command works again")
