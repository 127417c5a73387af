"""Load a `Config` from a path, or return every error of it.

The steps:

1. Read the files (`source`, `include`).
2. Collect their tables (`gather`).
3. Check each table against the schema (`key`, `schema` and the types).
4. Merge and build (`settings`, `task`, `group`).
5. Check the relations between tasks (`dependencies`).

Every step goes on after an error. It leaves out only what depends on the wrong part. Loading prints nothing and changes
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from supervisor.config import group as groups_of
from supervisor.config import pool as pools_of
from supervisor.config import task as tasks_of
from supervisor.config.dependencies import check_dependencies
from supervisor.config.errors import ConfigErrors, ErrorKind, Problem, Report
from supervisor.config.gather import Tables, gather
from supervisor.config.log_files import check_outlets
from supervisor.config.machine import Machine
from supervisor.config.messages import quote, quote_path
from supervisor.config.on import check_on
from supervisor.config.permissions import check_rights
from supervisor.config.settings import LONGEST_SOCKET, settings
from supervisor.config.source import Source, read
from supervisor.config.task import Checked
from supervisor.core.definition import Config, ConfigFreeze, Group, Pool, Settings, Task
from supervisor.core.escalation import STOP_GROUP
from supervisor.store import layout


def load(path: str, environ: Mapping[str, str] | None = None, *, beforehand: bool = False) -> Config:
    """Read, check and build a config with all of its files. Accept no error.

    Args:
        path: the main file, as errors show it.
        environ: where `${NAME}`, PATH and the XDG variables come from; None: the environment of this process.
        beforehand: a person checks the config; its supervisor may be started somewhere else.

    Raises:
        ConfigErrors: it has every error, each with file and line.
    """
    config, found = examine(path, environ, beforehand=beforehand)
    if config is None or found.errors:
        raise found
    return config


def examine(
    path: str, environ: Mapping[str, str] | None = None, *, beforehand: bool = False
) -> tuple[Config | None, ConfigErrors]:
    """Read, check and build a config. Return it with the errors of the machine, or return None with all errors.

    The arguments are those of `load`. The config is None if an error is one of the config itself.
    """
    report = Report()
    machine = Machine(os.environ if environ is None else environ, beforehand=beforehand)
    main = read(path, report)
    config = None if main is None else _made(path, main, machine, report)
    found = report.errors
    return (None if found.of(ErrorKind.CONFIG) else config), found


def _made(path: str, main: Source, machine: Machine, report: Report) -> Config:
    """Return the config of a file that could be read. Errors go into the report."""
    if not main.data:  # a full disk or an interrupted editor left it empty; this must not stop all tasks
        report.file(path, 1, "the file is empty; allowed: at least the table [supervisor]")
    tables = gather(main, machine, report)
    made = settings(tables.supervisor, report)
    checked = {name: tasks_of.check(table, report) for name, table in tables.tasks.items()}
    defaults = tasks_of.check(tables.defaults, report)
    tasks = {name: tasks_of.build(name, own, defaults, machine, report) for name, own in checked.items()}
    groups = {name: groups_of.build(name, table, tasks, tables.whole, report) for name, table in tables.groups.items()}
    tasks = groups_of.share(tasks, groups, tables.groups, report)
    pools = {name: pool for name, table in tables.pools.items() if (pool := pools_of.build(name, table, report))}
    _check_between(made, tasks, pools, checked, defaults, tables, machine, report)
    if tables.whole:
        _check_groups(checked, groups, report)
    freezes = tuple(_freezes(tables, made, groups, checked, defaults))
    return Config(path, made, tasks, groups, freezes, tables.watched, report.warnings, pools)


def _check_between(  # noqa: PLR0913, PLR0917 - everything that is related
    made: Settings,
    tasks: Mapping[str, Task],
    pools: Mapping[str, Pool],
    checked: Mapping[str, Checked],
    defaults: Checked,
    tables: Tables,
    machine: Machine,
    report: Report,
) -> None:
    """Check dependencies, pools, log files, permissions and notify sockets. Report each error at its key."""

    def blame(name: str, key: str, message: str) -> None:
        own = checked[name]
        report.wrong((own if key in own.raw else defaults).section, key, message)

    def warn(name: str, key: str, message: str) -> None:
        own = checked[name]
        report.warn((own if key in own.raw else defaults).section, [Problem((key,), message)])

    check_dependencies(tasks, tasks, tables.whole, blame)
    check_on(tasks, tables.whole, blame)
    pools_of.check(tasks, pools, tables.pools, blame, warn)
    check_outlets(tasks, made.log_dir, machine, blame)
    check_rights(tasks, machine, warn)
    for name, task in tasks.items():
        path = layout.notify_socket(made.runtime_dir, f"{name}:{task.replicas}", 10**8)
        if task.notifies and (length := len(os.fsencode(path))) > LONGEST_SOCKET:
            key = "watchdog" if task.ready != "notify" else "ready"
            what = f"the path of its notify socket, {quote_path(path)}, has {length} bytes"
            blame(name, key, f"{what}; allowed: up to {LONGEST_SOCKET}; choose a shorter name or runtime_dir")


def _check_groups(checked: Mapping[str, Checked], groups: Mapping[str, Group], report: Report) -> None:
    """Check that each task whose `on_give_up` stops its group is in a group."""
    grouped = {task for group in groups.values() for task in group.tasks}
    for name, own in checked.items():
        if own.values.get("on_give_up") == STOP_GROUP and name not in grouped:
            message = f'"{STOP_GROUP}" needs a group; write [group.NAME] tasks = [{quote(name)}]'
            report.wrong(own.section, "on_give_up", message)


def _freezes(
    tables: Tables,
    made: Settings,
    groups: Mapping[str, Group],
    checked: Mapping[str, Checked],
    defaults: Checked,
) -> Iterator[ConfigFreeze]:
    """Yield every `freeze = true`: the one of the supervisor, then those of groups, then those of tasks."""
    if made.freeze:
        yield ConfigFreeze("", tables.supervisor.section.where("freeze"))
    for name, group in groups.items():
        if group.freeze:
            yield ConfigFreeze(f"@{name}", tables.groups[name].section.where("freeze"))
    for name, own in checked.items():
        if where := tasks_of.freeze_of(own, defaults):
            yield ConfigFreeze(name, where)
