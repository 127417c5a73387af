"""Check the keys that say when a triggered task runs, and make its `Timing` of them."""

from __future__ import annotations

from typing import Any

from supervisor.config.errors import Wrong
from supervisor.config.key import Type
from supervisor.config.machine import Scope
from supervisor.config.messages import show
from supervisor.config.quantity import TIME
from supervisor.core.definition import Overlap, Timing

SHORTEST = 0.1
"""Seconds of the shortest `every`: a shorter one would be a busy loop."""

PARALLEL = 10
"""The default of `max_parallel` with `overlap = "allow"`."""

KEYS = (
    "schedule", "timezone", "every", "jitter", "overlap", "max_parallel", "max_waiting", "catch_up", "catch_up_within",
    "dedupe", "expect",
)  # fmt: skip


def _every(value: object, scope: Scope) -> float:
    seconds: float = TIME.parse(value, scope)
    if seconds < SHORTEST:
        raise Wrong(f'{show(value)} is too often; allowed: "100ms" and more')
    return seconds


EVERY = Type(TIME.words, _every)


def timing(values: dict[str, Any]) -> Timing:
    """Take the keys out of the values of a task, and return them as one value."""
    found = {key: values.pop(key) for key in KEYS if key in values}
    if found.get("overlap") is Overlap.ALLOW:
        found = {"max_parallel": PARALLEL} | found
    return Timing(**found)


def problem(values: dict[str, Any]) -> tuple[str, str] | None:
    """Return the key that contradicts another one, and why; None if all fit together."""
    if "timezone" in values and "schedule" not in values:
        return "timezone", "there is no schedule that it could be for; allowed: with schedule"
    if "schedule" in values and "every" in values:
        return "every", "schedule is given as well; allowed: one of the two"
    return None
