"""Telling people: `notify_command` gets JSON on stdin. `core.notices` and `core.outbox` decide what is told, and when.

The command is run by an errand, one at a time, with a limit (`host.command`); the parent forks and hears how it went.
A failure is said in the log once, until it works again. What is not delivered stands in the journal, in the same write
as the change that it tells of. A shutdown waits for the last message, but not longer than it waits for tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor import errands
from supervisor.core import notices
from supervisor.core.duration import spoken
from supervisor.core.freeze import Freeze
from supervisor.core.outbox import Outbox
from supervisor.host.interface import Done

if TYPE_CHECKING:
    from supervisor.core.fleet import Change
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent


class Notices:
    """Everything that people are told by one supervisor."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._ailing = notices.Ailing()
        self._outbox = Outbox()
        self._count = 0
        self._awake = False  # what is found at a takeover is no news
        self._last_call: float | None = None  # when a shutdown waits no longer

    @property
    def busy(self) -> bool:
        """Whether somebody has still to be told."""
        return self._outbox.busy

    @property
    def _command(self) -> tuple[str, ...]:
        return self._parent.config.settings.notify_command

    @property
    def _hurry(self) -> bool:
        return self._parent.fleet.shutdown is not None

    def recall(self, facts: dict[str, dict[str, Any]]) -> None:
        """Begins: with what an earlier supervisor did not come to tell, and who was ailing then."""
        self._awake = True
        self._ailing.recall(self._parent.fleet, self._parent.host.now())
        if kept := facts.get("fleet notices"):
            self._outbox.recall(kept)

    def next_deadline(self) -> float | None:
        """When somebody has recovered, or a message may go out."""
        if not self._command:
            return None
        ailing, outbox = self._ailing.next_deadline(self._parent.fleet), self._outbox.next_deadline(hurry=self._hurry)
        moments = (ailing, outbox, self._last_call if self.busy else None)
        return min((moment for moment in moments if moment is not None), default=None)

    def see(self, changes: list[Change], now: float) -> None:
        """What changed, before it is written down: the notices are written with it."""
        for what, instance, why in self._ailing.see(changes):
            self._put(what, instance.name, why, instance.task.name)
        for instance in self._ailing.recovered(self._parent.fleet, now):
            lasts = spoken(round(now - instance.since))
            self._put(notices.RECOVERED, instance.name, f"has run for {lasts}", instance.task.name)
        if not self._command:
            self._outbox.clear()
        if self._outbox.changed:
            self._parent.memory.facts.append({"fleet": "notices", **self._outbox.records()})

    def frozen(self, freeze: Freeze) -> None:
        """A freeze has come."""
        self._put(notices.FROZEN, freeze.scope or "everything", freeze.whence)

    def thawed(self, freeze: Freeze, by: str) -> None:
        """A freeze has gone."""
        self._put(notices.THAWED, freeze.scope or "everything", f"by {by}; it was frozen {freeze.whence}")

    def dropped(self, instance: Instance, why: str) -> None:
        """Output of an instance finds no room."""
        self._put(notices.DROPPED, instance.name, why, instance.task.name)

    def shutdown(self, reason: str) -> None:
        """The supervisor ends, and no person asked for it."""
        self._put(notices.SHUTDOWN, "the supervisor", reason)

    def _put(self, what: str, name: str, why: str, task: str | None = None) -> None:
        if not self._command or not self._awake:
            return
        self._count += 1
        notice = {"id": f"{self._parent.feed.life}.{self._count}", "at": self._parent.host.stamp()}
        self._outbox.put(notice | {"what": what, "name": name, "task": task, "why": why})

    def send(self, now: float) -> None:
        """One message, if it is time for one."""
        if self.busy and self._last_call is not None and self._last_call <= now:
            self._parent.host.log("error", "notify_command: not everything could be told in the time of the whole stop")
            self.abandon()
        taken = self._outbox.take(now, hurry=self._hurry)
        if taken:
            text = notices.message(self._parent.announce.name, *taken)
            self._parent.errand(self._sent, errands.tell, self._command, text)

    def hurry(self, until: float) -> None:
        """A shutdown has begun: there is no later than that."""
        self._last_call = until

    def abandon(self) -> None:
        """Somebody is in a great hurry: nobody is waited for any more."""
        self._outbox.clear()

    def _sent(self, done: Done) -> None:
        error = done.error or done.value
        failed_before = self._outbox.failures > 0
        self._outbox.done(ok=not error, hurry=self._hurry)
        if error and not failed_before:
            again = "" if self._hurry else "; it is tried again, what comes of that is not logged until it works"
            self._parent.host.log("error", f"notify_command: {error}{again}")
        elif failed_before and not error:
            self._parent.host.log("info", "notify_command works again")
