"""Compute the next firings of tasks, in `supctl`: the supervisor only knows the first ones."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from math import ceil
from operator import attrgetter
from typing import Any

from supervisor import triggers
from supervisor.core.definition import Timing
from supervisor.core.firing import Firing, computed_firing
from supervisor.host.clock import rfc3339
from supervisor.host.machine_id import host_id
from supervisor.triggers.interface import NeverDueError
from supervisor.triggers.zone import Zone


def upcoming(tasks: Iterable[dict[str, Any]], since: float | None, count: int, now: float) -> list[dict[str, Any]]:
    """Return the next firings of all tasks in order, as `supctl schedule --json` shows them.

    Args:
        tasks: from the answer of the verb, with `timing` and `coming`.
        since: from this moment on, in seconds since 1970; None: those after now.
        count: the maximum.
        now: seconds since 1970.
    """
    known = list(tasks)
    zones = {task["name"]: task["zone"] for task in known}
    merged = heapq.merge(*(_of(task, since, now) for task in known), key=attrgetter("due"))
    return [_shown(firing, zones[firing.task]) for firing in islice(merged, count)]


def _of(task: dict[str, Any], since: float | None, now: float) -> Iterator[Firing]:
    """Yield the firings of one task. Those that the supervisor knows need no computation."""
    name, timing = task["name"], task["timing"]
    coming = [Firing(one[0], name, *one[1:]) for one in task["coming"]]
    regular = [one for one in coming if one.trigger == "schedule"]
    others = [one for one in coming if one.trigger != "schedule" and (since is None or one.due >= since)]
    if not timing["schedule"]:
        return iter(others)
    start = now if since is None else float(ceil(since) - 1)
    if regular and start < regular[0].due and (since is None or start >= now):
        rest = _computed(task, regular[-1].due)
        return heapq.merge(others, (one for some in (regular, rest) for one in some), key=attrgetter("due"))
    return heapq.merge(others, _computed(task, start), key=attrgetter("due"))


def _computed(task: dict[str, Any], moment: float) -> Iterator[Firing]:
    """Yield the firings of the schedule of a task after a moment."""
    timing = task["timing"]
    try:
        ((name, make),) = triggers.of(Timing(schedule=tuple(timing["schedule"]), timezone=task["zone"] or ""))
        trigger, host = make(), host_id()
        while True:
            due = trigger.after(moment)
            if due.at <= moment:
                return
            yield computed_firing(task["name"], name, due, timing["jitter"], host)
            moment = due.at
    except (NeverDueError, OSError, ValueError, OverflowError):  # @timekeeper says so, and `status` shows it
        return


def _shown(firing: Firing, zone: str | None) -> dict[str, Any]:
    return {
        "task": firing.task,
        "due": rfc3339(firing.due),
        "local": _local(firing.due, zone),
        "trigger": firing.trigger,
        "id": firing.id,
        "start": rfc3339(firing.start or firing.due),
    }


def _local(due: float, zone: str | None) -> str | None:
    try:
        return datetime.fromtimestamp(due, UTC).astimezone(Zone(zone or "").info).isoformat(timespec="seconds")
    except (OSError, ValueError, OverflowError):
        return None
