"""Check whether the user of a task has access to its directory, its program and its log.

A log file with a path is opened with the rights of that user, too. So no user can write through the supervisor to a
place where the user itself may not write. The check only warns, because it reads only file modes, and modes may change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from supervisor.config.dependencies import Blame
from supervisor.config.log_files import files
from supervisor.config.machine import Machine
from supervisor.config.messages import quote, quote_path
from supervisor.core.immutable import immutable
from supervisor.host.patience import asked

if TYPE_CHECKING:
    from supervisor.core.definition import Task

WRITE, SEARCH = stat.S_IWOTH, stat.S_IXOTH
"""The access that a check asks for, as mode bits for others. The same bit means: search a directory, execute a file."""

_ALL_ACCESS = {"CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"}


@immutable
class Person:
    """The user and the groups whose access is checked."""

    uid: int
    gids: frozenset[int]


def check_rights(tasks: Mapping[str, Task], machine: Machine, warn: Blame) -> None:
    """Warn of each path that the user of its task could not access."""
    for name, task in tasks.items():
        uid = machine.user(task.user) if task.user else None
        if task.user and uid and not machine.uid:
            theirs = frozenset(machine.groups(task.user))
            beside = filter(None, (machine.group(group) for group in (task.group, *task.groups) if group))
            if not _ALL_ACCESS.intersection(task.capabilities or ()):
                for key, message in _start(task, Person(uid, theirs.union(beside)), machine):
                    warn(name, key, message)
            if message := _log(task, Person(uid, theirs), machine):
                warn(name, "log", message)


def _start(task: Task, who: Person, machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield the key that would make the start fail, and the reason."""
    program = _program(task)
    if task.directory and (hurdle := _unsearchable(task.directory, who, machine)):
        yield (
            "directory",
            f"{quote_path(task.directory)} is not open to {quote(task.user or '')}: {hurdle}; {_NO_START}",
        )
    elif program and (hurdle := _unsearchable(program, who, machine)):
        yield "command", f"{quote_path(program)} is not open to {quote(task.user or '')}: {hurdle}; {_NO_START}"


_NO_START = "the task could not start"


def _log(task: Task, who: Person, machine: Machine) -> str:
    """Return the first log file that the user may not write, and the reason; "" if there is none."""
    if "/" not in task.log.to:
        return ""
    for _, path in files(task, ""):
        if hurdle := _unwritable(path, who, machine):
            what = f"{quote_path(path)} is opened as {quote(task.user or '')}, who may not write there: {hurdle}"
            return f"{what}; the output of the task would be lost"
    return ""


def _program(task: Task) -> str:
    """Return the path of its program; "" if it is not known now, or if PATH is searched, where others may be."""
    word = task.command[0] if task.command else ""
    path = os.path.join(task.directory or "", word.removeprefix("./"))
    return path if "/" in word and "${" not in word and os.path.isabs(path) else ""


def _unsearchable(path: str, who: Person, machine: Machine) -> str:
    """Return what stops a user from entering a directory or executing a file; "" if nothing does."""
    return _closed(path, who, machine) or _lacks(path, SEARCH, who, machine)


def _unwritable(path: str, who: Person, machine: Machine) -> str:
    """Return what stops a user from writing a file, or from making a missing one with its directories; else ""."""
    place = machine.nearest(path)
    status = machine.stat(place)
    is_directory = not isinstance(status, str) and stat.S_ISDIR(status.st_mode)
    return _closed(place, who, machine) or _lacks(place, WRITE | SEARCH if is_directory else WRITE, who, machine)


def _closed(path: str, who: Person, machine: Machine) -> str:
    """Return the first directory above a path, or above its link target, that the user may not search; else ""."""
    ways = (one.split("/")[:-1] for one in (path, asked(os.path.realpath, path, path)))
    above = ("/".join(names[:length]) or "/" for names in ways for length in range(1, len(names) + 1))
    return next(filter(None, (_lacks(one, SEARCH, who, machine) for one in above)), "")


def _lacks(path: str, wanted: int, who: Person, machine: Machine) -> str:
    """Return a path and its mode, if the mode does not give the user all of the access; else ""."""
    status = machine.stat(path)
    if isinstance(status, str):
        return ""
    shift = 6 if status.st_uid == who.uid else 3 if status.st_gid in who.gids else 0
    refused = (status.st_mode >> shift) & wanted != wanted
    return f"{quote_path(path)} has mode {stat.S_IMODE(status.st_mode):04o}" if refused else ""
