"""Whether the user of a task can get at what it names: its directory, its program, its log.

The log of a path is opened with the rights of that user, too: none shall write through us where he may not. Who could
not is told so beforehand: a warning, as only modes are looked at, and those may change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from supervisor.config.dependencies import Blame
from supervisor.config.outlets import files
from supervisor.config.wording import quote, quote_path
from supervisor.config.world import World
from supervisor.core.immutable import immutable

if TYPE_CHECKING:
    from supervisor.core.definition import Task

WRITE, SEARCH = stat.S_IWOTH, stat.S_IXOTH
"""What may be wanted of a place: the bits of its mode for others. Who may search a directory, may execute a file."""

_ALL_ACCESS = {"CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"}


@immutable
class Person:
    """Who wants something."""

    uid: int
    gids: frozenset[int]


def check_rights(tasks: Mapping[str, Task], world: World, warn: Blame) -> None:
    """Tells of each path that the user of its task could not get at."""
    for name, task in tasks.items():
        uid = world.user(task.user) if task.user else None
        if task.user and uid and not world.uid:
            theirs = frozenset(world.groups(task.user))
            beside = filter(None, (world.group(group) for group in (task.group, *task.groups) if group))
            if not _ALL_ACCESS.intersection(task.capabilities or ()):
                for key, message in _start(task, Person(uid, theirs.union(beside)), world):
                    warn(name, key, message)
            if message := _log(task, Person(uid, theirs), world):
                warn(name, "log", message)


def _start(task: Task, who: Person, world: World) -> Iterator[tuple[str, str]]:
    """What of its start is refused: a key, and why."""
    program = _program(task)
    if task.directory and (hurdle := _unsearchable(task.directory, who, world)):
        yield (
            "directory",
            f"{quote_path(task.directory)} is not open to {quote(task.user or '')}: {hurdle}; {_NO_START}",
        )
    elif program and (hurdle := _unsearchable(program, who, world)):
        yield "command", f"{quote_path(program)} is not open to {quote(task.user or '')}: {hurdle}; {_NO_START}"


_NO_START = "it could not start"


def _log(task: Task, who: Person, world: World) -> str:
    """The first of its files that is refused, and why; "" if none is."""
    if "/" not in task.log.to:
        return ""
    for _, path in files(task, ""):
        if hurdle := _unwritable(path, who, world):
            what = f"{quote_path(path)} is opened as {quote(task.user or '')}, who may not write there: {hurdle}"
            return f"{what}; what the task says would be lost"
    return ""


def _program(task: Task) -> str:
    """The path of its program; "" if that is not known now, or looked for in PATH, where there may be others."""
    word = task.command[0] if task.command else ""
    path = os.path.join(task.directory or "", word.removeprefix("./"))
    return path if "/" in word and "${" not in word and os.path.isabs(path) else ""


def _unsearchable(path: str, who: Person, world: World) -> str:
    """What keeps somebody from entering a directory, or executing a file; "" if nothing does."""
    return _closed(path, who, world) or _lacks(path, SEARCH, who, world)


def _unwritable(path: str, who: Person, world: World) -> str:
    """The same of a file that is to be written to; one that is not there is made, with the directories above it."""
    place = world.nearest(path)
    status = world.stat(place)
    is_directory = not isinstance(status, str) and stat.S_ISDIR(status.st_mode)
    return _closed(place, who, world) or _lacks(place, WRITE | SEARCH if is_directory else WRITE, who, world)


def _closed(path: str, who: Person, world: World) -> str:
    """The first directory above a path, or above what it is a link to, that somebody may not search; "" if none."""
    ways = (one.split("/")[:-1] for one in (path, os.path.realpath(path)))
    above = ("/".join(names[:length]) or "/" for names in ways for length in range(1, len(names) + 1))
    return next(filter(None, (_lacks(one, SEARCH, who, world) for one in above)), "")


def _lacks(path: str, wanted: int, who: Person, world: World) -> str:
    """A path and its mode, if that does not give somebody all that is wanted; else ""."""
    status = world.stat(path)
    if isinstance(status, str):
        return ""
    shift = 6 if status.st_uid == who.uid else 3 if status.st_gid in who.gids else 0
    refused = (status.st_mode >> shift) & wanted != wanted
    return f"{quote_path(path)} has mode {stat.S_IMODE(status.st_mode):04o}" if refused else ""
