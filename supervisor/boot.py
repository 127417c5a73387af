"""Coming up: config, lock, journal, socket, and then the loop of `parent`.

The config is read by an errand, also at the start, so the parent never holds the parser and the schema; what the
parent needs itself is imported meanwhile.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor import planning
from supervisor.app import EX_CONFIG, FAILED
from supervisor.control.server import InUseError, Server
from supervisor.core.immutable import replace
from supervisor.core.words import in_words
from supervisor.errands import Loaded
from supervisor.host import word
from supervisor.host.handover import Handover
from supervisor.host.interface import Done
from supervisor.host.linux import Linux
from supervisor.host.log import Log
from supervisor.host.unheard import Unheard
from supervisor.parent import SHUTDOWN, Parent, owed
from supervisor.premises import Premises, TakenError
from supervisor.store.records import Journal, boot_id, usable
from supervisor.store.spool import DIRECTORY, Spool
from supervisor.verbs import load_all
from supervisor.version import __version__

if TYPE_CHECKING:
    from supervisor.core.definition import Config
    from supervisor.host.handover import Trial
    from supervisor.host.spawner import Spawner


def supervise(spawner: Spawner, reading: tuple[int, int], trial: Trial | None = None, *, sweep: bool = False) -> int:
    """Comes up, supervises until the end, and returns the exit code.

    Args:
        spawner: forked while the process was small.
        reading: the errand that reads the config (`errands.prepare`), as `aside` began it.
        trial: how an earlier program of this process has handed over to us, if one has.
        sweep: takes over what an earlier supervisor has left, only to kill it.
    """
    log = Log()
    host = Linux(log, spawner, reaps=False)
    host.prepare(1)  # the first child, and the verbs, while the config is read
    load_all()
    if trial and not trial.handover.why:
        try:
            word.leave(trial.handover, trial.handover.directory, boot_id())
        except OSError as full:
            log.write("error", f"no trial without a way back: {full}")
            return FAILED
    loaded = _wait_for(host, host.expect(*reading))
    if loaded.config is None:
        for error in loaded.errors:
            log.write("error", error)
        return EX_CONFIG
    log.level = loaded.config.settings.log_level
    log.write("info", loaded.chosen)
    log.write("info", spawner.cgroups)
    config = loaded.config
    if trial:
        trial.hold = host.hold_signals
        settings = replace(config.settings, runtime_dir=trial.handover.directory)  # what runs is recorded there
        config = replace(config, settings=settings)
    try:
        return _run(host, loaded, config, trial, sweep=sweep)
    except (_CannotRunError, TakenError) as error:
        log.write("error", str(error))
        return FAILED


class _CannotRunError(Exception):
    """Something that a supervisor needs is not to be had."""


def _wait_for(host: Linux, errand: int) -> Loaded:
    """The answer of the errand. Signals meanwhile wait in the kernel: for the parent, or for another program."""
    while True:
        for occurrence in host.wait(None):
            match occurrence:
                case Done(number, value, error) if number == errand:
                    return value if not error else Loaded(None, (f"cannot read the config: {error}",))
                case _:
                    pass


def _run(host: Linux, loaded: Loaded, config: Config, trial: Trial | None, *, sweep: bool) -> int:
    settings = config.settings
    came = trial.handover if trial else Handover({})
    premises = Premises(settings.runtime_dir, host.log, lock=came.lock, guards=(came.guard, came.namespace_guard))
    _go_back(host, premises, wanted=not came.directory and not sweep)
    path = f"{settings.runtime_dir}/supervisor.sock"
    server = Server(host.loop, host.now, loaded.people or {}, loaded.socket_gid)
    try:
        journal = Journal(f"{settings.runtime_dir}/journal", boot_id(), epoch=os.urandom(3).hex())
        if sweep and not _to_sweep(journal, host.log):
            host.close()
            return 0
        spool = Spool(f"{settings.runtime_dir}/{DIRECTORY}")
        if not server.inherit(came.socket, path):
            server.listen(path, settings.socket_mode)
    except (OSError, InUseError) as error:
        raise _CannotRunError(f"cannot start in {settings.runtime_dir}: {in_words(error)}") from None
    for complaint in journal.complaints:
        host.log("warning", complaint)
    host.end_strays(settings.runtime_dir, *_runs(journal))
    host.keep_in(journal)
    host.spool_in(spool)
    parent = Parent(host, config, epoch=journal.epoch, life=os.urandom(3).hex())
    _guard(host, premises, parent, server, journal)
    parent.take_over(journal.facts, loaded.freezes, loaded.packed)
    parent.configuration.broken(loaded.errors)
    host.settled()
    came.pass_on(host.kept)
    _go_on(parent, came, journal, sweep=sweep)
    for occurrence in host.wait(host.now()):  # a signal that has waited comes before the first start
        parent.occur(occurrence)
    parent.settle()
    gc.collect()
    gc.freeze()
    if trial:
        trial.up = host.now()
    while (code := _loop(parent, server, premises)) is None:
        _upgrade(parent, host, server, premises)
    for client in parent.goodbye:
        client.answer({"name": settings.name})
    server.close()
    journal.clear()
    parent.upgrade.clear()
    host.close()
    return code


def _go_on(parent: Parent, came: Handover, journal: Journal, *, sweep: bool) -> None:
    """What was under way when the earlier program or supervisor ended."""
    parent.upgrade.begin(came.command or [sys.executable, *sys.orig_argv[1:]], came if came.directory else None)
    if came.directory and SHUTDOWN in journal.facts:  # begun by a program that then failed
        parent.shut_down(str(journal.facts[SHUTDOWN].get("why")))
    if sweep:
        parent.shut_down("what an earlier supervisor has left is killed")
        parent.fleet.kill_all("left by an earlier supervisor", parent.host.now())


def _upgrade(parent: Parent, host: Linux, server: Server, premises: Premises) -> None:
    """Executes the installed program in this process. Comes back only if that is not possible."""
    handover = parent.upgrade.handover()
    handover.lock, handover.guard, handover.namespace_guard = premises.held
    handover.socket = server.fd
    handover.kept = host.kept
    host.log("warning", f"upgrade: executing {' '.join(handover.command)}")
    host.notify("RELOADING=1", f"MONOTONIC_USEC={int(host.now() * 1e6)}")
    parent.memory.write((), host.now())  # what is pending: an older program would keep what it does not know
    handover.open_files = host.leave()
    try:
        handover.execute(handover.command, host.hold_signals)
    except OSError as error:
        host.stay()
        parent.announce.reloaded()
        parent.upgrade.failed(f"cannot execute {handover.command[0]}: {error.strerror}")


def _go_back(host: Linux, premises: Premises, *, wanted: bool) -> None:
    """A new program was killed on its trial, and a service manager has started it again: the old one in its place.

    `wanted`: this is such a start, not an exec, and not one that is there to end everything.
    """
    handover = word.unfinished(premises.directory, boot_id()) if wanted else None
    if handover is None:
        return
    handover.why, handover.new = "it was killed before its trial was over", __version__
    host.log("error", f"the upgrade has failed, back to {handover.old}: {handover.why}")
    handover.lock, handover.guard, handover.namespace_guard = premises.held
    handover.open_files = host.leave()
    try:
        handover.execute(handover.back(), host.hold_signals)
    except OSError as error:
        host.log("error", f"cannot go back: {in_words(error)}")


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
    left = left or bool(owed(journal.facts))
    if meant and not left:
        journal.clear()
        word.over(os.path.dirname(journal.path))
        unheard = Unheard()
        unheard.fetch(os.path.dirname(journal.path))
        unheard.settled()
    return meant and left


def _runs(journal: Journal) -> tuple[dict[str, str], list[str]]:
    """The ids of the runs that will be adopted, with their cgroups, and of those whose record will not be trusted."""
    known: dict[str, str] = {}
    doubtful: list[str] = []
    for fact in journal.facts.values():
        if "instance" in fact and isinstance(run := fact.get("run"), dict):
            if usable(fact):
                known[str(run.get("id"))] = str(run.get("cgroup") or "")
            else:
                doubtful.append(str(run.get("id")))
    return known, doubtful


def _guard(host: Linux, premises: Premises, parent: Parent, server: Server, journal: Journal) -> None:
    try:
        premises.keep(host.loop, server, parent.running_settings.socket_mode, journal, parent.upgrade)
    except OSError as error:
        host.log("warning", f"cannot watch {premises.directory}, it must not be removed: {in_words(error)}")


def _loop(parent: Parent, server: Server, premises: Premises) -> int | None:
    """Supervises until the end. Returns the exit code, or None when another program is to be executed."""
    while parent.turn(min((at for at in (server.next_deadline(), premises.again) if at is not None), default=None)):
        for occurrence in server.turn(parent.host.now()):
            parent.occur(occurrence)
            parent.settle()
        now = parent.host.now()
        if premises.disturbed(now) and premises.mend(now):
            planning.publish(parent)
            parent.renew_helpers()
            parent.settle()
    if parent.upgrade.due is not None:
        return None
    shutdown = parent.fleet.shutdown
    return shutdown.exit_code if shutdown else 0
