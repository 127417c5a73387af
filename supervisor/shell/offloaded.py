"""The functions that errands call in a forked child: they read disks and databases, which may block.

Only that child imports the modules that they need. So the parent never holds the TOML parser, the schema or the user
database.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from supervisor.core import scales
from supervisor.core.definition import Config, MachineError
from supervisor.core.immutable import immutable, replace
from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.patience import NoAnswerError, asked, looking, patiently, unanswered


@immutable
class Loaded:
    """The result of reading the config: a config, or all its errors."""

    config: Config | None
    errors: tuple[str, ...] = ()
    freezes: dict[str, Any] | None = None  # those of `supctl freeze`, as kept in the state directory
    people: dict[int, str] | None = None  # names of those who may control
    socket_gid: int | None = None
    chosen: str = ""  # which file was read, and why that one
    packed: str = ""  # the config as it is kept in the journal, see `store.lastgood`
    machine_errors: tuple[MachineError, ...] = ()  # things that the config names and the machine does not have
    try_again: bool = False  # there is no config, but the file is not the cause: a later start may have one
    users: tuple[int, ...] = ()  # the user ids of its tasks


def load(path: str, remembered: dict[str, Any] | None = None) -> Loaded:
    """Read and check the config, also with the scales that are `remembered`. Change nothing."""
    return patiently(_load, path, remembered)


def _load(path: str, remembered: dict[str, Any] | None = None) -> Loaded:
    from supervisor.config import examine  # noqa: PLC0415
    from supervisor.store import lastgood  # noqa: PLC0415

    config, found = examine(path)
    if config is None:
        return Loaded(None, tuple(map(str, found.errors)))
    if remembered and (wrong := _clashes(scales.scaled(config, scales.standing(remembered, config)))):
        return Loaded(None, tuple(f"{path}: {text} (by `supctl scale`)" for text in wrong))
    problems = (
        MachineError(str(one), one.tasks, one.key if one.subject == "supervisor" else "") for one in found.errors
    )
    return Loaded(config, packed=lastgood.pack(config), machine_errors=tuple(problems))


def clashes(config: Config) -> list[str]:
    """Return the conflicts over files to which two instances would write, as text."""
    return patiently(_clashes, config)


def _clashes(config: Config) -> list[str]:
    from supervisor.config.log_files import check_outlets  # noqa: PLC0415
    from supervisor.config.machine import Machine  # noqa: PLC0415

    found: list[str] = []

    def blame(name: str, key: str, message: str) -> None:
        found.append(f'task "{name}": {key}: {message}')

    check_outlets(config.tasks, config.settings.log_dir, Machine(os.environ), blame)
    return found


def prepare(explicit: str | None) -> Loaded:
    """Find and read the config, make the directories that it names, and read the freezes that were kept.

    A supervisor cannot work without its runtime directory. It can work without the other two: output and history are
    written as soon as that is possible.
    """
    try:
        return patiently(_prepare, explicit)
    except NoAnswerError as error:
        return Loaded(None, (f"cannot read the config: {error}",), try_again=True)


def _prepare(explicit: str | None) -> Loaded:
    from supervisor.config import ConfigErrors, find  # noqa: PLC0415
    from supervisor.store import freezes  # noqa: PLC0415

    try:
        path, why = find(explicit, os.environ)
    except ConfigErrors as errors:
        return Loaded(None, tuple(str(error) for error in errors.errors))
    path = os.path.abspath(path)  # what `status` and later errors show must not depend on a directory
    loaded = _load(path)
    if loaded.config is None:
        loaded = _last_good(path, loaded)
    elif loaded.machine_errors:
        loaded = _unless_refused(path, loaded)
    if loaded.config is None:
        return replace(loaded, try_again=unanswered())
    settings = loaded.config.settings
    problems = {
        key: f"{path}: supervisor: {key}: {wrong}; or choose another one in [supervisor] {key} [machine]"
        for key in ("runtime_dir", "state_dir", "log_dir")
        if (wrong := _directory(getattr(settings, key), own=key == "runtime_dir"))
    }
    if "runtime_dir" in problems:
        return Loaded(None, (*loaded.errors, *problems.values()), try_again=True)
    try:
        with looking(settings.state_dir):
            kept = freezes.load(settings.state_dir)
    except (OSError, ValueError) as error:  # the freezes are not known, so nothing may start until a person looks
        reason = f"the saved freezes cannot be read: {in_words(error)}"
        freeze = {"scope": "", "by": "supervisor", "since": clock.stamp(), "until": None, "reason": reason}
        kept = {"count": 0, "freezes": [freeze], "unknown": True}
    gid, people = _people(settings.socket_group)
    return replace(
        loaded,
        freezes=kept,
        people=people,
        socket_gid=gid,
        chosen=f"config {path}: {why}",
        machine_errors=(*loaded.machine_errors, *(MachineError(problem) for problem in problems.values())),
        users=_users(loaded.config),
    )


def _last_good(path: str, broken: Loaded) -> Loaded:
    """Return the last good config, if tasks were left under it, with the errors of the one on the disk.

    Otherwise return only the errors. The journal may be in each directory that may be the runtime directory of this
    config.
    """
    from supervisor.config.settings import runtime_dirs  # noqa: PLC0415
    from supervisor.store import journal, lastgood, layout  # noqa: PLC0415

    for directory in runtime_dirs(path, os.environ):
        try:
            if os.stat(directory).st_uid not in (0, os.geteuid()):
                continue
            packed = lastgood.find(journal.peek(layout.journal(directory), journal.boot_id()), path)
            if packed:
                return Loaded(_watchable(lastgood.unpack(packed)), broken.errors, packed=packed)
        except (OSError, ValueError):  # not there, not ours, or of an unknown version: then it is no help
            continue
    return broken


def _unless_refused(path: str, loaded: Loaded) -> Loaded:
    """Return the last good config, if tasks were left under it and a reload of the one on disk would be refused.

    A supervisor that comes back must not stop living tasks for definitions that cannot start.
    """
    from supervisor.core import reload  # noqa: PLC0415

    kept = _last_good(path, loaded)
    if kept is loaded or kept.config is None or loaded.config is None:
        return loaded
    plan = reload.compare(kept.config, loaded.config, loaded.config.tasks)
    refusing, _ = reload.sort_out(loaded.machine_errors, plan, kept.config, loaded.config)
    return replace(kept, errors=refusing) if refusing else loaded


def _watchable(config: Config) -> Config:
    """Remove the watched directories that do not answer. The parent would hang when it begins to watch one."""
    watched = tuple((folder, name) for folder, name in config.watched if asked(os.path.isdir, folder, otherwise=False))
    return replace(config, watched=watched)


def _directory(place: str, *, own: bool) -> str:
    """Make a directory, if it is not there. Return "", or what is wrong with it and what helps.

    A supervisor starts even if a directory does not answer: the history and the output wait for it. But it cannot start
    without its runtime directory.
    """
    try:
        with looking(place):
            return _made(place, own=own)
    except NoAnswerError as error:
        return f"{place}: {error}" if own else ""


def _made(place: str, *, own: bool) -> str:
    who = f"uid {os.geteuid()}"
    try:
        os.makedirs(place, mode=0o755, exist_ok=True)
    except OSError as error:
        why = "it is not a directory" if isinstance(error, FileExistsError) else error.strerror
        return f"cannot create the directory {place} as {who}: {why}; create it, writable for {who}"
    if own and os.stat(place).st_uid not in (0, os.geteuid()):
        return f"{place} belongs to another user; remove it, or make {who} its owner"
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return f"{place} is not writable for {who}; change its permissions"
    return ""


def _people(group: str | None) -> tuple[int | None, dict[int, str]]:
    """Return the gid of the group that may control, and the names of root, the owner and the group's members.

    A group that does not exist has no members. Then only root and the owner may control.
    """
    import grp  # noqa: PLC0415
    import pwd  # noqa: PLC0415

    people = {0: "root"}
    entry = None
    with suppress(KeyError):
        entry = grp.getgrnam(group) if group else None
    names = list(entry.gr_mem) if entry else []
    for name in names:
        try:
            people[pwd.getpwnam(name).pw_uid] = name
        except KeyError:
            continue
    try:
        people[os.geteuid()] = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        people.setdefault(os.geteuid(), f"uid {os.geteuid()}")
    return (entry.gr_gid if entry else None), people


def _users(config: Config) -> tuple[int, ...]:
    """Return the user ids of all tasks."""
    from supervisor.config.machine import Machine  # noqa: PLC0415

    machine, names = Machine(os.environ), {task.user for task in config.tasks.values() if task.user}
    return tuple(sorted(uid for name in names if (uid := machine.user(name)) is not None))


def save_freezes(state_dir: str, kept: dict[str, Any]) -> None:
    """Write the freezes of `supctl freeze` to the disk, so that they survive a reboot.

    Raises:
        OSError: the disk is full, read-only, gone, or does not answer.
    """
    patiently(_save_freezes, state_dir, kept)


def _save_freezes(state_dir: str, kept: dict[str, Any]) -> None:
    from supervisor.store import freezes  # noqa: PLC0415

    with looking(state_dir):
        freezes.save(state_dir, kept)


def limit(directory: str, group: str, limits: dict[str, float | None], best_effort: bool) -> None:
    """Set the limits of a group's cgroup to those of the config. Runs above a lower limit lose memory or are killed.

    Raises:
        OSError: the kernel refuses a limit.
    """
    from supervisor.host.step import StepError  # noqa: PLC0415
    from supervisor.sandbox import cgroup_limits  # noqa: PLC0415

    try:
        cgroup_limits.apply_to_group(directory, group, limits, best_effort=best_effort)
    except StepError as error:
        raise OSError(str(error)) from None


TELL_LIMIT = 10.0
"""Seconds for one `notify_command`."""


def run_notify_command(command: tuple[str, ...], message: dict[str, Any]) -> str:
    """Give a message to `notify_command`. Return "" or what went wrong."""
    import json  # noqa: PLC0415

    from supervisor.runs.command import run  # noqa: PLC0415

    return run(command, json.dumps(message).encode() + b"\n", TELL_LIMIT)


REHEARSAL_LIMIT = 30.0
"""Seconds for the installed program to say whether it could take over."""


def rehearse(command: tuple[str, ...]) -> str:
    """Ask the installed program whether it could take over. Return "" or what prevents it."""
    from supervisor.runs.command import run  # noqa: PLC0415

    return run(command, b"", REHEARSAL_LIMIT, last=True)


def moment_of(text: str, zone: str, now: float) -> tuple[float | None, str]:
    """Return the moment that a person has typed, or what is wrong with it; see `triggers.moment`."""
    from supervisor.triggers import moment  # noqa: PLC0415

    try:
        return moment.moment_of(text, zone, now), ""
    except (ValueError, OSError) as error:
        return None, in_words(error) if isinstance(error, OSError) else str(error)


def keep_input(state_dir: str, firing: str) -> str:
    """Copy the content for the stdin of a firing to the disk; see `store.inputs`."""
    from supervisor.host.aside import KEPT  # noqa: PLC0415
    from supervisor.store import inputs  # noqa: PLC0415

    return inputs.store(KEPT, state_dir, firing)


def drop_input(path: str) -> None:
    """Remove the kept content of a request that was refused, or whose firing was there already."""
    with suppress(FileNotFoundError):
        os.unlink(path)
