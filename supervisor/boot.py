"""Coming up: config, lock, journal, socket, and then the loop of `parent`.

The config is read by an errand, also at the start, so the parent never holds the parser and the schema; what the
parent needs itself is imported meanwhile.
"""

from __future__ import annotations

import fcntl
import gc
import os
from typing import TYPE_CHECKING

from supervisor.app import EX_CONFIG
from supervisor.control.server import InUseError, Server
from supervisor.errands import Loaded
from supervisor.host.interface import Done, Signalled
from supervisor.host.linux import Linux
from supervisor.host.log import Log
from supervisor.parent import Parent
from supervisor.store.records import Journal
from supervisor.verbs import load_all

if TYPE_CHECKING:
    from supervisor.core.definition import Config
    from supervisor.host.spawner import Spawner

FAILED = 1


def supervise(spawner: Spawner, reading: tuple[int, int]) -> int:
    """Comes up, supervises until the end, and returns the exit code.

    Args:
        spawner: forked while the process was small.
        reading: the errand that reads the config (`errands.prepare`), as `aside` began it.
    """
    log = Log()
    host = Linux(log, spawner)
    host.prepare(1)  # the first child, and the verbs, while the config is read
    load_all()
    early: list[Signalled] = []  # came before there was a parent that could obey
    loaded = _wait_for(host, host.expect(*reading), early)
    if loaded.config is None:
        for error in loaded.errors:
            log.write("error", error)
        return EX_CONFIG
    log.level = loaded.config.settings.log_level
    log.write("info", loaded.chosen)
    log.write("info", spawner.cgroups)
    try:
        _lock(f"{loaded.config.settings.runtime_dir}/lock")
        return _run(host, loaded, loaded.config, early)
    except _CannotRunError as error:
        log.write("error", str(error))
        return FAILED


class _CannotRunError(Exception):
    """Something that a supervisor needs is not to be had."""


def _wait_for(host: Linux, errand: int, early: list[Signalled]) -> Loaded:
    """The answer of the errand. Signals meanwhile are kept: tasks of an earlier supervisor may have to be stopped."""
    while True:
        for occurrence in host.wait(None):
            match occurrence:
                case Done(number, value, error) if number == errand:
                    return value if not error else Loaded(None, (f"cannot read the config: {error}",))
                case Signalled():
                    early.append(occurrence)
                case _:
                    pass


def _lock(path: str) -> None:
    """Only one supervisor per runtime directory: a record lock, which dies with its holder and is not inherited.

    The descriptor stays open until the process ends.

    Raises:
        _CannotRunError: another one holds it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _CannotRunError(f"cannot open {path}: {error.strerror}") from None
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(fd, 20).decode().strip()
        raise _CannotRunError(f"another supervisor (pid {holder}) runs with {os.path.dirname(path)}") from None
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())


def _run(host: Linux, loaded: Loaded, config: Config, early: list[Signalled]) -> int:
    settings = config.settings
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read().strip()
    path = f"{settings.runtime_dir}/supervisor.sock"
    server = Server(host.loop, host.now, loaded.people or {}, loaded.socket_gid)
    try:
        journal = Journal(f"{settings.runtime_dir}/journal", boot, epoch=os.urandom(3).hex())
        server.listen(path, settings.socket_mode)
    except (OSError, InUseError) as error:
        raise _CannotRunError(f"cannot start in {settings.runtime_dir}: {error}") from None
    for complaint in journal.complaints:
        host.log("warning", complaint)
    host.keep_in(journal)
    parent = Parent(host, config, epoch=journal.epoch, life=os.urandom(3).hex())
    parent.take_over(journal.facts, loaded.freezes)
    for signalled in early:
        parent.occur(signalled)
    parent.settle()
    gc.collect()
    gc.freeze()
    code = _loop(parent, server)
    for client in parent.goodbye:
        client.answer({"name": settings.name})
    server.close()
    journal.clear()
    host.close()
    return code


def _loop(parent: Parent, server: Server) -> int:
    while parent.turn(server.next_deadline()):
        for occurrence in server.turn(parent.host.now()):
            parent.occur(occurrence)
            parent.settle()
    shutdown = parent.fleet.shutdown
    return shutdown.exit_code if shutdown else 0
