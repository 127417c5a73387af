"""The table [supervisor], with the defaults that depend on who runs it.

Root has the directories of the system. Anybody else has those of XDG: the runtime directory in
$XDG_RUNTIME_DIR (lost at logout, as /run is at boot), state and logs in $XDG_STATE_HOME. As the
specification wants it, a variable that is not an absolute path counts as not set.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import tomli

from supervisor.config.errors import Report, Wrong
from supervisor.config.gather import Table
from supervisor.config.interpolate import interpolate
from supervisor.config.key import walk
from supervisor.config.program import Setting, check_program
from supervisor.config.schema import SUPERVISOR
from supervisor.config.wording import quote_path
from supervisor.config.world import World
from supervisor.core.definition import AutoFreeze, Settings

SOCKET = "supervisor.sock"
LONGEST_SOCKET = 107
"""Bytes of the path of a Unix socket: `sun_path` has 108, the last one is NUL (unix(7))."""


def settings(table: Table, report: Report) -> Settings:
    """Check the table and fill in every default."""
    world = table.scope.world
    values, problems = walk(SUPERVISOR, table.raw, table.scope)
    report.problems(table.section, problems)
    if "auto_freeze" in values:
        values["auto_freeze"] = AutoFreeze(**values["auto_freeze"])
    made = Settings(**{"name": os.uname().nodename or "supervisor", **directories(world), **values})
    _check_notify_command(made, table, world, report)
    if world.beforehand:  # at the start they are made, and at a reload they are in use
        _check_directories(made, table, world, report)
    path = os.path.join(made.runtime_dir, SOCKET)
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET:
        allowed = f"allowed: at most {LONGEST_SOCKET - len(SOCKET) - 1} bytes for the directory"
        message = f"the path of the socket, {quote_path(path)}, has {length} bytes, a socket can have {LONGEST_SOCKET}"
        report.wrong(table.section, "runtime_dir", f"{message}; {allowed}")
    if made.drain_delay and made.drain_delay >= made.stop_grace:
        what = f"{made.drain_delay:g}s is not less than stop_grace ({made.stop_grace:g}s), which it is a part of"
        report.wrong(table.section, "drain_delay", f"{what}; allowed: less")
    return made


def _check_notify_command(made: Settings, table: Table, world: World, report: Report) -> None:
    """Whether there is such a program: an alarm that cannot be sent would be found out when it is needed."""
    if made.notify_command:
        try:
            check_program(made.notify_command[0], Setting(None, None, {}, (), True), world)
        except Wrong as wrong:
            report.problems(table.section, [(("notify_command",), text) for _, text in wrong.problems])


def _check_directories(made: Settings, table: Table, world: World, report: Report) -> None:
    """Whether the supervisor could make them and write to them, if it were us. Nothing is made."""
    for key in directories(world):
        path = getattr(made, key)
        if hurdle := _hurdle(path, world):
            allowed = f"allowed: a directory that uid {world.uid} can write to, or make"
            report.wrong(table.section, key, f"{quote_path(path)} cannot be used: {hurdle}; {allowed}")
        elif key == "runtime_dir" and (owner := _stranger(path, world)):
            report.wrong(table.section, key, f"{quote_path(path)} belongs to uid {owner}; allowed: one of our own")


def _hurdle(path: str, world: World) -> str:
    """What is in the way of a directory: itself, or the nearest that is there above it; "" if nothing."""
    place = world.nearest(path)
    status = world.stat(place)
    if isinstance(status, str):
        return f"{quote_path(place)} {status}"
    if not stat.S_ISDIR(status.st_mode):
        return f"{quote_path(place)} is not a directory"
    if world.is_of_the_kernel(place):
        return f"nothing can be made in {quote_path(place)}, which is the kernel's"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"{quote_path(place)} is on a file system that is read-only"
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return f"{quote_path(place)} is not writable for uid {world.uid}"
    return ""


def _stranger(path: str, world: World) -> int:
    """Who has a directory that is neither ours nor root's; 0: nobody."""
    status = world.stat(path)
    return 0 if isinstance(status, str) or status.st_uid == world.uid else status.st_uid


def runtime_dirs(path: str, environ: Mapping[str, str]) -> list[str]:
    """Where the runtime directory of a config that cannot be loaded may be, most likely first.

    What its line `runtime_dir = …` says, if that line at least can be read; what the service manager has made
    ($RUNTIME_DIRECTORY); the default of this user.
    """
    found = []
    with suppress(OSError, ValueError, Wrong), open(path, encoding="utf-8") as file:
        for line in file:
            if line.partition("=")[0].strip() == "runtime_dir":
                said = tomli.loads(line)["runtime_dir"]
                text = interpolate(str(said), environ, at_start=False)
                found.append(os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), text)))
    found += filter(None, environ.get("RUNTIME_DIRECTORY", "").split(":"))
    return [*found, directories(World(environ))["runtime_dir"]]


def directories(world: World) -> dict[str, Any]:
    """Where the supervisor keeps its things when the config does not say."""
    if world.uid == 0:
        places = ("/run/supervisor", "/var/lib/supervisor", "/var/log/supervisor")
    else:
        temporary = f"/tmp/supervisor-{world.uid}"  # noqa: S108 - the last resort; whoever makes it checks its owner
        runtime, home = _absolute(world, "XDG_RUNTIME_DIR"), world.home()
        default = os.path.join(home, ".local/state") if os.path.isabs(home) else f"{temporary}/state"
        state = os.path.join(_absolute(world, "XDG_STATE_HOME") or default, "supervisor")
        places = (os.path.join(runtime, "supervisor") if runtime else temporary, state, os.path.join(state, "log"))
    return dict(zip(("runtime_dir", "state_dir", "log_dir"), places, strict=True))


def _absolute(world: World, name: str) -> str:
    value = world.environ.get(name, "")
    return value if os.path.isabs(value) else ""
