"""What a NAME on the command line means: a task, an instance, a group, or a glob (contract, section 7)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from supervisor.core.fleet import Fleet
from supervisor.core.instance import Instance
from supervisor.core.nearest import nearest

LONGEST = 100
"""Characters of a name that are repeated to who asked for it; no task has a longer one."""


class UnknownNameError(Exception):
    """There is nothing of that name; the text says what is near."""


def select(fleet: Fleet, names: list[str]) -> list[Instance]:
    """The instances that the names mean, each once, in the order of the config.

    Helpers (`@scribe`) are the supervisor's own and are not meant by any name.

    Raises:
        UnknownNameError: a name, or a glob, means nothing.
    """
    chosen: set[str] = set()
    for name in names:
        found = _matching(fleet, name)
        if not found and name not in fleet.tasks and name[1:] not in (fleet.groups if name[:1] == "@" else ()):
            raise UnknownNameError(_unknown(fleet, name))
        chosen.update(found)
    return [instance for instance in everything(fleet) if instance.key in chosen]


def without_instances(fleet: Fleet, names: list[str]) -> list[str]:
    """The tasks that the names mean (all of them without names) and that have no instance: `replicas` is 0."""
    groups = {f"@{name}": group.tasks for name, group in fleet.groups.items()}
    meant = [
        task for task in fleet.tasks
        if not names or any(fnmatchcase(task, name) or task in groups.get(name, ()) for name in names)
    ]  # fmt: skip
    return [task for task in meant if not any(fleet.copies(task))]


def everything(fleet: Fleet) -> list[Instance]:
    """Every instance of every task, those of one task together."""
    return [instance for instance in fleet.ordered() if not instance.task.helper]


def _matching(fleet: Fleet, name: str) -> list[str]:
    if name.startswith("@"):
        group = fleet.groups.get(name[1:])
        return [i.key for task in group.tasks for i in fleet.copies(task)] if group else []
    if any(character in name for character in "*?["):
        return [i.key for i in everything(fleet) if _like(i, name)]
    return [i.key for i in everything(fleet) if name in (i.task.name, i.key)]


def _like(instance: Instance, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (instance.task.name, instance.key))


def _unknown(fleet: Fleet, name: str) -> str:
    known = [*fleet.tasks, *(f"@{group}" for group in fleet.groups)]
    what = "group" if name.startswith("@") else "task matches" if any(c in name for c in "*?[") else "task"
    task, colon, _ = name.partition(":")
    near = nearest(name, known) or (nearest(task, known) if colon else "")
    hint = f"did you mean {near!r}?" if near else "see `supctl status`"
    return f"no {what} {_cut(name)!r}; {hint}"


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
