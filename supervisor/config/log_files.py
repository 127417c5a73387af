"""One file belongs to one instance: two that write to the same one would rotate it under each other's rules.

What is no regular file (/dev/stderr, a FIFO) may be shared. The names of the files are those of `logs.places`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from supervisor.config.dependencies import Blame
from supervisor.config.wording import quote_path
from supervisor.config.world import World
from supervisor.core.definition import Log

if TYPE_CHECKING:
    from supervisor.core.definition import Task


def check_outlets(tasks: Mapping[str, Task], log_dir: str, world: World, blame: Blame) -> None:
    """Tells of each file that a second instance would write to."""
    owners: dict[str, tuple[str, str]] = {}
    for name, task in tasks.items():
        for owner, path in files(task, log_dir):
            other, of = owners.setdefault(path, (owner, name))
            if other == owner or _special(path, world):
                continue
            if of == name:
                what = f"{quote_path(path)} would be the log of {other} and of {owner}"
                blame(name, "log", f"{what}; allowed: replicas = 1, or a file in log_dir")
                break
            guilty, victim = (of, name) if task.log == Log() else (name, of)  # who has said anything about its log
            what = f'{quote_path(path)} is the log of the task "{victim}" as well'
            blame(guilty, "log", f"{what}; allowed: one of its own")


def files(task: Task, log_dir: str) -> Iterator[tuple[str, str]]:
    """The instances as people see them, and their files."""
    if task.log.to in ("none", "inherit", "journal"):
        return
    for index in range(1, task.replicas + 1):
        owner = f"{task.name}:{index}" if task.replicas > 1 else task.name
        own = task.name if index == 1 else owner
        path = os.path.join(log_dir, f"{own}.log") if task.log.to == "file" else os.path.realpath(task.log.to)
        yield owner, path
        if task.log.stderr == "separate":
            root, extension = os.path.splitext(path)
            yield owner, f"{root}.err{extension}"


def _special(path: str, world: World) -> bool:
    status = world.stat(path)
    return not isinstance(status, str) and not stat.S_ISREG(status.st_mode)
