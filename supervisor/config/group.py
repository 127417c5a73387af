"""Turn one `[group.NAME]` into a `Group`: its members by name, in the order in which the tasks are defined."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Mapping

from supervisor.config.errors import Problem, Report
from supervisor.config.gather import Table
from supervisor.config.key import walk
from supervisor.config.limits import unenforceable
from supervisor.config.messages import meant, quote
from supervisor.config.schema import GROUP
from supervisor.core.controllers import CONTROLLERS
from supervisor.core.definition import Group, Limits, Task
from supervisor.core.immutable import replace

_MAGIC = re.compile(r"[*?\[]")


def build(name: str, table: Table, tasks: Collection[str], whole: bool, report: Report) -> Group:
    """Make the group. `whole`: `tasks` is complete, so any other name does not exist."""
    values, problems = walk(GROUP, table.raw, table.scope)
    if "tasks" not in table.raw:
        problems.append(Problem(("tasks",), 'missing; allowed: tasks = ["web", "import-*"]'))
    members: set[str] = set()
    for pattern in values.get("tasks", ()):
        found = fnmatch.filter(tasks, pattern) if _MAGIC.search(pattern) else {pattern}.intersection(tasks)
        if not found and whole:
            problems.append(Problem(("tasks",), _nobody(pattern, tasks)))
        members.update(found)
    limits = Limits(**values.get("limits", {}))
    problems += unenforceable(limits, table.scope.machine, CONTROLLERS)
    report.problems(table.section, problems, members)
    return Group(
        name,
        tuple(task for task in tasks if task in members),
        values.get("freeze", False),
        limits,
        table.section.where(),
    )


def share(
    tasks: Mapping[str, Task], groups: Mapping[str, Group], tables: Mapping[str, Table], report: Report
) -> dict[str, Task]:
    """Return each task with the group whose limits it shares. There is one at most: a cgroup has one parent."""
    found: dict[str, str] = {}
    for name, group in groups.items():
        if not any(group.limits.of_the_run.values()):
            continue
        for task in group.tasks:
            if found.setdefault(task, name) != name:
                what = f"{quote(task)} already has the limits of the group {quote(found[task])}"
                report.wrong(tables[name].section, "limits", f"{what}; allowed: one group with limits for each task")
    return {name: replace(task, group_limits=found[name]) if name in found else task for name, task in tasks.items()}


def _nobody(pattern: str, tasks: Collection[str]) -> str:
    if _MAGIC.search(pattern):
        return f"{quote(pattern)} matches no task; allowed: names of tasks, or globs that match some"
    return f"there is no task {quote(pattern)}; {meant(pattern, tasks)}"
