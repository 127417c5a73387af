"""Build a `Task` from one `[task.NAME]` and `[defaults]`: merge them, check the rules between keys and the program.

**Defaults.** A task's own key replaces the one of `[defaults]`. But `environment`, `backoff`, `stop`, `log` and
`history` are merged: a sub-key that the task does not have comes from the defaults. A default that makes no sense for a
task does not apply to it. So one table can serve all tasks:

- its own `command` drops a default `python`, and the other way round;
- `restart = "always"`, `autostart = true`, `ready`, `mode` and `on_give_up = "shutdown"` do not reach tasks of a kind
  that cannot have them;
- `after` and `requires` do not reach the tasks that they name.

**Place of an error.** An error of a key is reported where the key stands. An error in `[defaults]` is reported there,
once, not for each task. An error of the machine in `[defaults]` concerns each task that takes the key from there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from supervisor import probes
from supervisor.config import cron, timing
from supervisor.config.errors import ErrorKind, Missing, Problem, Report, Section
from supervisor.config.gather import Table
from supervisor.config.key import walk
from supervisor.config.limits import approximate, unenforceable
from supervisor.config.machine import Machine
from supervisor.config.messages import quote_path
from supervisor.config.program import Setting, check_module, check_program
from supervisor.config.schema import TASK
from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.core.definition import (
    Backoff,
    GiveUp,
    History,
    Kind,
    Limits,
    Log,
    Probe,
    Restart,
    Retry,
    StopPolicy,
    Task,
)
from supervisor.core.escalation import SHUTDOWN
from supervisor.core.immutable import immutable, names_of
from supervisor.probes.interface import AsChild

_MERGED: dict[str, Callable[..., Any]] = {
    "backoff": Backoff,
    "stop": StopPolicy,
    "log": Log,
    "history": History,
    "limits": Limits,
}
_FOR_PATHS = ("directory",)  # the keys that the search for a program depends on
_FOR_NAMES = ("environment", "environment_file", "inherit_environment")
_RESTARTS = ("restart", "give_up")  # a task with `retry` has none of these
_TRIGGERS = ("schedule", "every", "watch", "on")  # each of them implies kind = "triggered"


FOREVER = 1e9
"""Seconds. The attempts of a start-up task count for as long as the supervisor runs."""


@immutable
class Checked:
    """A table with the values of its keys that are right."""

    section: Section
    raw: dict[str, Any]
    values: dict[str, Any]
    missing: tuple[Problem, ...] = ()  # the things that these values name and the machine lacks

    def lacks(self, key: str) -> bool:
        """Say whether the value of this key names something that does not exist."""
        return any(problem.path[0] == key for problem in self.missing)


@immutable
class Draft:
    """A task that is being built: its own keys, the defaults, and the merged values."""

    name: str
    own: Checked
    defaults: Checked
    values: dict[str, Any]
    machine: Machine
    report: Report

    def section(self, key: str) -> Section:
        """Return the table that a key of this task comes from."""
        return self.own.section if key in self.own.raw or key not in self.defaults.raw else self.defaults.section

    def wrong(self, key: str, message: str) -> None:
        """Report an error of a key where the key stands."""
        self.report.wrong(self.section(key), key, message)

    def problems(self, key: str, problems: Iterable[Problem]) -> None:
        """Report the problems of a key. They concern this task, wherever the key stands."""
        self.report.problems(self.section(key), problems, (self.name,))

    def bad(self, *keys: str) -> bool:
        """Say whether one of these keys has an error. Then a check that depends on it is not possible."""
        return any(self._is_bad(key) for key in keys)

    def _is_bad(self, key: str) -> bool:
        given = key in self.own.raw or key in self.defaults.raw
        source = self.own if key in self.own.raw else self.defaults
        return given and (key not in self.values or source.lacks(key))


def check(table: Table, report: Report) -> Checked:
    """Check the keys of one table, each one alone."""
    values, problems = walk(TASK, table.raw, table.scope)
    report.problems(table.section, problems)
    missing = tuple(problem for problem in problems if problem.kind is ErrorKind.MACHINE)
    return Checked(table.section, table.raw, values, missing)


def build(name: str, own: Checked, defaults: Checked, machine: Machine, report: Report) -> Task:
    """Make the task. Its errors go into the report."""
    draft = Draft(name, own, defaults, _merged(name, own, defaults), machine, report)
    report.problems(own.section, own.missing, (name,))
    report.problems(defaults.section, [one for one in defaults.missing if _is_inherited(one.path, own.raw)], (name,))
    _settle_kind(draft)
    _settle_timing(draft)
    _settle_retry(draft)
    _settle_tables(draft)
    _settle_context(draft)
    _check_limits(draft)
    _check_source(draft)
    _check_program(draft)
    _check_probes(draft)
    return Task(name=sys.intern(name), where=own.section.where(), **draft.values)


def _merged(name: str, own: Checked, defaults: Checked) -> dict[str, Any]:
    """Merge the values of both tables. The task's own values win; keys with an error are left out."""
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


def _is_inherited(path: tuple[str, ...], own: dict[str, Any]) -> bool:
    """Say whether a task takes this key from [defaults], because it does not set the key itself."""
    inner = own.get(path[0])
    return path[0] not in own or (path[0] in _MERGED and isinstance(inner, dict) and path[1] not in inner)


def _settle_kind(draft: Draft) -> None:
    """Set the kind, which a trigger implies, and the defaults that depend on it."""
    values, own = draft.values, draft.own.raw
    if "kind" not in own and any(key in own or key in draft.defaults.raw for key in _TRIGGERS):
        values["kind"] = Kind.TRIGGERED
    kind = values.get("kind", Kind.CONTINUOUS)
    _settle_startup(draft, kind)
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
        values["autostart"] = draft.own.values.get("autostart", False)


def _settle_startup(draft: Draft, kind: Kind) -> None:
    """Drop the mode of a task of another kind, and what would let a start-up task end each supervisor anew."""
    values, own = draft.values, draft.own.raw
    if kind is not Kind.STARTUP and "mode" in values:
        del values["mode"]
        if "mode" in own:
            draft.wrong("mode", f'a {kind} task has none; allowed: with kind = "{Kind.STARTUP}"')
    if kind is Kind.STARTUP and values.get("on_give_up") == SHUTDOWN:
        del values["on_give_up"]
        if "on_give_up" in own:
            what = f'"{SHUTDOWN}" is not for start-up tasks: the next supervisor would run it again, and end again'
            draft.wrong("on_give_up", f'{what}; allowed: "stay", "stop-group", "freeze"')


def _settle_timing(draft: Draft) -> None:
    """Gather the keys that say when a triggered task runs. Each run at the same time is an instance."""
    values, own = draft.values, draft.own.values
    if values.get("kind", Kind.CONTINUOUS) is not Kind.TRIGGERED:
        for key in (*timing.KEYS, "on"):
            values.pop(key, None)
            if key in own:
                draft.wrong(
                    key, f'it is for triggered tasks; allowed: with schedule, every, on, or kind = "{Kind.TRIGGERED}"'
                )
        return
    if own.get("replicas", 1) != 1:
        draft.wrong("replicas", "a triggered task has none; max_parallel is the number of its runs at once; allowed: 1")
    for key, other in (("schedule", "every"), ("every", "schedule")):
        if key in own and other not in own:
            values.pop(other, None)
    if "schedule" not in values and "timezone" not in own:
        values.pop("timezone", None)
    if wrong := timing.problem(values):
        draft.wrong(*wrong)
    written = values.get("schedule", ())
    doubts = [Problem(("schedule",), doubt) for one in written if (doubt := cron.doubts(one))]
    draft.report.warn(draft.section("schedule"), doubts)
    made = values["timing"] = draft.machine.share(timing.timing(values))
    values["replicas"] = made.max_parallel


def _settle_retry(draft: Draft) -> None:
    """Make the value of `retry`. Of a start-up task, which has no firings, the next attempt is a restart."""
    values, own = draft.values, draft.own.values
    written = values.pop("retry", None)
    if written is None:
        return
    kind = values.get("kind", Kind.CONTINUOUS)
    if kind is Kind.CONTINUOUS:
        if "retry" in own:
            draft.wrong("retry", "a continuous task has no firings; allowed: restart, backoff and give_up")
        return
    restarts = (*_RESTARTS, "backoff") if kind is Kind.STARTUP else _RESTARTS
    others = [key for key in restarts if key in own and own[key] is not Restart.NEVER]
    if others and "retry" in own:
        draft.wrong("retry", f"{others[0]} is given as well; allowed: one of the two")
    if others:
        return
    waits = Backoff(**({"initial": 1.0} | written.get("backoff", {})))
    if waits.initial > waits.max:
        what = f"backoff.initial ({waits.initial:g}s) is more than backoff.max ({waits.max:g}s)"
        draft.wrong("retry", f"{what}; allowed: initial up to max")
    values["restart"] = Restart.NEVER
    values["retry"] = draft.machine.share(Retry(written["attempts"], waits))
    if kind is Kind.STARTUP:
        values |= {
            "restart": Restart.ON_FAILURE,
            "backoff": {name: getattr(waits, name) for name in names_of(Backoff)} | {"reset_after": FOREVER},
            "give_up": {"failures": written["attempts"], "within": FOREVER},
        }


def _settle_tables(draft: Draft) -> None:
    """Turn merged tables into their values. Tasks with equal values share one object."""
    values = draft.values
    for key, make in _MERGED.items():
        if key in values:
            values[key] = draft.machine.share(make(**values[key]))
    if "give_up" in values:
        values["give_up"] = draft.machine.share(GiveUp(**values["give_up"]))
    if draft.own.values.get("on_give_up", "stay") != "stay" and not _may_give_up(values):
        draft.wrong("on_give_up", 'the task never gives up; allowed: with give_up, or with restart = "never"')
    backoff = values.get("backoff")
    if backoff and backoff.initial > backoff.max:
        what = f"initial ({backoff.initial:g}s) is more than max ({backoff.max:g}s)"
        draft.wrong("backoff", f"{what}; allowed: initial up to max")


def _may_give_up(values: dict[str, Any]) -> bool:
    if values.get("restart") is Restart.NEVER:
        return values.get("kind") is not Kind.TRIGGERED  # its failed run just ends
    return "give_up" in values


def _settle_context(draft: Draft) -> None:
    """Apply and check the rules between the keys of the security context."""
    values = draft.values
    needed = [key for key in ("user", "system_calls") if values.get(key)]
    if values.setdefault("no_new_privileges", bool(needed)) is False and values.get("system_calls"):
        what = "false with system_calls: a program with more privileges could be misled by the filter"
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
                draft.wrong(key, f"{quote_path(path)} is below a path that is inaccessible; allowed: other paths")


def _check_private_tmp(draft: Draft) -> None:
    """Report paths below /tmp. With `private_tmp` they cannot exist, because /tmp is empty at each start."""
    from supervisor.sandbox.mounts import TMP, is_below  # noqa: PLC0415 - few configs ask

    values = draft.values
    needed = {"directory": (values.get("directory") or "",), "command": values.get("command", ())[:1]}
    for key in ("inaccessible", "read_only", "read_write", *needed):
        optional = "" if key in needed else '; with a leading "-" a missing path is ignored'
        for path in needed.get(key) or values.get(key, ()):
            if is_below(path, TMP):
                what = f"{quote_path(path)} does not exist with private_tmp, which starts empty"
                draft.wrong(key, f"{what}; allowed: other paths{optional}")


def _check_limits(draft: Draft) -> None:
    """Check whether this machine can enforce the limits of the whole run."""
    limits = draft.values.get("limits", Limits())
    enforced = [key for key in CONTROLLERS if key not in WATCHED]
    draft.problems("limits", unenforceable(limits, draft.machine, enforced))
    draft.report.warn(draft.section("limits"), approximate(limits, draft.machine))


def _check_source(draft: Draft) -> None:
    """Check that there is either `command` or `python`, not both."""
    given = [key for key in ("command", "python") if key in draft.own.raw]
    if not given:
        given = [key for key in ("command", "python") if key in draft.defaults.raw]
    if not given:
        draft.wrong("command", "missing; one of command and python is needed")
    elif len(given) == 2:
        draft.wrong("python", "command is given as well; allowed: one of the two")


def _check_program(draft: Draft) -> None:
    """Check that the program or the Python module exists. Skip this if a key that it depends on has an error."""
    values = draft.values
    if (target := values.get("python")) and not draft.bad("directory"):
        try:
            check_module(target, values.get("directory"), draft.machine)
        except Missing as missing:
            draft.problems("python", [problem.below("python") for problem in missing.problems])
    command = values.get("command")
    if not command:
        return
    values["command"] = tuple(map(sys.intern, command))
    _check_found(draft, ("command",), command)


def _check_probes(draft: Draft) -> None:
    """Check that the programs exist which the probes execute."""
    for key in ("ready", "health"):
        probe = draft.values.get(key)
        kind = probes.load(probe.kind) if isinstance(probe, Probe) else None
        if isinstance(probe, Probe) and isinstance(kind, AsChild):
            _check_found(draft, (key, probe.kind), kind.command(probe))


def _sets_path(draft: Draft) -> bool:
    """Say whether the environment sets PATH, with or without an error."""
    tables = (table.get("environment") for table in (draft.own.raw, draft.defaults.raw))
    return any(isinstance(table, dict) and "PATH" in table for table in tables)


def _check_found(draft: Draft, place: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Report a program that is not found; `place` is the path of the key that names it."""
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
        check_program(command[0], setting, draft.machine)
    except Missing as missing:
        draft.problems(place[0], [problem.below(*place) for problem in missing.problems])


def freeze_of(task: Checked, defaults: Checked) -> str | None:
    """Return `FILE:LINE` of the key that freezes this task; None: no key does."""
    source = task if "freeze" in task.raw else defaults
    return source.section.where("freeze") if source.values.get("freeze") else None
