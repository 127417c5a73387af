"""Decide which tasks fire at the end of a run of another task (`on = ["backup.failed"]`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from supervisor.core.definition import Task
from supervisor.core.firing import Firing, Input

TRIGGER = "on"
"""The trigger of such a firing."""

FAILED, SUCCEEDED, ENDED = "failed", "succeeded", "ended"

ENDS = (FAILED, SUCCEEDED, ENDED)
"""The ends that can be named. Each run has the last one. A run that was stopped has neither of the others."""


def parts(text: str) -> tuple[str, str]:
    """Return the task and the end that an element of `on` names. A name may have a point."""
    name, _, end = text.rpartition(".")
    return name, end


class Reactions:
    """The tasks that fire at ends of runs."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        """Read the keys `on` of all tasks."""
        self._of: dict[tuple[str, str], list[str]] = {}
        for task in tasks:
            for one in dict.fromkeys(map(parts, task.on)):
                self._of.setdefault(one, []).append(task.name)

    def to(self, task: str, success: bool | None) -> tuple[str, ...]:
        """Return the tasks that fire at the end of a run of a task. Each is there once.

        `success` is None for a run that was stopped.
        """
        how = () if success is None else (SUCCEEDED,) if success else (FAILED,)
        found = [name for end in (*how, ENDED) for name in self._of.get((task, end), ())]
        return tuple(dict.fromkeys(found))


def firings(tasks: Iterable[str], run: str, record: str, wall: float) -> Iterator[Firing]:
    """Yield the firings of tasks at the end of a run.

    Their ids follow from the run, so that the same end never fires a task twice.

    Args:
        tasks: their names.
        run: the id of the run that has ended.
        record: it as JSON, for the standard input.
        wall: seconds since 1970.
    """
    for name in tasks:
        yield Firing(f"{name}/{TRIGGER}/{run}", name, TRIGGER, wall, 0.0, input=Input(text=record))
