"""What the rest of the program must know of each helper: one file for each helper, and a line in `HELPERS`.

A helper is a child like any task, supervised by the same code. Its program is `supervisor.helpers.NAME`; the parent
never loads that.
"""

from __future__ import annotations

from importlib import import_module

from supervisor.core.definition import Task
from supervisor.registry.interface import Helper

HELPERS = {
    "@scribe": "supervisor.registry.scribe",
    "@prober": "supervisor.registry.prober",
    "@timekeeper": "supervisor.registry.timekeeper",
    "@health": "supervisor.registry.health",
}
"""The helpers, in the order in which they are started: each has its name, and the module that describes it."""


def load(name: str) -> Helper:
    """Return a helper by its name."""
    helper: Helper = import_module(HELPERS[name]).HELPER
    return helper


def every() -> list[Helper]:
    """Return all helpers."""
    return [load(name) for name in HELPERS]


def of(task: Task) -> Helper | None:
    """Return the helper that this definition is for; None if it is a task."""
    return load(task.name) if task.name in HELPERS else None
