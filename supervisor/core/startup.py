"""Define the order of a start: start-up tasks, the tasks that some of them need, then everything else.

All tasks wait for all start-up tasks of mode "blocking", with one exception. A start-up task may need other tasks: a
migration needs the database, for example. These tasks, and the tasks that they need in turn, start earlier. They wait
only for the start-up tasks that need no such task.

So this implicit order adds no cycle. The config refuses cycles of `after` and `requires`. No task waits implicitly for
a start-up task that needs it. A start-up task waits for nothing that it does not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.core.definition import Kind, Task


class StartupOrder:
    """The start-up tasks that others wait for, and the tasks that wait for each of them."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self.blocking = tuple(name for name, task in tasks.items() if task.blocks)
        self._startup = frozenset(name for name, task in tasks.items() if task.kind is Kind.STARTUP)
        self._early = _needed_by(self.blocking, tasks) - self._startup
        self._first = tuple(name for name in self.blocking if self._early.isdisjoint(_needed_by((name,), tasks)))

    def before(self, task: str) -> tuple[str, ...]:
        """Return the start-up tasks that this task waits for without naming them. Named ones are dependencies."""
        if task in self._startup:
            return ()
        return self._first if task in self._early else self.blocking


def _needed_by(names: Iterable[str], tasks: Mapping[str, Task]) -> set[str]:
    """Return these tasks, and all that they wait for, directly or not."""
    found: set[str] = set()
    new = list(names)
    while new:
        name = new.pop()
        if name not in found and name in tasks:
            found.add(name)
            new += tasks[name].dependencies
    return found
