"""Check that each log file belongs to one instance. Two instances would rotate a shared file by different rules.

Instances may share a file that is not regular (/dev/stderr, a FIFO). `logs.names` defines the names of the files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from supervisor.config.dependencies import Blame
from supervisor.config.machine import Machine
from supervisor.config.messages import quote_path
from supervisor.core.definition import Log
from supervisor.host.patience import asked

if TYPE_CHECKING:
    from supervisor.core.definition import Task


def check_outlets(tasks: Mapping[str, Task], log_dir: str, machine: Machine, blame: Blame) -> None:
    """Report each file that a second instance would write to."""
    owners: dict[str, tuple[str, str]] = {}
    for name, task in tasks.items():
        for owner, path in files(task, log_dir):
            other, of = owners.setdefault(path, (owner, name))
            if other == owner or _special(path, machine):
                continue
            if of == name:
                what = f"the log of {other} and of {owner} would be the same file, {quote_path(path)}"
                blame(name, "log", f"{what}; allowed: replicas = 1, or a file in log_dir")
                break
            guilty, victim = (of, name) if task.log == Log() else (name, of)  # blame the one that configures its log
            what = f'{quote_path(path)} is also the log of the task "{victim}"'
            blame(guilty, "log", f"{what}; allowed: a file that no other task writes")


def files(task: Task, log_dir: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each instance, as people see it, with each of its log files."""
    if task.log.to in ("none", "inherit", "journal"):
        return
    for index in range(1, task.replicas + 1):
        owner = f"{task.name}:{index}" if task.replicas > 1 else task.name
        own = task.name if index == 1 else owner
        to = task.log.to
        path = os.path.join(log_dir, f"{own}.log") if to == "file" else asked(os.path.realpath, to, to)
        yield owner, path
        if task.log.stderr == "separate":
            root, extension = os.path.splitext(path)
            yield owner, f"{root}.err{extension}"


def _special(path: str, machine: Machine) -> bool:
    status = machine.stat(path)
    return not isinstance(status, str) and not stat.S_ISREG(status.st_mode)
