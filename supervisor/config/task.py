"""One `[task.NAME]` and `[defaults]` become a `Task`: merging, the rules between keys, the program.

**Defaults.** A task's own key replaces the one of `[defaults]`, but `environment`, `backoff`, `stop`, `log` and
`history` are merged: what the task does not say comes from the defaults, sub-key by sub-key. A default that makes
no sense for a task does not apply to it, so that one table can serve all:

- its own `command` drops a default `python`, and the other way round;
- `restart = "always"`, `autostart = true` and `ready` do not reach tasks of a kind that cannot have them;
- `after` and `requires` do not reach the tasks that they name.

**Blame.** An error of a key is reported where the key stands. What `[defaults]` has wrong is reported
there, once, not for each task.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from supervisor.config.errors import Report, Section, Wrong
from supervisor.config.gather import Table
from supervisor.config.key import walk
from supervisor.config.limits import approximate, unenforceable
from supervisor.config.program import Setting, check_module, check_program
from supervisor.config.schema import TASK
from supervisor.config.wording import quote_path
from supervisor.config.world import World
from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.core.definition import Backoff, GiveUp, History, Kind, Limits, Log, Probe, Restart, StopPolicy, Task
from supervisor.core.immutable import immutable

_MERGED: dict[str, Callable[..., Any]] = {
    "backoff": Backoff,
    "stop": StopPolicy,
    "log": Log,
    "history": History,
    "limits": Limits,
}
_FOR_PATHS = ("directory",)  # what finding a program depends on
_FOR_NAMES = ("environment", "environment_file", "inherit_environment")
_TRIGGERS = ("schedule", "every", "watch")  # each of them implies kind = "triggered"


@immutable
class Checked:
    """A table with the values of its keys that are right."""

    section: Section
    raw: dict[str, Any]
    values: dict[str, Any]


@immutable
class Draft:
    """A task in the making: its own keys, the defaults, and what they are together."""

    name: str
    own: Checked
    defaults: Checked
    values: dict[str, Any]
    world: World
    report: Report

    def section(self, key: str) -> Section:
        """The table that a key of this task comes from."""
        return self.own.section if key in self.own.raw or key not in self.defaults.raw else self.defaults.section

    def wrong(self, key: str, message: str) -> None:
        """Report a key where it stands."""
        self.report.wrong(self.section(key), key, message)

    def bad(self, *keys: str) -> bool:
        """Whether one of these keys has an error of its own, so that what follows from it is not known."""
        return any((key in self.own.raw or key in self.defaults.raw) and key not in self.values for key in keys)


def check(table: Table, report: Report) -> Checked:
    """Check the keys of one table, each for itself."""
    values, problems = walk(TASK, table.raw, table.scope)
    report.problems(table.section, problems)
    return Checked(table.section, table.raw, values)


def build(name: str, own: Checked, defaults: Checked, world: World, report: Report) -> Task:
    """Make the task; what is wrong with it goes into the report."""
    draft = Draft(name, own, defaults, _merged(name, own, defaults), world, report)
    _settle_kind(draft)
    _settle_tables(draft)
    _settle_context(draft)
    _check_limits(draft)
    _check_source(draft)
    _check_program(draft)
    _check_probes(draft)
    return Task(name=sys.intern(name), where=own.section.where(), **draft.values)


def _merged(name: str, own: Checked, defaults: Checked) -> dict[str, Any]:
    """The values of both tables, the task's own first; a key with an error is in neither."""
    if not defaults.raw:
        return dict(own.values)
    values = {key: value for key, value in defaults.values.items() if key not in own.raw}
    for one, other in (("command", "python"), ("python", "command")):
        if one in own.raw:
            values.pop(other, None)
    for key in ("after", "requires"):
        if name in values.get(key, ()):
            del values[key]
    values.update(own.values)
    for key in ("environment", *_MERGED):
        if key in own.values and key in defaults.values:
            values[key] = {**defaults.values[key], **own.values[key]}
    return values


def _settle_kind(draft: Draft) -> None:
    """The kind, which a trigger implies, and the defaults that depend on it."""
    values, own = draft.values, draft.own.raw
    if "kind" not in own and any(key in own or key in draft.defaults.raw for key in _TRIGGERS):
        values["kind"] = Kind.TRIGGERED
    kind = values.get("kind", Kind.CONTINUOUS)
    if kind is Kind.CONTINUOUS:
        return
    if values.get("ready", "started") != "started":
        if "ready" in draft.own.values:
            draft.wrong("ready", f'a {kind} task counts as ready once it has succeeded; allowed: "started"')
        del values["ready"]
    if values.get("restart", Restart.ALWAYS) is Restart.ALWAYS:
        if "restart" in draft.own.values:
            what = f'"always" is for continuous tasks, a {kind} task would run without end'
            draft.wrong("restart", f'{what}; allowed: "on-failure", "never"')
        values["restart"] = Restart.NEVER
    if kind is Kind.TRIGGERED:
        if draft.own.values.get("autostart", False):
            draft.wrong("autostart", "a triggered task runs when it is triggered; allowed: false")
        values["autostart"] = False


def _settle_tables(draft: Draft) -> None:
    """Turn merged tables into their values, one object for all tasks that say the same."""
    values = draft.values
    for key, make in _MERGED.items():
        if key in values:
            values[key] = draft.world.share(make(**values[key]))
    if "give_up" in values:
        values["give_up"] = draft.world.share(GiveUp(**values["give_up"]))
    if draft.own.values.get("on_give_up", "stay") != "stay" and not _may_give_up(values):
        draft.wrong("on_give_up", 'it never gives up; allowed: with give_up, or with restart = "never"')
    backoff = values.get("backoff")
    if backoff and backoff.initial > backoff.max:
        what = f"initial ({backoff.initial:g}s) is more than max ({backoff.max:g}s)"
        draft.wrong("backoff", f"{what}; allowed: initial up to max")


def _may_give_up(values: dict[str, Any]) -> bool:
    if values.get("restart") is Restart.NEVER:
        return values.get("kind") is not Kind.TRIGGERED  # its failed runs are just over
    return "give_up" in values


def _settle_context(draft: Draft) -> None:
    """What follows from one key of the security context for another one."""
    values = draft.values
    needed = [key for key in ("user", "system_calls") if values.get(key)]
    if values.setdefault("no_new_privileges", bool(needed)) is False and values.get("system_calls"):
        what = "false with system_calls: who gains privileges could take the filter for granted"
        draft.wrong("no_new_privileges", f"{what}; allowed: true")
    if values.get("private_tmp"):
        _check_private_tmp(draft)
    said: dict[str, str] = {}
    hidden = [path.removeprefix("-").rstrip("/") for path in values.get("inaccessible", ())]
    for key in ("inaccessible", "read_only", "read_write"):
        for path in (path.removeprefix("-") for path in values.get(key, ())):
            if said.setdefault(path, key) != key:
                draft.wrong(key, f"{quote_path(path)} is in {said[path]} as well; allowed: one of the two")
            elif any(path.startswith(f"{other}/") for other in hidden):
                draft.wrong(key, f"{quote_path(path)} is within a place that is inaccessible; allowed: other places")


def _check_private_tmp(draft: Draft) -> None:
    """What is below a /tmp that is empty at each start cannot be there."""
    from supervisor.host.mounts import TMP, is_below  # noqa: PLC0415 - few configs ask

    values = draft.values
    needed = {"directory": (values.get("directory") or "",), "command": values.get("command", ())[:1]}
    for key in ("inaccessible", "read_only", "read_write", *needed):
        optional = "" if key in needed else '; with a leading "-" it is passed over'
        for path in needed.get(key) or values.get(key, ()):
            if is_below(path, TMP):
                what = f"{quote_path(path)} is not there with private_tmp, which begins empty"
                draft.wrong(key, f"{what}; allowed: places elsewhere{optional}")


def _check_limits(draft: Draft) -> None:
    """Whether this machine can enforce those of the whole run."""
    limits, section = draft.values.get("limits", Limits()), draft.section("limits")
    draft.report.problems(
        section, unenforceable(limits, draft.world, [key for key in CONTROLLERS if key not in WATCHED])
    )
    draft.report.warn(section, approximate(limits, draft.world))


def _check_source(draft: Draft) -> None:
    """One of `command` and `python`, not both."""
    given = [key for key in ("command", "python") if key in draft.own.raw]
    if not given:
        given = [key for key in ("command", "python") if key in draft.defaults.raw]
    if not given:
        draft.wrong("command", "missing; one of command and python is needed")
    elif len(given) == 2:
        draft.wrong("python", "command is given as well; allowed: one of the two")


def _check_program(draft: Draft) -> None:
    """Whether the program of `command`, or the module of `python`, is there; only where all it depends on is right."""
    values = draft.values
    if (target := values.get("python")) and not draft.bad("directory"):
        try:
            check_module(target, values.get("directory"), draft.world)
        except Wrong as wrong:
            draft.report.problems(draft.section("python"), [(("python",), text) for _, text in wrong.problems])
    command = values.get("command")
    if not command:
        return
    values["command"] = tuple(map(sys.intern, command))
    _check_found(draft, "command", command)


def _check_probes(draft: Draft) -> None:
    """The commands that are questions."""
    for key in ("ready", "health"):
        probe = draft.values.get(key)
        if isinstance(probe, Probe) and probe.kind == "command":
            _check_found(draft, key, probe.target)


def _sets_path(draft: Draft) -> bool:
    """Whether the environment, right or wrong, says where programs are looked for."""
    tables = (table.get("environment") for table in (draft.own.raw, draft.defaults.raw))
    return any(isinstance(table, dict) and "PATH" in table for table in tables)


def _check_found(draft: Draft, key: str, command: tuple[str, ...]) -> None:
    values = draft.values
    needed = _FOR_PATHS if "/" in command[0] else _FOR_NAMES
    if draft.bad(*(key for key in needed if key != "environment" or _sets_path(draft))):
        return
    setting = Setting(
        values.get("directory"),
        values.get("user"),
        values.get("environment", {}),
        values.get("environment_file", ()),
        values.get("inherit_environment", True),
    )
    try:
        check_program(command[0], setting, draft.world)
    except Wrong as wrong:
        place = (key,) if key == "command" else (key, "command")
        draft.report.problems(draft.section(key), [(place, text) for _, text in wrong.problems])


def freeze_of(task: Checked, defaults: Checked) -> str | None:
    """`FILE:LINE` of the key that freezes this task; None when none does."""
    source = task if "freeze" in task.raw else defaults
    return source.section.where("freeze") if source.values.get("freeze") else None
