"""Coming up: config, lock, journal, socket, and then the loop of `parent`.

The config is read by an errand, also at the start, so the parent never holds the parser and the schema; what the
parent needs itself is imported meanwhile.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor import planning
from supervisor.app import EX_CONFIG
from supervisor.control.server import InUseError, Server
from supervisor.errands import Loaded
from supervisor.host import strays
from supervisor.host.interface import Done, Signalled
from supervisor.host.linux import Linux
from supervisor.host.log import Log
from supervisor.parent import SHUTDOWN, Parent
from supervisor.premises import Premises, TakenError
from supervisor.store.records import Journal, boot_id
from supervisor.store.spool import DIRECTORY, Spool
from supervisor.verbs import load_all

if TYPE_CHECKING:
    from supervisor.core.definition import Config
    from supervisor.host.spawner import Spawner

FAILED = 1


def supervise(spawner: Spawner, reading: tuple[int, int], *, sweep: bool = False) -> int:
    """Comes up, supervises until the end, and returns the exit code.

    Args:
        spawner: forked while the process was small.
        reading: the errand that reads the config (`errands.prepare`), as `aside` began it.
        sweep: takes over what an earlier supervisor has left, only to kill it.
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
        return _run(host, loaded, loaded.config, early, sweep=sweep)
    except (_CannotRunError, TakenError) as error:
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


def _run(host: Linux, loaded: Loaded, config: Config, early: list[Signalled], *, sweep: bool) -> int:
    settings = config.settings
    premises = Premises(settings.runtime_dir, host.log)
    path = f"{settings.runtime_dir}/supervisor.sock"
    server = Server(host.loop, host.now, loaded.people or {}, loaded.socket_gid)
    try:
        journal = Journal(f"{settings.runtime_dir}/journal", boot_id(), epoch=os.urandom(3).hex())
        if sweep and not _to_sweep(journal, host.log):
            host.close()
            return 0
        spool = Spool(f"{settings.runtime_dir}/{DIRECTORY}")
        server.listen(path, settings.socket_mode)
    except (OSError, InUseError) as error:
        raise _CannotRunError(f"cannot start in {settings.runtime_dir}: {error}") from None
    for complaint in journal.complaints:
        host.log("warning", complaint)
    for stray in strays.end(settings.runtime_dir, _runs(journal)):
        host.log("warning", stray)
    host.keep_in(journal)
    _guard(host, premises, server, settings.socket_mode, journal)
    host.spool_in(spool)
    parent = Parent(host, config, epoch=journal.epoch, life=os.urandom(3).hex())
    parent.take_over(journal.facts, loaded.freezes, loaded.packed)
    parent.configuration.broken(loaded.errors)
    host.settled()
    if sweep:
        parent.shut_down("what an earlier supervisor has left is killed")
        parent.fleet.kill_all("left by an earlier supervisor", host.now())
    for signalled in early:
        parent.occur(signalled)
    parent.settle()
    gc.collect()
    gc.freeze()
    code = _loop(parent, server, premises)
    for client in parent.goodbye:
        client.answer({"name": settings.name})
    server.close()
    journal.clear()
    host.close()
    return code


def _to_sweep(journal: Journal, log: Callable[[str, str], None]) -> bool:
    """Whether there is anything, and it was meant to end.

    systemd runs this after every end of the service, and says how it came about (systemd.exec(5), $SERVICE_RESULT). One
    that was stopped, or hung until it was killed for it, shall leave nothing. After a crash the tasks go on, unless
    that happened to a supervisor that was shutting down.
    """
    result = os.environ.get("SERVICE_RESULT", "success")
    meant = result in ("success", "timeout") or SHUTDOWN in journal.facts
    left = any(fact.get("run") for fact in journal.facts.values())
    if left and not meant:
        log("info", f"the tasks are left to the next supervisor: this one has ended by {result}")
    if meant and not left:
        journal.clear()
    return meant and left


def _runs(journal: Journal) -> list[str]:
    """The ids of the runs that it tells of."""
    return [str(fact["run"].get("id")) for fact in journal.facts.values() if isinstance(fact.get("run"), dict)]


def _guard(host: Linux, premises: Premises, server: Server, mode: int, journal: Journal) -> None:
    try:
        reader = premises.keep(server, mode, journal)
        host.loop.watch(premises.fd, reader)
    except OSError as error:
        host.log("warning", f"cannot watch {premises.directory}, it must not be removed: {error}")


def _loop(parent: Parent, server: Server, premises: Premises) -> int:
    while parent.turn(min((at for at in (server.next_deadline(), premises.again) if at is not None), default=None)):
        for occurrence in server.turn(parent.host.now()):
            parent.occur(occurrence)
            parent.settle()
        if premises.again is not None and premises.again <= parent.host.now():
            premises.mend(parent.host.now())
            planning.publish(parent)
    shutdown = parent.fleet.shutdown
    return shutdown.exit_code if shutdown else 0
