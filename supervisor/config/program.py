"""Is there a program for a command: the question that `exec` would ask when the task starts, asked now.

A word with a slash is a path, relative to the directory of the task. Any other word is searched in the PATH
that the task will have: its own `environment`, else its environment files, else the supervisor's (when it
is inherited), else the system's default. When the files may still set a PATH that is not known now, a
program that is not found is no error. The three ways to fail have their own words: not there, not
executable, a directory.

Of a Python callable, the module is looked for instead.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping

from supervisor.config.errors import Wrong
from supervisor.config.source import Unreadable, regular
from supervisor.config.wording import quote, quote_path
from supervisor.config.world import World
from supervisor.core.immutable import immutable

_LIMIT = 1024 * 1024  # bytes of an environment file that are looked at
_PATH_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?PATH=(.*)$", re.MULTILINE)


@immutable
class Setting:
    """Where and as whom a program will be started, as far as it matters for finding it."""

    directory: str | None
    user: str | None
    environment: Mapping[str, str]
    environment_file: tuple[str, ...]
    inherit: bool


def check_program(word: str, setting: Setting, world: World) -> None:
    """Look for the program of a command.

    Raises:
        Wrong: it cannot be started, and why.
    """
    if "${" in word:
        return  # has a value only when an instance starts
    folder = setting.directory or ""
    path = None
    if "/" not in word:
        path = _search_path(setting, world)
        if path is None:
            return
    key = (path or "", word, folder, setting.user is None)
    trouble = world.programs.get(key)
    if trouble is None:
        trouble = (
            _along(path, word, folder, world, setting) if path is not None else _file(word, folder, world, setting)
        )
        world.programs[key] = trouble
    if trouble:
        raise Wrong(trouble)


def check_module(target: str, directory: str | None, world: World) -> None:
    """Look for the module of a callable, as `task.run` will import it: only its package, as nothing may be executed.

    Raises:
        Wrong: there is none of that name.
    """
    package = target.partition(":")[0].partition(".")[0]
    folder = directory or os.getcwd()
    key = (folder, package, "python", False)
    trouble = world.programs.get(key)
    if trouble is None:
        what = f"no module {quote(package)}, neither in {quote_path(folder)} nor in the path of this Python"
        allowed = "allowed: one that can be imported, see directory"
        trouble = world.programs[key] = "" if _found(package, folder) else f"{what}; {allowed}"
    if trouble:
        raise Wrong(trouble)


def _found(package: str, folder: str) -> bool:
    from importlib.machinery import PathFinder  # noqa: PLC0415 - few configs ask
    from importlib.util import find_spec  # noqa: PLC0415

    if package in sys.modules or PathFinder.find_spec(package, [folder]):
        return True
    return find_spec(package) is not None


def _search_path(setting: Setting, world: World) -> str | None:
    """The PATH that the task will have; None: it cannot be known now."""
    path = setting.environment.get("PATH")
    if path is None:
        for name in reversed(setting.environment_file):
            found = _path_in(name)
            if found is None or "$" in found:
                return None
            if found:
                return found
        path = world.environ.get("PATH", os.defpath) if setting.inherit else os.defpath
    return None if "${" in path else path


def _path_in(name: str) -> str | None:
    """The PATH that an environment file sets; "": none; None: cannot be known, the file may change or come later."""
    try:
        text = regular(name.removeprefix("-"), _LIMIT).decode()
    except (OSError, ValueError, Unreadable):
        return None
    lines = _PATH_LINE.findall(text)
    return lines[-1].strip().strip("\"'") if lines else ""


def _along(path: str, word: str, folder: str, world: World, setting: Setting) -> str:
    """What is wrong with the program that a search finds; "" if nothing."""
    trouble = ""
    for entry in path.split(":"):
        candidate = os.path.join(folder, entry, word)
        found = _trouble(candidate, world, setting)
        if not found:
            return ""
        if not isinstance(world.stat(candidate), str):
            trouble = trouble or f"{quote_path(candidate)} {found}"
    hint = "write it into the key environment" if re.match(r"\w+=", word) else "give its full path, or set PATH"
    return trouble or f"{quote(word)} is not found in PATH ({quote_path(path)}); {hint}"


def _file(word: str, folder: str, world: World, setting: Setting) -> str:
    candidate = os.path.join(folder, word)
    found = _trouble(candidate, world, setting)
    return found and f"{quote_path(candidate)} {found}"


def _trouble(candidate: str, world: World, setting: Setting) -> str:
    """Why a file cannot be started; "" if it can. For another user only the bits are looked at."""
    status = world.stat(candidate)
    if isinstance(status, str):
        return f"{status}; allowed: a program that exists"
    if stat.S_ISDIR(status.st_mode):
        return "is a directory; allowed: a program"
    bits = bool(status.st_mode & 0o111)
    if not stat.S_ISREG(status.st_mode) or not (bits if setting.user else os.access(candidate, os.X_OK)):
        return "is not executable; allowed: a program, see chmod +x"
    return ""
