"""Check `after` and `requires`: they must name tasks that exist, and no task may wait for itself.

A dependency on a task is a dependency on all of its instances. A startup task may name continuous tasks: these start
before it. It may not name a triggered task, because a triggered task may never run. Startup tasks imply an order
(`core.startup`). This order adds no cycle to those of `after` and `requires`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from supervisor.config.messages import meant, quote
from supervisor.core.definition import Kind, Task

KEYS = ("after", "requires")
Blame = Callable[[str, str, str], None]
"""A function that reports an error. Its arguments: the name of the task, the key, the message."""


def check_dependencies(tasks: Mapping[str, Task], names: Collection[str], whole: bool, blame: Blame) -> None:
    """Check the references of all tasks.

    Args:
        tasks: the tasks that could be built.
        names: all names that are defined.
        whole: `names` is complete: any other name does not exist.
        blame: called for each error.
    """
    for task in tasks.values():
        for key in KEYS:
            for other in getattr(task, key):
                if message := _reference(task, other, tasks, names, whole):
                    blame(task.name, key, message)
    for cycle in cycles(tasks, lambda task: task.dependencies):
        key = KEYS[0] if cycle[1] in tasks[cycle[0]].after else KEYS[1]
        blame(cycle[0], key, f"dependency cycle: {' -> '.join(cycle)}; allowed: no task that waits for itself")


def _reference(task: Task, other: str, tasks: Mapping[str, Task], names: Collection[str], whole: bool) -> str:
    """Return the error of one reference; "" if there is none."""
    if other == task.name:
        return "a task cannot wait for itself; allowed: other tasks"
    if other not in names:
        return unknown_task(other, names, whole)
    kind = tasks[other].kind
    if task.kind is Kind.STARTUP and kind is Kind.TRIGGERED:
        why = "it runs only when it is triggered, so the startup task could wait forever"
        return f"{quote(other)} is a triggered task; {why}; allowed: startup and continuous tasks"
    return ""


def unknown_task(other: str, names: Collection[str], whole: bool) -> str:
    """Return the error of a name that is not that of a task; "" if `names` is not complete, and may lack it."""
    base = other.partition(":")[0]
    if base in names and base != other:
        return f"{quote(other)} is an instance; write {quote(base)}, which means all its instances"
    if other.startswith("@"):
        return f"{quote(other)} is a group; allowed: names of tasks"
    return f"there is no task {quote(other)}; {meant(other, names)}" if whole else ""


def cycles(tasks: Mapping[str, Task], edges: Callable[[Task], Iterable[str]]) -> Iterator[tuple[str, ...]]:
    """Yield the cycles of a relation between tasks. Each cycle begins with its task that is defined first.

    This is a depth-first search with an explicit stack. An edge back to a task on the current path closes a cycle.
    Each task that closes cycles yields only one: a tangle has more cycles than anybody can read.
    """
    done: set[str] = set()
    closed: set[str] = set()
    order = {name: place for place, name in enumerate(tasks)}
    for start in tasks:
        path: dict[str, Iterator[str]] = {}
        following = None if start in done else start
        while following is not None or path:
            if following is not None:
                path[following] = iter(edges(tasks[following]))
            following = None
            name = next(reversed(path))
            for other in path[name]:
                if other in path and other != name:
                    if name not in closed:
                        closed.add(name)
                        yield _turned(list(path), other, order)
                elif other in tasks and other not in done and other != name:
                    following = other
                    break
            else:
                done.add(name)
                del path[name]


def _turned(path: list[str], first: str, order: Mapping[str, int]) -> tuple[str, ...]:
    """Return the cycle at the end of a path, rotated: the task that is defined first comes first and last."""
    circle = path[path.index(first) :]
    least = circle.index(min(circle, key=lambda name: order[name]))
    return (*circle[least:], *circle[:least], circle[least])
