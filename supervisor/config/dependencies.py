"""What waits for what: `after` and `requires` must name tasks that exist, and no task may wait for itself.

A dependency on a task is one on all of its instances. Startup tasks run before everything else, so one
that waits for another kind would wait forever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from supervisor.config.wording import meant, quote
from supervisor.core.definition import Kind, Task

KEYS = ("after", "requires")
Blame = Callable[[str, str, str], None]
"""How to report: the name of the task, the key, the message."""


def check_dependencies(tasks: Mapping[str, Task], names: Collection[str], whole: bool, blame: Blame) -> None:
    """Check the references of all tasks.

    Args:
        tasks: the tasks that could be made.
        names: all names that are defined.
        whole: a name that is not among them does not exist.
        blame: called for each error.
    """
    for task in tasks.values():
        for key in KEYS:
            for other in getattr(task, key):
                if message := _reference(task, other, tasks, names, whole):
                    blame(task.name, key, message)
    for cycle in _cycles(tasks):
        key = KEYS[0] if cycle[1] in tasks[cycle[0]].after else KEYS[1]
        blame(cycle[0], key, f"a circle: {' -> '.join(cycle)}; allowed: no task that waits for itself")


def _reference(task: Task, other: str, tasks: Mapping[str, Task], names: Collection[str], whole: bool) -> str:
    """What is wrong with one reference; "" if nothing."""
    if other == task.name:
        return "a task cannot wait for itself; allowed: other tasks"
    if other not in names:
        base = other.partition(":")[0]
        if base in names and base != other:
            return f"{quote(other)} is an instance; write {quote(base)}, which means all of them"
        if other.startswith("@"):
            return f"{quote(other)} is a group; allowed: names of tasks"
        return f"there is no task {quote(other)}; {meant(other, names)}" if whole else ""
    kind = tasks[other].kind
    if task.kind is Kind.STARTUP and kind is not Kind.STARTUP:
        why = "startup tasks run before all others, so it would wait forever"
        return f"{quote(other)} is a {kind} task; {why}; allowed: startup tasks"
    return ""


def _cycles(tasks: Mapping[str, Task]) -> Iterator[tuple[str, ...]]:
    """Circles of dependencies, from the task in it that is defined first.

    A walk in depth with its own stack: an edge that leads back to where the walk stands closes a circle. One
    for each task that closes any: in a tangle there are more circles than anybody can read.
    """
    done: set[str] = set()
    closed: set[str] = set()
    order = {name: place for place, name in enumerate(tasks)}
    for start in tasks:
        path: dict[str, Iterator[str]] = {}
        following = None if start in done else start
        while following is not None or path:
            if following is not None:
                path[following] = iter(tasks[following].dependencies)
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
    """The circle that ends a path, turned so that the task that is defined first comes first and last."""
    circle = path[path.index(first) :]
    least = circle.index(min(circle, key=lambda name: order[name]))
    return (*circle[least:], *circle[:least], circle[least])
