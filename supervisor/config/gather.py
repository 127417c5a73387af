"""Collect the tables that the main file and the included files define, before they are checked.

The result holds every `[task.*]` and `[group.*]` as a dict with its file and line. These are errors in the report:

- a table that is not of this shape,
- a table that does not belong in its file,
- a name that is defined twice.
"""

from __future__ import annotations

import re
from typing import Any

from supervisor.config.errors import Report, Section
from supervisor.config.include import included, watched
from supervisor.config.key import unknown, walk
from supervisor.config.machine import Machine, Scope
from supervisor.config.messages import meant, quote, show
from supervisor.config.schema import TOP
from supervisor.config.source import Source
from supervisor.core.immutable import immutable
from supervisor.registry import HELPERS

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_NAMES = 'allowed: up to 64 letters, digits, "_", "." and "-", the first a letter, a digit or "_"'
_RESERVED = {"group": tuple(name[1:] for name in HELPERS)}  # a helper is shown as "@scribe", and a group as well
_SHARED = ("group", "task")  # the tables that an included file may hold too


@immutable
class Table:
    """A table as it is written, with its file and line."""

    section: Section
    raw: dict[str, Any]
    scope: Scope


class Tables:
    """All tables of a config, by name, in the order of the files."""

    def __init__(self, supervisor: Table, defaults: Table) -> None:
        self.supervisor = supervisor
        self.defaults = defaults
        self.tasks: dict[str, Table] = {}
        self.groups: dict[str, Table] = {}
        self.pools: dict[str, Table] = {}
        self.whole = True  # every file could be read, so a name that is not here does not exist
        self.watched: tuple[tuple[str, str], ...] = ()


def gather(main: Source, machine: Machine, report: Report) -> Tables:
    """Read the included files and sort everything into tables."""
    top = main.section()
    scope = Scope(machine, main.folder)
    found, problems = walk(
        {"include": TOP["include"]}, {key: main.data[key] for key in ("include",) if key in main.data}, scope
    )
    report.problems(top, problems)
    patterns = found.get("include", ())
    sources, whole = included(top, patterns, report)
    tables = Tables(_single(main, "supervisor", scope, report), _single(main, "defaults", scope, report))
    tables.whole = whole and not problems
    tables.watched = watched(main, patterns, sources)
    for source in (main, *sources):
        _top(source, report, tuple(TOP) if source is main else _SHARED)
        for kind, into in (("task", tables.tasks), ("group", tables.groups)):
            _named(kind, source, into, Scope(machine, source.folder), report)
    _named("pool", main, tables.pools, scope, report)
    return tables


def _top(source: Source, report: Report, allowed: tuple[str, ...]) -> None:
    """Report the keys that do not belong at the top of this file."""
    section = source.section()
    for name in source.data:
        if name not in TOP:
            known = {key: TOP[key] for key in allowed}
            is_table = isinstance(source.data[name], dict | list)
            report.wrong(section, name, f"unknown table; {meant(name, known)}" if is_table else unknown(name, known))
        elif name not in allowed:
            report.wrong(section, name, "only the main file may have this; allowed here: [task.NAME], [group.NAME]")


def _single(main: Source, name: str, scope: Scope, report: Report) -> Table:
    section = main.section((name,), name)
    raw = main.data.get(name, {})
    if not isinstance(raw, dict):
        report.wrong(section, "", f"{show(raw)} is not a table; write [{name}]")
        raw = {}
    return Table(section, raw, scope)


def _named(kind: str, source: Source, into: dict[str, Table], scope: Scope, report: Report) -> None:
    """Add the tables [KIND.NAME] of one file."""
    tables = source.data.get(kind, {})
    if not isinstance(tables, dict):
        what = "a list (double brackets)" if isinstance(tables, list) else show(tables)
        report.wrong(source.section((kind,)), "", f"{kind} is {what}; write [{kind}.NAME]")
        return
    for name, raw in tables.items():
        section = source.section((kind, name), f"{kind} {quote(name)}")
        wrong = _misnamed(kind, name)
        if not isinstance(raw, dict):
            report.wrong(section, "", f"{show(raw)} is not a table; write [{kind}.NAME]")
            continue
        if wrong:
            report.wrong(section, "", wrong)
        if name in into:
            report.wrong(section, "", f"also defined at {into[name].section.where()}; each {kind} needs its own name")
        else:
            into[name] = Table(section, raw, scope)


def _misnamed(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        return f"this is not a valid name; {_NAMES}"
    if name in _RESERVED.get(kind, ()):
        return f'the name is reserved for a part of the supervisor ("@{name}"); choose another one'
    return ""
