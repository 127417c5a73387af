"""The types of a task's security context: capabilities, places, credentials, system calls.

Most of it needs root, and all of it must be right before a task runs, so everything that can be asked now is
asked now: whether a path exists, a group is known, a capability or a system call has that name.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection

from supervisor.config.errors import Problem, Wrong
from supervisor.config.key import Type
from supervisor.config.places import path, system_group
from supervisor.config.values import each, filled, string
from supervisor.config.wording import listing, quote, quote_path, show
from supervisor.config.world import Scope
from supervisor.core.capabilities import CAPABILITIES
from supervisor.core.nearest import nearest

_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)


def needs_root(inner: Type, without: str, *harmless: object) -> Type:
    """What only root can give a task; `harmless`: values that are nothing special, `without`: what to say of them."""

    def parse(value: object, scope: Scope) -> object:
        found: object = inner.parse(value, scope)
        if scope.world.uid and found not in harmless:
            raise Wrong(f"needs root; allowed without root: {without}")
        return found

    return Type(inner.words, parse)


def capability(value: object, _scope: Scope) -> str:
    """A name of capabilities(7), with or without CAP_, in any case."""
    text = filled(value)
    found = text.upper().removeprefix("CAP_")
    if f"CAP_{found}" not in CAPABILITIES:
        near = nearest(found, [name.removeprefix("CAP_") for name in CAPABILITIES])
        hint = f"did you mean {quote(f'CAP_{near}')}?" if near else "allowed: a name of capabilities(7)"
        raise Wrong(f"{quote(text)} is not a capability; {hint}")
    return f"CAP_{found}"


def capabilities(value: object, scope: Scope) -> tuple[str, ...]:
    """A list of them, each once; the empty list is none at all."""
    if not isinstance(value, list):
        raise Wrong(f'{show(value)} is not a list; allowed: ["CAP_NET_BIND_SERVICE"], or [] for none')
    return tuple(dict.fromkeys(each(capability, value, scope)))


def group(value: object, scope: Scope) -> str:
    """A group of the system; those of tasks are something else."""
    try:
        return system_group(value, scope)
    except Wrong as wrong:
        raise Wrong(f"{wrong.problems[0][1]}; a group of tasks is [group.NAME] with tasks = [...]") from None


def place(value: object, scope: Scope) -> str:
    """A path that exists, or "-" and one that may be missing."""
    text = filled(value)
    optional = "-" if text.startswith("-") else ""
    found = path(text.removeprefix("-"), scope)
    status = scope.world.stat(found)
    if isinstance(status, str) and not optional:
        raise Wrong(f'{quote_path(found)} {status}; allowed: a path, with a leading "-" one that may be missing')
    return optional + found


def credentials(value: object, scope: Scope) -> dict[str, str]:
    """Names, each with the file that it is read from when the task starts."""
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
            problems += (((name,), message) for _, message in wrong.problems)
    if problems:
        raise Wrong(problems=problems)
    return found


def _file(value: object, scope: Scope) -> str:
    if filled(value).startswith("-"):
        raise Wrong(f"{quote(string(value))} may be missing, and is then no credential; allowed: a file")
    found = path(value, scope)
    status = scope.world.stat(found)
    if isinstance(status, str):
        raise Wrong(f"{quote_path(found)} {status}; allowed: a file")
    if stat.S_ISDIR(status.st_mode):
        raise Wrong(f"{quote_path(found)} is a directory; allowed: a file")
    return found


def system_calls(value: object, scope: Scope) -> tuple[str, ...]:
    """Names of system calls and of groups of them, each perhaps with a "~" before it."""
    from supervisor.host.child import StepError  # noqa: PLC0415 - most configs have no need for all of this
    from supervisor.host.seccomp import library  # noqa: PLC0415

    if not isinstance(value, list) or not value:
        raise Wrong(f'{show(value)} is not a list of system calls; allowed: ["@system-service", "~@swap"]')
    try:
        library()
    except StepError as error:
        raise Wrong(str(error)) from None
    return each(_system_call, value, scope)


def _system_call(value: object, _scope: Scope) -> str:
    from supervisor.host.seccomp import ALWAYS, is_known  # noqa: PLC0415
    from supervisor.host.syscalls import GROUPS  # noqa: PLC0415

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
        raise Wrong(f"{quote(name)} cannot be refused: no program could run or say why not; allowed: other calls")
    return text


def _meant(name: str, groups: Collection[str]) -> str:
    near = nearest(name, groups)
    return f"did you mean {quote(near)}?" if near else listing(groups)


CAPABILITIES_TYPE = Type("list of capabilities", capabilities)
GROUP_OF_SYSTEM = Type("group of the system", group)
CREDENTIALS = Type("table of paths", credentials)
SYSTEM_CALLS = Type("list of system calls", system_calls)
