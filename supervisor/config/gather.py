"""From files to tables: what the main file and the included ones define, before it is checked.

After this every `[task.*]` and `[group.*]` is a dict with its place; what is not of this shape, does not
belong into its file, or is defined twice is in the report.
"""

from __future__ import annotations

import re
from typing import Any

from supervisor.config.errors import Report, Section
from supervisor.config.include import included, watched
from supervisor.config.key import unknown, walk
from supervisor.config.schema import TOP
from supervisor.config.source import Source
from supervisor.config.wording import meant, quote, show
from supervisor.config.world import Scope, World
from supervisor.core.immutable import immutable

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_NAMES = 'allowed: up to 64 letters, digits, "_", "." and "-", the first a letter, a digit or "_"'
_RESERVED = {"group": ("scribe", "prober", "health")}  # parts of the supervisor itself are shown as @scribe …
_SHARED = ("group", "task")  # the tables that an included file may hold too


@immutable
class Table:
    """A table as it is written, with its place."""

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
        self.whole = True  # every file could be read: a name that is not here does not exist
        self.watched: tuple[tuple[str, str], ...] = ()


def gather(main: Source, world: World, report: Report) -> Tables:
    """Read the included files and sort everything into tables."""
    top = Section(main, (), "")
    scope = Scope(world, main.folder)
    found, problems = walk(
        {"include": TOP["include"]}, {key: main.data[key] for key in ("include",) if key in main.data}, scope
    )
    report.problems(top, problems)
    patterns = found.get("include", ())
    sources, whole = included(top, patterns, report)
    tables = Tables(_single(top, "supervisor", scope, report), _single(top, "defaults", scope, report))
    tables.whole = whole and not problems
    tables.watched = watched(main, patterns, sources)
    for source in (main, *sources):
        _top(source, report, tuple(TOP) if source is main else _SHARED)
        for kind, into in (("task", tables.tasks), ("group", tables.groups)):
            _named(kind, source, into, Scope(world, source.folder), report)
    return tables


def _top(source: Source, report: Report, allowed: tuple[str, ...]) -> None:
    """Report what does not belong at the top of this file."""
    section = Section(source, (), "")
    for name in source.data:
        if name not in TOP:
            known = {key: TOP[key] for key in allowed}
            is_table = isinstance(source.data[name], dict | list)
            report.wrong(section, name, f"unknown table; {meant(name, known)}" if is_table else unknown(name, known))
        elif name not in allowed:
            report.wrong(section, name, "only the main file may hold this; allowed: [task.NAME], [group.NAME]")


def _single(top: Section, name: str, scope: Scope, report: Report) -> Table:
    section = Section(top.source, (name,), name)
    raw = top.source.data.get(name, {})
    if not isinstance(raw, dict):
        report.wrong(section, "", f"{show(raw)} is not a table; write [{name}]")
        raw = {}
    return Table(section, raw, scope)


def _named(kind: str, source: Source, into: dict[str, Table], scope: Scope, report: Report) -> None:
    """Add the tables [KIND.NAME] of one file."""
    tables = source.data.get(kind, {})
    if not isinstance(tables, dict):
        what = "a list: one bracket too many" if isinstance(tables, list) else show(tables)
        report.wrong(Section(source, (kind,), ""), "", f"{kind} is {what}; write [{kind}.NAME]")
        return
    for name, raw in tables.items():
        section = Section(source, (kind, name), f"{kind} {quote(name)}")
        wrong = _misnamed(kind, name)
        if not isinstance(raw, dict):
            report.wrong(section, "", f"{show(raw)} is not a table; write [{kind}.NAME]")
            continue
        if wrong:
            report.wrong(section, "", wrong)
        if name in into:
            report.wrong(section, "", f"also defined at {into[name].section.where()}; a name stands for one {kind}")
        else:
            into[name] = Table(section, raw, scope)


def _misnamed(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        return f"this cannot be a name; {_NAMES}"
    if name in _RESERVED.get(kind, ()):
        return f'the name is reserved for a part of the supervisor ("@{name}"); choose another one'
    return ""
