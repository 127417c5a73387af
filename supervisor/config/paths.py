"""The types that name things of this machine: paths, directories, files, users, environment, where output goes.

A relative path starts in the directory of the file that holds the key, so a config and its files can be
moved together. What must exist when a task starts must exist now: a directory, an environment file, a user.
"""

from __future__ import annotations

import os
import stat

from supervisor.config.errors import Problem, Wrong
from supervisor.config.interpolate import interpolate
from supervisor.config.key import Type
from supervisor.config.values import filled, not_one_of, string
from supervisor.config.wording import dotted, quote, quote_path, show
from supervisor.config.world import Scope


def pattern(value: object, scope: Scope) -> str:
    """A path or a glob as it is written, with its `${NAME}` replaced."""
    text = interpolate(filled(value), scope.world.environ, at_start=False)
    if not text:
        raise Wrong(f"{show(value)} is empty here; allowed: a path")
    if text.startswith("~"):
        raise Wrong(f"{quote(text)} has a ~, which only shells know; write ${{HOME}}")
    return text


def path(value: object, scope: Scope) -> str:
    """An absolute path. `..` stays: behind a symbolic link it means what the kernel says, not what the text says."""
    joined = os.path.join(scope.folder, pattern(value, scope))
    return joined if ".." in joined else os.path.normpath(joined)


def directory(value: object, scope: Scope) -> str:
    """A directory that exists."""
    found = path(value, scope)
    status = scope.world.stat(found)
    if isinstance(status, str):
        raise Wrong(f"{quote_path(found)} {status}; allowed: a directory that exists")
    if not stat.S_ISDIR(status.st_mode):
        raise Wrong(f"{quote_path(found)} is not a directory; allowed: a directory that exists")
    return found


def environment_file(value: object, scope: Scope) -> str:
    """A file of KEY=VALUE lines that exists, or "-" and one that may be missing."""
    text = filled(value)
    optional = "-" if text.startswith("-") else ""
    found = path(text.removeprefix("-"), scope)
    status = scope.world.stat(found)
    if isinstance(status, str):
        if optional:
            return optional + found
        raise Wrong(f'{quote_path(found)} {status}; allowed: a file, with a leading "-" one that may be missing')
    if stat.S_ISDIR(status.st_mode):
        raise Wrong(f"{quote_path(found)} is a directory; allowed: a file of KEY=VALUE lines")
    return optional + found


def environment(value: object, scope: Scope) -> dict[str, str]:
    """Names and values; `${NAME}` in a value comes from the supervisor's own environment."""
    if not isinstance(value, dict):
        raise Wrong(f'{show(value)} is not a table; allowed: {{ NAME = "value" }}')
    problems: list[Problem] = []
    result: dict[str, str] = {}
    for name, raw in value.items():
        try:
            result[_variable(name)] = interpolate(_text(name, raw), scope.world.environ, at_start=True)
        except Wrong as wrong:
            problems += (((name,), message) for _, message in wrong.problems)
    if problems:
        raise Wrong(problems=problems)
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
    """A user of this machine, and one that we may become."""
    name = filled(value)
    uid = scope.world.user(name)
    if uid is None:
        raise Wrong(f"there is no user {quote(name)}; allowed: the name of a user of this machine")
    if scope.world.uid not in (0, uid):
        raise Wrong(f"to run as {quote(name)} needs root; allowed without root: no user, or our own")
    return name


def system_group(value: object, scope: Scope) -> str:
    """A group of this machine."""
    name = filled(value)
    if scope.world.group(name) is None:
        raise Wrong(f"there is no group {quote(name)}; allowed: the name of a group of this machine")
    return name


_TARGETS = ("file", "none", "inherit", "journal")


def log_target(value: object, scope: Scope) -> str:
    """Where output goes: one of four words, or a path, which is known by its slash."""
    text = filled(value)
    if text in _TARGETS:
        return text
    if "/" not in text:
        raise Wrong(f'{not_one_of(text, _TARGETS)}, or a path with a slash ("./{text[:20]}")')
    found = path(text, scope)
    status = scope.world.stat(found)
    if not isinstance(status, str) and stat.S_ISDIR(status.st_mode):
        raise Wrong(f"{quote_path(found)} is a directory; allowed: the path of a file")
    above = scope.world.nearest(os.path.dirname(found))  # directories that are missing are made
    there = scope.world.stat(above)
    if not isinstance(there, str) and not stat.S_ISDIR(there.st_mode):
        raise Wrong(f"{quote_path(above)} is not a directory; allowed: a file in a directory")
    if isinstance(status, str) and scope.world.is_of_the_kernel(above):
        raise Wrong(
            f"{quote_path(found)} cannot be made in {quote_path(above)}, which is the kernel's; allowed: a file"
        )
    return found


PATH = Type("path", path)
DIRECTORY = Type("directory", directory)
ENVIRONMENT = Type("table of strings", environment)
USER = Type("user", user)
SYSTEM_GROUP = Type("group of the system", system_group)
LOG_TARGET = Type('"file" | "none" | "inherit" | "journal" | path', log_target)
