"""Check whether the program of a command exists, as `exec` will look for it when the task starts.

A word with a slash is a path, relative to the directory of the task. Any other word is searched in the PATH that the
task will have. The first of these that sets it counts:

1. the task's own `environment`,
2. its environment files,
3. the supervisor's environment, when the task inherits it,
4. the system's default.

The environment files may set a PATH that is not known now. Then a program that is not found is no error. Each of the
three failures has its own message: the program does not exist, is not executable, or is a directory.

For a Python callable, the check looks for its module instead.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping

from supervisor.config.errors import Missing
from supervisor.config.machine import Machine
from supervisor.config.messages import quote, quote_path
from supervisor.config.source import Unreadable, regular
from supervisor.core.immutable import immutable
from supervisor.host.patience import asked

_LIMIT = 1024 * 1024  # bytes of an environment file that the check reads
_PATH_LINE = re.compile(r"^[ \t]*(?:export[ \t]+)?PATH=(.*)$", re.MULTILINE)


@immutable
class Setting:
    """The directory, user and environment of a start, as far as they matter for finding the program."""

    directory: str | None
    user: str | None
    environment: Mapping[str, str]
    environment_file: tuple[str, ...]
    inherit: bool


def check_program(word: str, setting: Setting, machine: Machine) -> None:
    """Look for the program of a command.

    Raises:
        Missing: the program cannot be started; the text says why.
    """
    if "${" in word:
        return  # the word gets its value only when an instance starts
    folder = setting.directory or ""
    path = None
    if "/" not in word:
        path = _search_path(setting, machine)
        if path is None:
            return
    key = (path or "", word, folder, setting.user is None)
    trouble = machine.programs.get(key)
    if trouble is None:
        trouble = (
            _along(path, word, folder, machine, setting) if path is not None else _file(word, folder, machine, setting)
        )
        machine.programs[key] = trouble
    if trouble:
        raise Missing(trouble)


def check_module(target: str, directory: str | None, machine: Machine) -> None:
    """Look for the package of a callable that `task.run` will import. Look for nothing below it: execute no code.

    Raises:
        Missing: there is no package of that name.
    """
    package = target.partition(":")[0].partition(".")[0]
    folder = directory or os.getcwd()
    key = (folder, package, "python", False)
    trouble = machine.programs.get(key)
    if trouble is None:
        what = f"no module {quote(package)}, neither in {quote_path(folder)} nor in the path of this Python"
        allowed = "allowed: a module that can be imported; see the key directory"
        found = asked(lambda place: _found(package, place), folder, otherwise=False)
        trouble = machine.programs[key] = "" if found else f"{what}; {allowed}"
    if trouble:
        raise Missing(trouble)


def _found(package: str, folder: str) -> bool:
    from importlib.machinery import PathFinder  # noqa: PLC0415 - few configs ask
    from importlib.util import find_spec  # noqa: PLC0415

    if package in sys.modules or PathFinder.find_spec(package, [folder]):
        return True
    return find_spec(package) is not None


def _search_path(setting: Setting, machine: Machine) -> str | None:
    """Return the PATH that the task will have; None: it cannot be known now."""
    path = setting.environment.get("PATH")
    if path is None:
        for name in reversed(setting.environment_file):
            found = _path_in(name)
            if found is None or "$" in found:
                return None
            if found:
                return found
        path = machine.environ.get("PATH", os.defpath) if setting.inherit else os.defpath
    return None if "${" in path else path


def _path_in(name: str) -> str | None:
    """Return the PATH that an environment file sets; "": it sets none; None: unknown, the file cannot be read now."""
    try:
        text = regular(name.removeprefix("-"), _LIMIT).decode()
    except (OSError, ValueError, Unreadable):
        return None
    lines = _PATH_LINE.findall(text)
    return lines[-1].strip().strip("\"'") if lines else ""


def _along(path: str, word: str, folder: str, machine: Machine, setting: Setting) -> str:
    """Return the error of a search for the program in PATH; "" if there is none."""
    trouble = ""
    for entry in path.split(":"):
        candidate = os.path.join(folder, entry, word)
        found = _trouble(candidate, machine, setting)
        if not found:
            return ""
        if not isinstance(machine.stat(candidate), str):
            trouble = trouble or f"{quote_path(candidate)} {found}"
    hint = "write it into the key environment" if re.match(r"\w+=", word) else "give its full path, or set PATH"
    return trouble or f"{quote(word)} is not found in PATH ({quote_path(path)}); {hint}"


def _file(word: str, folder: str, machine: Machine, setting: Setting) -> str:
    candidate = os.path.join(folder, word)
    found = _trouble(candidate, machine, setting)
    return found and f"{quote_path(candidate)} {found}"


def _trouble(candidate: str, machine: Machine, setting: Setting) -> str:
    """Return why a file cannot be started; "" if it can. For another user, only the mode bits are checked."""
    status = machine.stat(candidate)
    if isinstance(status, str):
        return f"{status}; allowed: a program that exists"
    if stat.S_ISDIR(status.st_mode):
        return "is a directory; allowed: a program"
    bits = bool(status.st_mode & 0o111)
    if not stat.S_ISREG(status.st_mode) or not (bits if setting.user else os.access(candidate, os.X_OK)):
        return "is not executable; allowed: a program, see chmod +x"
    return ""
