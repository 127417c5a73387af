"""Say when a task is due. The triggers are the files of this folder; `KINDS` registers each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from supervisor.core.definition import Timing
from supervisor.triggers.interface import Trigger

KINDS: dict[str, tuple[str, str, Callable[[Timing], bool]]] = {
    "schedule": ("schedule", "Schedule", lambda timing: bool(timing.schedule)),
    "every": ("every", "Every", lambda timing: timing.every is not None),
}
"""By the key of the config: the module, the class, and whether a task has the trigger. A module is loaded on use."""


def of(timing: Timing) -> Iterator[tuple[str, Callable[[], Trigger]]]:
    """Yield the name of each trigger of a task, and a call that makes it."""
    for name, (module, kind, used) in KINDS.items():
        if used(timing):
            made = getattr(import_module(f"supervisor.triggers.{module}"), kind)
            yield name, lambda made=made: made(timing)  # type: ignore[misc]
