"""Check `on`: the ends of runs of other tasks that fire a task. Each names a task and an end: "backup.failed"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from supervisor.config.dependencies import cycles, unknown_task
from supervisor.config.errors import Wrong
from supervisor.config.machine import Scope
from supervisor.config.messages import show
from supervisor.config.values import filled, listed, not_one_of
from supervisor.core.definition import Task
from supervisor.core.reactions import ENDS, parts

KEY = "on"


def _end(value: object, _scope: Scope) -> str:
    """Return a text that consists of a name and an end."""
    text = filled(value)
    name, end = parts(text)
    if not name:
        raise Wrong(f'{show(value)} names no end of a run; allowed: "TASK.failed", "TASK.succeeded", "TASK.ended"')
    if end not in ENDS:
        raise Wrong(f"{show(value)}: {not_one_of(end, ENDS)}")
    return text


ON = listed(_end, "ends", '["backup.failed"]')


def check_on(tasks: Mapping[str, Task], whole: bool, blame: Callable[[str, str, str], None]) -> None:
    """Check that the tasks exist, and that no task fires itself.

    Args:
        tasks: the tasks that could be built.
        whole: these are all tasks that are defined.
        blame: called for each error with the name of the task, the key and the message.
    """
    for task in tasks.values():
        for other, _ in map(parts, task.on):
            if other == task.name:
                blame(task.name, KEY, "a task cannot fire itself; allowed: other tasks")
            elif other not in tasks and (message := unknown_task(other, tasks, whole)):
                blame(task.name, KEY, message)
    for cycle in cycles(tasks, lambda task: [name for name, _ in map(parts, task.on)]):
        blame(cycle[0], KEY, f"cycle: {' <- '.join(cycle)}; allowed: no task whose end fires it again")
