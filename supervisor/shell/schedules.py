"""Describe the schedules: what fires next, what waits and why, and what became of the firings before.

The parent knows only the firings that @timekeeper has sent. `supctl` computes those that follow, from the same config.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core.immutable import plain
from supervisor.host import clock

if TYPE_CHECKING:
    from supervisor.core.definition import Task
    from supervisor.core.firing import Firing
    from supervisor.shell.context import Context
    from supervisor.shell.firings import FiringRuns

COMING, WAITING = 100, 20
"""The maximum of firings of one task in an answer: of those that are not due yet, and of those that wait."""


class Schedules:
    """The schedules of one supervisor."""

    def __init__(self, context: Context, firing_runs: FiringRuns) -> None:
        self._context = context
        self._runs = firing_runs

    def all(self) -> list[dict[str, Any]]:
        """Return what is known of every task that fires."""
        return [self.of(task) for task in self._context.config.tasks.values() if self.fires(task)]

    def fires(self, task: Task) -> bool:
        """Return whether a task has a trigger of its own, or a firing that is not a run yet."""
        firings = self._runs.firings
        known = firings.count_waiting(task.name) or firings.coming(task.name, 1) or firings.trying_again(task.name)
        return task.timing.fires or bool(known)

    def of(self, task: Task) -> dict[str, Any]:
        """Return what is known of one task.

        `timing` has the keys from which the next firings follow, and `coming` the first ones: `supctl` needs both.
        """
        firings = self._runs.firings
        coming, waiting = firings.coming(task.name, COMING), firings.waiting(task.name, WAITING)
        counts = self._runs.counts.get(task.name, {})
        last, skip, holds = counts.get("last"), counts.get("last_skip"), self._context.fleet.holds_of(task.name)
        words = self._runs.words.get(task.name, {})
        host, last_runs = self._context.host, self._context.fleet.last_runs
        overdue_at = last_runs.due_at(task.name)
        return {
            "name": task.name,
            "words": words.get("words"),
            "zone": words.get("zone") or task.timing.timezone or None,
            "next": clock.rfc3339(coming[0].start) if coming else None,
            "count_waiting": firings.count_waiting(task.name),
            "waiting": [
                *({**_firing(one), "why": _next_attempt(one, task)} for one in firings.trying_again(task.name)),
                *({**_firing(one.firing), "why": one.why} for one in waiting),
            ],
            "ran": counts.get("ran", 0),
            "skipped": counts.get("skipped", 0),
            "missed": counts.get("missed", 0),
            "last": clock.rfc3339(last["due"]) if last else None,
            "last_run": last["run"] if last else None,
            "last_skip": {"due": clock.rfc3339(skip["due"]), "why": skip["why"]} if skip else None,
            "held": holds[0].says if holds else None,
            "overdue": last_runs.overdue(task.name, host.now()) or None,
            "overdue_at": None if overdue_at is None else host.stamp(overdue_at),
            "timing": {key: value for key, value in plain(task.timing).items() if key in _COMPUTED_FROM},
            "coming": [[one.id, one.trigger, one.due, one.start] for one in coming],
        }

    def next_step(self, task: Task) -> dict[str, str] | None:
        """Return when a task runs next by itself, as `status --json` shows it; None if that is not known."""
        coming = self._runs.firings.coming(task.name, 1)
        if not coming or (coming[0].computed and self._context.fleet.holds_of(task.name)):
            return None
        return {"at": clock.rfc3339(coming[0].start), "what": f"run ({coming[0].trigger})"}

    def says(self, task: Task) -> str:
        """Return in a sentence what the task waits for, and when it fires next; "" for a task that does not fire."""
        if not self.fires(task):
            return ""
        firings = self._runs.firings
        parts = [_next_attempt(one, task) for one in firings.trying_again(task.name)[:1]]
        for first in firings.waiting(task.name, 1):
            count = firings.count_waiting(task.name)
            many = f"{count} firings wait, the first of" if count > 1 else "a firing waits, of"
            parts.append(f"{many} {_due(first.firing)}: {first.why or 'it is decided now'}")
        holds, coming = self._context.fleet.holds_of(task.name), firings.coming(task.name, 1)
        if holds:
            parts.append(holds[0].says)
        elif coming:
            by = f", asked for by {coming[0].by}" if coming[0].by else ""
            parts.append(f"fires next at {clock.rfc3339(coming[0].start)}{by}")
        elif task.timing.fires:
            parts.append(self._no_next(task))
        return "; ".join(parts)

    def _no_next(self, task: Task) -> str:
        on = any(one.order or one.run for one in self._context.fleet.copies(task.name))
        if task.timing.every is not None and on:
            return f"fires {task.timing.every:g} s after the end of this run"
        return "the time of its next firing is not known: @timekeeper has not sent it"


_COMPUTED_FROM = ("schedule", "every", "jitter")


def _due(firing: Firing) -> str:
    """Return the due time of a firing, and who asked for it."""
    return f"{clock.rfc3339(firing.due)}, asked for by {firing.by}" if firing.by else clock.rfc3339(firing.due)


def _next_attempt(firing: Firing, task: Task) -> str:
    of = f" of {task.retry.attempts}" if task.retry else ""
    return f"attempt {firing.attempt}{of} at {clock.rfc3339(firing.start)}"


def _firing(firing: Firing) -> dict[str, Any]:
    return {"id": firing.id, "trigger": firing.trigger, "due": clock.rfc3339(firing.due), "by": firing.by or None}
