"""One `[group.NAME]` becomes a `Group`: its members by name, in the order in which the tasks are defined."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection

from supervisor.config.errors import Report
from supervisor.config.gather import Table
from supervisor.config.key import walk
from supervisor.config.schema import GROUP
from supervisor.config.wording import meant, quote
from supervisor.core.definition import Group

_MAGIC = re.compile(r"[*?\[]")


def build(name: str, table: Table, tasks: Collection[str], whole: bool, report: Report) -> Group:
    """Make the group; `whole`: a name that is not among the tasks does not exist."""
    values, problems = walk(GROUP, table.raw, table.scope)
    if "tasks" not in table.raw:
        problems.append((("tasks",), 'missing; allowed: tasks = ["web", "import-*"]'))
    members: set[str] = set()
    for pattern in values.get("tasks", ()):
        found = fnmatch.filter(tasks, pattern) if _MAGIC.search(pattern) else {pattern}.intersection(tasks)
        if not found and whole:
            problems.append((("tasks",), _nobody(pattern, tasks)))
        members.update(found)
    report.problems(table.section, problems)
    return Group(
        name, tuple(task for task in tasks if task in members), values.get("freeze", False), table.section.where()
    )


def _nobody(pattern: str, tasks: Collection[str]) -> str:
    if _MAGIC.search(pattern):
        return f"{quote(pattern)} matches no task; allowed: names of tasks, or globs that match some"
    return f"there is no task {quote(pattern)}; {meant(pattern, tasks)}"
