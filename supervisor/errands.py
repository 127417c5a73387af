"""What the parent has done by errands: functions that read disks and databases, called in a forked child.

Their modules are imported in that child only, so the parent never holds the TOML parser, the schema or the user
database.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from supervisor.core import scales
from supervisor.core.definition import Config
from supervisor.core.immutable import immutable
from supervisor.core.words import in_words
from supervisor.host import clock


@immutable
class Loaded:
    """What reading the config came to: a config, or every error of it."""

    config: Config | None
    errors: tuple[str, ...] = ()
    freezes: dict[str, Any] | None = None  # those of `supctl freeze`, as kept in the state directory
    people: dict[int, str] | None = None  # names of those who may control
    socket_gid: int | None = None
    chosen: str = ""  # which file was read, and why that one
    packed: str = ""  # the config as it is kept in the journal, see `store.lastgood`


def load(path: str, remembered: dict[str, Any] | None = None) -> Loaded:
    """Reads and checks the config, also with the scales that are `remembered`; nothing is changed by it."""
    from supervisor.config import ConfigErrors  # noqa: PLC0415
    from supervisor.config import load as load_config  # noqa: PLC0415
    from supervisor.store import lastgood  # noqa: PLC0415

    try:
        config = load_config(path)
    except ConfigErrors as errors:
        return Loaded(None, tuple(str(error) for error in errors.errors))
    if remembered and (wrong := clashes(scales.scaled(config, scales.standing(remembered, config)))):
        return Loaded(None, tuple(f"{path}: {text} (by `supctl scale`)" for text in wrong))
    return Loaded(config, packed=lastgood.pack(config))


def clashes(config: Config) -> list[str]:
    """The files to which two instances would write, in words."""
    from supervisor.config.outlets import check_outlets  # noqa: PLC0415
    from supervisor.config.world import World  # noqa: PLC0415

    found: list[str] = []

    def blame(name: str, key: str, message: str) -> None:
        found.append(f'task "{name}": {key}: {message}')

    check_outlets(config.tasks, config.settings.log_dir, World(os.environ), blame)
    return found


def prepare(explicit: str | None) -> Loaded:
    """Finds and reads the config, makes the directories that it names, and reads the freezes that were kept."""
    from supervisor.config import ConfigErrors, find  # noqa: PLC0415
    from supervisor.store import freezes  # noqa: PLC0415

    try:
        path, why = find(explicit, os.environ)
    except ConfigErrors as errors:
        return Loaded(None, tuple(str(error) for error in errors.errors))
    path = os.path.abspath(path)  # what `status` and later errors show must not depend on a directory
    loaded = load(path)
    if loaded.config is None:
        loaded = _last_good(path, loaded)
    if loaded.config is None:
        return loaded
    settings = loaded.config.settings
    problems = [
        f"{path}: supervisor: {key}: {wrong}; or choose another one in [supervisor] {key}"
        for key in ("runtime_dir", "state_dir", "log_dir")
        if (wrong := _directory(getattr(settings, key), own=key == "runtime_dir"))
    ]
    if problems:
        return Loaded(None, (*loaded.errors, *problems))
    try:
        kept = freezes.load(settings.state_dir)
    except (OSError, ValueError) as error:  # what was frozen is not known, so nothing may start until a person looks
        reason = f"the freezes that were kept cannot be read: {in_words(error)}"
        freeze = {"scope": "", "by": "supervisor", "since": clock.stamp(), "until": None, "reason": reason}
        kept = {"count": 0, "freezes": [freeze]}
    gid, people = _people(settings.socket_group)
    return Loaded(loaded.config, loaded.errors, kept, people, gid, f"config {path}: {why}", loaded.packed)


def _last_good(path: str, broken: Loaded) -> Loaded:
    """The last good config, with the errors of the one on the disk, if tasks were left under it; else only the errors.

    The journal is looked for wherever the supervisor of this config may have its runtime directory.
    """
    from supervisor.config.settings import runtime_dirs  # noqa: PLC0415
    from supervisor.store import lastgood, records  # noqa: PLC0415

    for directory in runtime_dirs(path, os.environ):
        try:
            if os.stat(directory).st_uid not in (0, os.geteuid()):
                continue
            packed = lastgood.find(records.peek(f"{directory}/journal", records.boot_id()), path)
            if packed:
                return Loaded(lastgood.unpack(packed), broken.errors, packed=packed)
        except (OSError, ValueError):  # not there, not ours, or of a version that nobody knows: then it is no help
            continue
    return broken


def _directory(place: str, *, own: bool) -> str:
    """Makes a directory, if it is not there. Returns "" or what is wrong with it and what helps."""
    who = f"uid {os.geteuid()}"
    try:
        os.makedirs(place, mode=0o755, exist_ok=True)
    except OSError as error:
        why = "something else is there" if isinstance(error, FileExistsError) else error.strerror
        return f"cannot make the directory {place} as {who}: {why}; make it, writable for {who}"
    if own and os.stat(place).st_uid not in (0, os.geteuid()):
        return f"{place} belongs to somebody else; remove it, or make it your own"
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return f"{place} is not writable for {who}; make it so"
    return ""


def _people(group: str | None) -> tuple[int | None, dict[int, str]]:
    """The gid of the group that may control, and the names of root, of the owner and of its members."""
    import grp  # noqa: PLC0415
    import pwd  # noqa: PLC0415

    people = {0: "root"}
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


def keep_freezes(state_dir: str, kept: dict[str, Any]) -> None:
    """Writes the freezes of `supctl freeze` so that they outlive the machine.

    Raises:
        OSError: the disk is full, read-only, gone.
    """
    from supervisor.store import freezes  # noqa: PLC0415

    freezes.save(state_dir, kept)


def limit(directory: str, group: str, limits: dict[str, float | None], best_effort: bool) -> None:
    """Has the cgroup of a group say what its config says now. Who is above a lower one loses memory, or is killed.

    Raises:
        OSError: the kernel does not take it.
    """
    from supervisor.host import share  # noqa: PLC0415
    from supervisor.host.child import StepError  # noqa: PLC0415

    try:
        share.take_together(directory, group, limits, best_effort=best_effort)
    except StepError as error:
        raise OSError(str(error)) from None


TELL_LIMIT = 10.0
"""Seconds for one `notify_command`."""


def tell(command: tuple[str, ...], message: dict[str, Any]) -> str:
    """Gives a message to `notify_command`. Returns "" or what went wrong."""
    import json  # noqa: PLC0415

    from supervisor.host.command import run  # noqa: PLC0415

    return run(command, json.dumps(message).encode() + b"\n", TELL_LIMIT)


def copy_program(path: str) -> None:
    """Keeps the sources of the running program as one file, for `supctl upgrade`.

    Raises:
        OSError: the runtime directory is full, or the sources are gone.
    """
    import zipfile  # noqa: PLC0415

    package = os.path.dirname(os.path.abspath(__file__))
    fd = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w+b") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for directory, _below, names in os.walk(package):
            for name in names:
                if name.endswith(".py"):
                    source = os.path.join(directory, name)
                    archive.write(source, os.path.relpath(source, os.path.dirname(package)))
    os.rename(f"{path}.new", path)


REHEARSAL_LIMIT = 30.0
"""Seconds for the installed program to say whether it could take over."""


def rehearse(command: tuple[str, ...], program: str) -> str:
    """Asks the installed program whether it could take over. Returns "" or what is in the way."""
    from supervisor.host.command import run  # noqa: PLC0415

    if not os.path.exists(program):
        return f"{program}, the copy of the running program, was removed; restart the supervisor instead"
    return run(command, b"", REHEARSAL_LIMIT, last=True)


def _helper(name: str, *arguments: str) -> tuple[str, ...]:
    """The command of a helper: of the same program as this one, whatever lies in the directory it was started in.

    The program may be installed, or be where only we were told to look: a checkout, a copy (`host.handover`).
    """
    start = f"from supervisor.helpers.{name} import main; main()"
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if home not in sys.path[1:]:  # the first is the directory of the script, or the current one
        start = f"import sys; sys.path.insert(0, {home!r}); {start}"
    return (sys.executable, "-P", "-c", start, *arguments)


def scribe_command(runtime_dir: str) -> tuple[str, ...]:
    """The helper that does everything that touches a disk."""
    return _helper("scribe", runtime_dir)


def prober_command(runtime_dir: str) -> tuple[str, ...]:
    """The helper that puts the questions that need a network."""
    return _helper("prober", f"{runtime_dir}/prober.sock")


def health_command(runtime_dir: str, listen: str) -> tuple[str, ...]:
    """The helper that answers a load balancer."""
    return _helper("health", listen, f"{runtime_dir}/health.json")
