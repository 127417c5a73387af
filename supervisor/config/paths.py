"""The types that name things of this machine: paths, directories, files, users, environment, log targets.

A relative path starts in the directory of the file that holds the key. So a person can move a config and its files
together. A directory, an environment file or a user that a task needs at its start should exist now. If it does not
exist, this is an error of the machine (`Missing`).
"""

from __future__ import annotations

import os
import stat

from supervisor.config.errors import Missing, Problem, Wrong
from supervisor.config.interpolate import interpolate
from supervisor.config.key import Type, refuse
from supervisor.config.machine import Scope
from supervisor.config.messages import dotted, quote, quote_path, show
from supervisor.config.values import filled, not_one_of, string


def pattern(value: object, scope: Scope) -> str:
    """Return a path or a glob as it is written, with its `${NAME}` replaced."""
    text = interpolate(filled(value), scope.machine.environ, at_start=False)
    if not text:
        raise Wrong(f"{show(value)} is an empty path; allowed: a path")
    if text.startswith("~"):
        raise Wrong(f"{quote(text)} has a ~, which only a shell replaces; write ${{HOME}}")
    return text


def path(value: object, scope: Scope) -> str:
    """Return an absolute path. `..` stays in it: after a symbolic link, only the kernel knows what `..` means."""
    joined = os.path.join(scope.folder, pattern(value, scope))
    return joined if ".." in joined else os.path.normpath(joined)


def directory(value: object, scope: Scope) -> str:
    """Return a directory that exists."""
    found = path(value, scope)
    status = scope.machine.stat(found)
    if isinstance(status, str):
        raise Missing(f"{quote_path(found)} {status}; allowed: a directory that exists", good=found)
    if not stat.S_ISDIR(status.st_mode):
        raise Missing(f"{quote_path(found)} is not a directory; allowed: a directory that exists", good=found)
    return found


def environment_file(value: object, scope: Scope) -> str:
    """Return an existing file of KEY=VALUE lines. After a leading "-", the file may be missing."""
    text = filled(value)
    optional = "-" if text.startswith("-") else ""
    found = path(text.removeprefix("-"), scope)
    status = scope.machine.stat(found)
    if isinstance(status, str):
        if optional:
            return optional + found
        text = f'{quote_path(found)} {status}; allowed: a file, with a leading "-" one that may be missing'
        raise Missing(text, good=found)
    if stat.S_ISDIR(status.st_mode):
        raise Missing(f"{quote_path(found)} is a directory; allowed: a file of KEY=VALUE lines", good=optional + found)
    return optional + found


def environment(value: object, scope: Scope) -> dict[str, str]:
    """Return names and values. `${NAME}` in a value comes from the supervisor's own environment."""
    if not isinstance(value, dict):
        raise Wrong(f'{show(value)} is not a table; allowed: {{ NAME = "value" }}')
    problems: list[Problem] = []
    result: dict[str, str] = {}
    for name, raw in value.items():
        try:
            result[_variable(name)] = interpolate(_text(name, raw), scope.machine.environ, at_start=True)
        except Wrong as wrong:
            problems += (problem.below(name) for problem in wrong.problems)
    refuse(problems, result)
    return result


def _variable(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise Wrong("not a name of a variable; allowed: text that is not empty and has no = and no NUL")
    return name


def _text(name: str, raw: object) -> str:
    if isinstance(raw, int | float):
        raise Wrong(f'{show(raw)} is not a string; write {dotted([name])} = "{show(raw)}"')
    return string(raw)


def user(value: object, scope: Scope) -> str:
    """Return a user of this machine whose identity the supervisor may take."""
    name = filled(value)
    uid = scope.machine.user(name)
    if uid is None:
        raise Missing(f"there is no user {quote(name)}; allowed: the name of a user of this machine", good=name)
    if scope.machine.uid not in (0, uid):
        raise Wrong(f"only root may run a task as {quote(name)}; allowed: no user, or that of the supervisor")
    return name


def system_group(value: object, scope: Scope) -> str:
    """Return a group of this machine."""
    name = filled(value)
    if scope.machine.group(name) is None:
        raise Missing(f"there is no group {quote(name)}; allowed: the name of a group of this machine", good=name)
    return name


_TARGETS = ("file", "none", "inherit", "journal")


def log_target(value: object, scope: Scope) -> str:
    """Return where output goes: one of four words, or a path. A path has a slash."""
    text = filled(value)
    if text in _TARGETS:
        return text
    if "/" not in text:
        raise Wrong(f"{not_one_of(text, _TARGETS)}, or a path with a slash ({quote('./' + text[:20])})")
    found = path(text, scope)
    status = scope.machine.stat(found)
    if not isinstance(status, str) and stat.S_ISDIR(status.st_mode):
        raise Missing(f"{quote_path(found)} is a directory; allowed: the path of a file", good=found)
    above = scope.machine.nearest(os.path.dirname(found))  # the supervisor makes missing directories
    there = scope.machine.stat(above)
    if not isinstance(there, str) and not stat.S_ISDIR(there.st_mode):
        raise Missing(f"{quote_path(above)} is not a directory; allowed: a file in a directory", good=found)
    if isinstance(status, str) and scope.machine.is_of_the_kernel(above):
        what = f"{quote_path(found)} cannot be created in {quote_path(above)}, a file system of the kernel"
        raise Missing(f"{what}; allowed: a file", good=found)
    return found


PATH = Type("path", path)
DIRECTORY = Type("directory", directory)
ENVIRONMENT = Type("table of strings", environment)
USER = Type("user", user)
SYSTEM_GROUP = Type("Unix group", system_group)
LOG_TARGET = Type('"file" | "none" | "inherit" | "journal" | path', log_target)
