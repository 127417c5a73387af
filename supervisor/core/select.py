"""Resolve a NAME of the command line: a task, an instance, a group, or a glob (contract, section 7)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from supervisor.core.fleet import Fleet
from supervisor.core.instance import Instance
from supervisor.core.nearest import nearest

LONGEST = 100
"""Characters of an unknown name that the error message repeats; no task has a longer name."""


class UnknownNameError(Exception):
    """Nothing has that name; the text suggests a similar one."""


def select(fleet: Fleet, names: list[str]) -> list[Instance]:
    """Return the instances that the names match, each once, in the order of the config.

    No name matches a helper (`@scribe`), which is part of the supervisor.

    Raises:
        UnknownNameError: a name, or a glob, matches nothing.
    """
    chosen: set[str] = set()
    for name in names:
        found = _matching(fleet, name)
        if not found and not _tasks(fleet, name) and not (name[:1] == "@" and name[1:] in fleet.groups):
            raise UnknownNameError(_unknown(fleet, name))
        chosen.update(found)
    return [instance for instance in everything(fleet) if instance.key in chosen]


def tasks(fleet: Fleet, name: str) -> list[str]:
    """Return the tasks that a name matches, also those that have no instance now.

    Raises:
        UnknownNameError: it matches nothing.
    """
    there = [instance.task.name for instance in select(fleet, [name])]
    return list(dict.fromkeys([*_tasks(fleet, name), *there]))


def without_instances(fleet: Fleet, names: list[str]) -> list[str]:
    """Return the tasks without an instance (`replicas` is 0) that the names match; without names, all such tasks."""
    meant = {task for name in names for task in _tasks(fleet, name)} if names else fleet.tasks
    return [task for task in fleet.tasks if task in meant and not any(fleet.copies(task))]


def everything(fleet: Fleet) -> list[Instance]:
    """Return every instance of every task; those of one task are together."""
    return [instance for instance in fleet.ordered() if not instance.task.helper]


def _matching(fleet: Fleet, name: str) -> list[str]:
    if name.startswith("@"):
        return [i.key for task in _tasks(fleet, name) for i in fleet.copies(task)]
    if _is_glob(name):
        return [i.key for i in everything(fleet) if _like(i.task.name, i.key, name)]
    return [i.key for i in everything(fleet) if name in (i.task.name, i.key)]


def _tasks(fleet: Fleet, name: str) -> list[str]:
    """Return the tasks by their own names; a glob that matches the first instance of a task matches the task."""
    if name.startswith("@"):
        group = fleet.groups.get(name[1:])
        return list(group.tasks) if group else []
    if _is_glob(name):
        return [task for task in fleet.tasks if _like(task, f"{task}:1", name)]
    return [name] if name in fleet.tasks else []


def _is_glob(name: str) -> bool:
    return any(character in name for character in "*?[")


def _like(task: str, instance: str, pattern: str) -> bool:
    return fnmatchcase(task, pattern) or fnmatchcase(instance, pattern)


def _unknown(fleet: Fleet, name: str) -> str:
    known = [*fleet.tasks, *(f"@{group}" for group in fleet.groups)]
    what = "group" if name.startswith("@") else "task matches" if _is_glob(name) else "task"
    task, colon, _ = name.partition(":")
    near = nearest(name, known) or (nearest(task, known) if colon else "")
    hint = f"did you mean {near!r}?" if near else "see `supctl status`"
    return f"no {what} {_cut(name)!r}; {hint}"


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
