"""Turn one `[pool.NAME]` into a `Pool`, and check what tasks need of pools."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from supervisor.config.errors import Problem, Report
from supervisor.config.gather import Table
from supervisor.config.key import walk
from supervisor.config.messages import meant, quote
from supervisor.config.schema import POOL
from supervisor.core.definition import Kind, Pool, Task

Blame = Callable[[str, str, str], None]
"""A function that reports an error. Its arguments: the name of the task, the key, the message."""


def build(name: str, table: Table, report: Report) -> Pool | None:
    """Make the pool; None if its number of slots has an error."""
    values, problems = walk(POOL, table.raw, table.scope)
    if "slots" not in table.raw:
        problems.append(Problem(("slots",), "missing; a pool needs slots = 1 or more"))
    report.problems(table.section, problems)
    return Pool(name, values["slots"], table.section.where()) if "slots" in values else None


def check(
    tasks: Mapping[str, Task], pools: Mapping[str, Pool], names: Collection[str], blame: Blame, warn: Blame
) -> None:
    """Check that each pool that a task names exists, and has as many slots as a run needs.

    Args:
        tasks: the tasks.
        pools: the pools that could be built.
        names: all pools that are defined. Only the main file has some.
        blame: called for each error.
        warn: called for each task that cannot start while the tasks run that it waits for.
    """
    for task in tasks.values():
        share = task.pool
        if share is None:
            continue
        if share.name not in names:
            hint = meant(share.name, names) if names else f"write [pool.{share.name}] slots = 1"
            blame(task.name, "pool", f"there is no pool {quote(share.name)}; {hint}")
        elif share.name in pools and share.slots > (slots := pools[share.name].slots):
            what = f"a run needs {share.slots} slots, and the pool {quote(share.name)} has {slots}"
            blame(task.name, "pool", f"{what}; allowed: up to {slots}")
        elif share.name in pools and (before := _before(task, tasks)):
            needed = share.slots + sum(one.pool.slots * one.replicas for one in before if one.pool)
            if needed > slots:
                what = f"it waits for {', '.join(one.name for one in before)}, and together they need {needed} slots"
                warn(task.name, "pool", f"{what} of the pool {quote(share.name)}, which has {slots}: it cannot start")


def _before(task: Task, tasks: Mapping[str, Task]) -> list[Task]:
    """Return the tasks that keep slots of the same pool while it starts: the continuous ones that it waits for."""
    found: dict[str, Task] = {}
    new = list(task.dependencies)
    while new:
        name = new.pop()
        if name in tasks and name not in found and name != task.name:
            found[name] = tasks[name]
            new += tasks[name].dependencies if tasks[name].kind is Kind.CONTINUOUS else ()
    same = [one for one in found.values() if one.kind is Kind.CONTINUOUS]
    return [one for one in same if one.pool and task.pool and one.pool.name == task.pool.name]
