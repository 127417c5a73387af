"""The types of a task's security context: capabilities, paths, credentials, system calls.

Most of these keys need root, and all of them must be right before a task runs. So the config check already asks:

- Does the path exist?
- Is the group known?
- Does a capability or a system call have that name?
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection

from supervisor.config.errors import Missing, Problem, Wrong
from supervisor.config.key import Type, refuse
from supervisor.config.machine import Scope
from supervisor.config.messages import listing, quote, quote_path, show
from supervisor.config.paths import path, system_group
from supervisor.config.values import each, filled, string
from supervisor.core.capabilities import CAPABILITIES
from supervisor.core.nearest import nearest

_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)


def needs_root(inner: Type, without: str, *harmless: object) -> Type:
    """Return the type of a key that needs root, except for `harmless` values. `without` names those in the error."""

    def parse(value: object, scope: Scope) -> object:
        found: object
        try:
            found = inner.parse(value, scope)
        except Missing as missing:
            if not scope.machine.uid:
                raise
            found = missing.good
        if scope.machine.uid and found not in harmless:
            raise Wrong(f"needs root; allowed without root: {without}")
        return found

    return Type(inner.words, parse)


def capability(value: object, _scope: Scope) -> str:
    """Return a name of capabilities(7). It is written with or without CAP_, in any case."""
    text = filled(value)
    found = text.upper().removeprefix("CAP_")
    if f"CAP_{found}" not in CAPABILITIES:
        near = nearest(found, [name.removeprefix("CAP_") for name in CAPABILITIES])
        hint = f"did you mean {quote(f'CAP_{near}')}?" if near else "allowed: a name of capabilities(7)"
        raise Wrong(f"{quote(text)} is not a capability; {hint}")
    return f"CAP_{found}"


def capabilities(value: object, scope: Scope) -> tuple[str, ...]:
    """Return a list of capabilities, each one once. The empty list means: none."""
    if not isinstance(value, list):
        raise Wrong(f'{show(value)} is not a list; allowed: ["CAP_NET_BIND_SERVICE"], or [] for none')
    return tuple(dict.fromkeys(each(capability, value, scope)))


def group(value: object, scope: Scope) -> str:
    """Return a Unix group, not a group of tasks."""
    try:
        return system_group(value, scope)
    except Wrong as wrong:
        text = f"{wrong}; a group of tasks is [group.NAME] with tasks = [...]"
        raise type(wrong)(text, good=wrong.good) from None


def place(value: object, scope: Scope) -> str:
    """Return a path that exists. After a leading "-", the path may be missing."""
    text = filled(value)
    optional = "-" if text.startswith("-") else ""
    found = path(text.removeprefix("-"), scope)
    status = scope.machine.stat(found)
    if isinstance(status, str) and not optional:
        text = f'{quote_path(found)} {status}; allowed: a path, with a leading "-" one that may be missing'
        raise Missing(text, good=found)
    return optional + found


def credentials(value: object, scope: Scope) -> dict[str, str]:
    """Return names of credentials. Each one has the file that is read when the task starts."""
    if not isinstance(value, dict):
        raise Wrong(f'{show(value)} is not a table; allowed: {{ db-password = "/etc/creds/db" }}')
    problems: list[Problem] = []
    found: dict[str, str] = {}
    for name, source in value.items():
        try:
            if not _CREDENTIAL.fullmatch(name) or name in (".", ".."):
                raise Wrong("not the name of a credential; allowed: letters, digits, _, . and -")
            found[name] = _file(source, scope)
        except Wrong as wrong:
            problems += (problem.below(name) for problem in wrong.problems)
            if isinstance(wrong.good, str):
                found[name] = wrong.good
    refuse(problems, found)
    return found


def _file(value: object, scope: Scope) -> str:
    if filled(value).startswith("-"):
        raise Wrong(f'{quote(string(value))} has a leading "-", but a credential cannot be optional; allowed: a file')
    found = path(value, scope)
    status = scope.machine.stat(found)
    if isinstance(status, str):
        raise Missing(f"{quote_path(found)} {status}; allowed: a file", good=found)
    if stat.S_ISDIR(status.st_mode):
        raise Missing(f"{quote_path(found)} is a directory; allowed: a file", good=found)
    return found


def system_calls(value: object, scope: Scope) -> tuple[str, ...]:
    """Return names of system calls and of groups of them. Each one may have a "~" before it."""
    from supervisor.host.step import StepError  # noqa: PLC0415 - most configs have no need for all of this
    from supervisor.sandbox.seccomp import library  # noqa: PLC0415

    if not isinstance(value, list) or not value:
        raise Wrong(f'{show(value)} is not a list of system calls; allowed: ["@system-service", "~@swap"]')
    try:
        library()
    except StepError as error:
        raise Missing(str(error), good=tuple(map(string, value))) from None
    return each(_system_call, value, scope)


def _system_call(value: object, _scope: Scope) -> str:
    from supervisor.sandbox.seccomp import ALWAYS, is_known  # noqa: PLC0415
    from supervisor.sandbox.syscalls import GROUPS  # noqa: PLC0415

    text = string(value)
    name = text.removeprefix("~")
    if name.startswith("@"):
        if name not in GROUPS:
            raise Wrong(f"{quote(name)} is not a group of system calls; {_meant(name, GROUPS)}")
    elif not re.fullmatch(r"\w{1,64}", name, re.ASCII) or not is_known(name):
        every = {call for calls in GROUPS.values() for call in calls if not call.startswith("@")}
        near = nearest(name, every)
        hint = f"did you mean {quote(near)}?" if near else "see syscalls(2)"
        raise Wrong(f"{quote(name)} is not a system call; {hint}")
    if text.startswith("~") and (name == "@default" or name in ALWAYS):
        raise Wrong(f"{quote(name)} cannot be forbidden: every program needs it; allowed: other calls")
    return text


def _meant(name: str, groups: Collection[str]) -> str:
    near = nearest(name, groups)
    return f"did you mean {quote(near)}?" if near else listing(groups)


CAPABILITIES_TYPE = Type("list of capabilities", capabilities)
GROUP_OF_SYSTEM = Type("Unix group", group)
CREDENTIALS = Type("table of paths", credentials)
SYSTEM_CALLS = Type("list of system calls", system_calls)
