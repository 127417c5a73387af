"""Check the table [supervisor], and fill in the defaults that depend on the user.

Root has the directories of the system. Any other user has those of XDG: the runtime directory in $XDG_RUNTIME_DIR,
state and logs in $XDG_STATE_HOME. The runtime directory is lost at logout, as /run is at boot. The XDG specification
says: a variable that is not an absolute path counts as not set.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import tomli

from supervisor.config.errors import ErrorKind, Missing, Problem, Report, Wrong
from supervisor.config.gather import Table
from supervisor.config.interpolate import interpolate
from supervisor.config.key import walk
from supervisor.config.machine import Machine
from supervisor.config.messages import quote_path
from supervisor.config.program import Setting, check_program
from supervisor.config.schema import SUPERVISOR
from supervisor.core.definition import AutoFreeze, Settings
from supervisor.host.patience import looking
from supervisor.store import layout

LONGEST_SOCKET = 107
"""The most bytes in the path of a Unix socket: `sun_path` has 108, and the last one is NUL (unix(7))."""


def settings(table: Table, report: Report) -> Settings:
    """Check the table and fill in every default."""
    machine = table.scope.machine
    values, problems = walk(SUPERVISOR, table.raw, table.scope)
    report.problems(table.section, problems)
    if "auto_freeze" in values:
        values["auto_freeze"] = AutoFreeze(**values["auto_freeze"])
    made = Settings(**{"name": os.uname().nodename or "supervisor", **directories(machine), **values})
    _check_notify_command(made, table, machine, report)
    if machine.beforehand:  # a start makes them, and at a reload they are in use
        _check_directories(made, table, machine, report)
    path = layout.control_socket(made.runtime_dir)
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET:
        allowed = f"allowed: at most {LONGEST_SOCKET - len(layout.control_socket(''))} bytes for the directory"
        message = f"the path of the socket, {quote_path(path)}, has {length} bytes, a socket can have {LONGEST_SOCKET}"
        report.wrong(table.section, "runtime_dir", f"{message}; {allowed}")
    if made.drain_delay and made.drain_delay >= made.stop_grace:
        what = f"{made.drain_delay:g}s is not less than stop_grace ({made.stop_grace:g}s), of which it is a part"
        report.wrong(table.section, "drain_delay", f"{what}; allowed: less")
    return made


def _check_notify_command(made: Settings, table: Table, machine: Machine, report: Report) -> None:
    """Check that the program exists. Otherwise people would notice only when an alert cannot be sent."""
    if made.notify_command:
        try:
            check_program(made.notify_command[0], Setting(None, None, {}, (), True), machine)
        except Missing as missing:
            report.problems(table.section, [problem.below("notify_command") for problem in missing.problems])


def _check_directories(made: Settings, table: Table, machine: Machine, report: Report) -> None:
    """Check whether this user could make the directories and write to them. Make nothing."""
    for key in directories(machine):
        path = getattr(made, key)
        if hurdle := _hurdle(path, machine):
            allowed = f"allowed: a directory that uid {machine.uid} can write to, or create"
            _missing(table, key, f"{quote_path(path)} cannot be used: {hurdle}; {allowed}", report)
        elif key == "runtime_dir" and (owner := _stranger(path, machine)):
            _missing(
                table,
                key,
                f"{quote_path(path)} belongs to uid {owner}; allowed: a directory of uid {machine.uid}",
                report,
            )


def _missing(table: Table, key: str, message: str, report: Report) -> None:
    report.problems(table.section, [Problem((key,), message, ErrorKind.MACHINE)])


def _hurdle(path: str, machine: Machine) -> str:
    """Return why a directory cannot be used: because of itself or its nearest existing parent; else ""."""
    place = machine.nearest(path)
    status = machine.stat(place)
    if isinstance(status, str):
        return f"{quote_path(place)} {status}"
    if not stat.S_ISDIR(status.st_mode):
        return f"{quote_path(place)} is not a directory"
    if machine.is_of_the_kernel(place):
        return f"nothing can be created in {quote_path(place)}, a file system of the kernel"
    with looking(place):
        if os.statvfs(place).f_flag & os.ST_RDONLY:
            return f"{quote_path(place)} is on a read-only file system"
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            return f"{quote_path(place)} is not writable for uid {machine.uid}"
    return ""


def _stranger(path: str, machine: Machine) -> int:
    """Return the uid of the owner of a directory that is neither ours nor root's; else 0."""
    status = machine.stat(path)
    return 0 if isinstance(status, str) or status.st_uid == machine.uid else status.st_uid


def runtime_dirs(path: str, environ: Mapping[str, str]) -> list[str]:
    """Return where the runtime directory may be when the config cannot be loaded, most likely first.

    1. The path in its line `runtime_dir = …`, if that line can be read.
    2. The directories that the service manager has made ($RUNTIME_DIRECTORY).
    3. The default of this user.
    """
    found = []
    with suppress(OSError, ValueError, Wrong), looking(path), open(path, encoding="utf-8") as file:
        for line in file:
            if line.partition("=")[0].strip() == "runtime_dir":
                said = tomli.loads(line)["runtime_dir"]
                text = interpolate(str(said), environ, at_start=False)
                found.append(os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), text)))
    found += filter(None, environ.get("RUNTIME_DIRECTORY", "").split(":"))
    return [*found, directories(Machine(environ))["runtime_dir"]]


def directories(machine: Machine) -> dict[str, Any]:
    """Return the default directories of the supervisor."""
    if machine.uid == 0:
        places = ("/run/supervisor", "/var/lib/supervisor", "/var/log/supervisor")
    else:
        temporary = f"/tmp/supervisor-{machine.uid}"  # noqa: S108 - the last resort; its creator checks the owner
        runtime, home = _absolute(machine, "XDG_RUNTIME_DIR"), machine.home()
        default = os.path.join(home, ".local/state") if os.path.isabs(home) else f"{temporary}/state"
        state = os.path.join(_absolute(machine, "XDG_STATE_HOME") or default, "supervisor")
        places = (os.path.join(runtime, "supervisor") if runtime else temporary, state, os.path.join(state, "log"))
    return dict(zip(("runtime_dir", "state_dir", "log_dir"), places, strict=True))


def _absolute(machine: Machine, name: str) -> str:
    value = machine.environ.get(name, "")
    return value if os.path.isabs(value) else ""
