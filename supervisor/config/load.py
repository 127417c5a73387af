"""From a path to a `Config`, or to everything that is wrong with it.

The way of a config: read the files (`source`, `include`), sort their tables (`gather`), check each
table against the schema (`key`, `schema` and the types), merge and build (`settings`, `task`, `group`), check what
stands between tasks (`dependencies`). Every step goes on after an error and leaves out only what cannot be known
without the part that is wrong. Nothing is printed and nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from supervisor.config import group as groups_of
from supervisor.config import task as tasks_of
from supervisor.config.dependencies import check_dependencies
from supervisor.config.errors import Report
from supervisor.config.gather import Tables, gather
from supervisor.config.outlets import check_outlets
from supervisor.config.rights import check_rights
from supervisor.config.settings import LONGEST_SOCKET, settings
from supervisor.config.source import read
from supervisor.config.task import Checked
from supervisor.config.wording import quote, quote_path
from supervisor.config.world import World
from supervisor.core.definition import Config, ConfigFreeze, Group, Settings, Task
from supervisor.core.escalation import STOP_GROUP


def load(path: str, environ: Mapping[str, str] | None = None, *, beforehand: bool = False) -> Config:
    """Read, check and build a config with all of its files.

    Args:
        path: the main file, as errors shall show it.
        environ: where `${NAME}`, PATH and the XDG variables come from; None: the environment of this process.
        beforehand: this is a check by a person; the supervisor of this config may be started somewhere else.

    Raises:
        ConfigErrors: something is wrong; it has every error, each with file and line.
    """
    report = Report()
    world = World(os.environ if environ is None else environ, beforehand=beforehand)
    main = read(path, report)
    if main is None:
        report.finish()
        raise AssertionError  # a file that is not read has an error
    if not main.data:  # a full disk, or an editor that was interrupted; not the wish to stop everything
        report.file(path, 1, "says nothing at all; allowed: at least the table [supervisor]")
    tables = gather(main, world, report)
    made = settings(tables.supervisor, report)
    checked = {name: tasks_of.check(table, report) for name, table in tables.tasks.items()}
    defaults = tasks_of.check(tables.defaults, report)
    tasks = {name: tasks_of.build(name, own, defaults, world, report) for name, own in checked.items()}
    groups = {name: groups_of.build(name, table, tasks, tables.whole, report) for name, table in tables.groups.items()}
    tasks = groups_of.share(tasks, groups, tables.groups, report)
    _check_between(made, tasks, checked, defaults, tables, world, report)
    if tables.whole:
        _check_groups(checked, groups, report)
    report.finish()
    freezes = tuple(_freezes(tables, made, groups, checked, defaults))
    return Config(path, made, tasks, groups, freezes, tables.watched, report.warnings)


def _check_between(
    made: Settings,
    tasks: Mapping[str, Task],
    checked: Mapping[str, Checked],
    defaults: Checked,
    tables: Tables,
    world: World,
    report: Report,
) -> None:
    """Check the dependencies and that no two write one file; put each error where its key stands."""

    def blame(name: str, key: str, message: str) -> None:
        own = checked[name]
        report.wrong((own if key in own.raw else defaults).section, key, message)

    def warn(name: str, key: str, message: str) -> None:
        own = checked[name]
        report.warn((own if key in own.raw else defaults).section, [((key,), message)])

    check_dependencies(tasks, tasks, tables.whole, blame)
    check_outlets(tasks, made.log_dir, world, blame)
    check_rights(tasks, world, warn)
    for name, task in tasks.items():
        path = f"{made.runtime_dir}/notify/{name}:{task.replicas}.{10**8}"
        if task.notifies and (length := len(os.fsencode(path))) > LONGEST_SOCKET:
            key = "watchdog" if task.ready != "notify" else "ready"
            what = f"the path of its notify socket, {quote_path(path)}, has {length} bytes"
            blame(name, key, f"{what}; allowed: {LONGEST_SOCKET}, with a shorter name or runtime_dir")


def _check_groups(checked: Mapping[str, Checked], groups: Mapping[str, Group], report: Report) -> None:
    """A task that shall take its group down has to be in one."""
    grouped = {task for group in groups.values() for task in group.tasks}
    for name, own in checked.items():
        if own.values.get("on_give_up") == STOP_GROUP and name not in grouped:
            message = f'"{STOP_GROUP}", but it is in no group; allowed: with [group.NAME] tasks = [{quote(name)}]'
            report.wrong(own.section, "on_give_up", message)


def _freezes(
    tables: Tables,
    made: Settings,
    groups: Mapping[str, Group],
    checked: Mapping[str, Checked],
    defaults: Checked,
) -> Iterator[ConfigFreeze]:
    """Every `freeze = true`: the one for everything, then those of groups, then those of tasks."""
    if made.freeze:
        yield ConfigFreeze("", tables.supervisor.section.where("freeze"))
    for name, group in groups.items():
        if group.freeze:
            yield ConfigFreeze(f"@{name}", tables.groups[name].section.where("freeze"))
    for name, own in checked.items():
        if where := tasks_of.freeze_of(own, defaults):
            yield ConfigFreeze(name, where)
