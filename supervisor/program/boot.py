"""Start the supervisor: config, lock, journal, socket, and then the loop of `shell.parent`.

An errand reads the config, also at the start. So the parent never holds the parser and the schema in memory. Meanwhile
the parent imports its own modules.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor.control.server import InUseError, Server
from supervisor.core.exits import EX_CONFIG, FAILED
from supervisor.core.immutable import replace
from supervisor.core.words import in_words
from supervisor.host.interface import Done
from supervisor.host.log import Log
from supervisor.shell.ended_runs import unreported
from supervisor.shell.firings import OVER
from supervisor.shell.journaling import SHUTDOWN
from supervisor.shell.linux import Linux
from supervisor.shell.offloaded import Loaded
from supervisor.shell.own_firings import FIRE
from supervisor.shell.parent import Parent
from supervisor.shell.pools import HOLDER
from supervisor.shell.runtime_dir import RuntimeDir, TakenError
from supervisor.shell.takeover import take_over
from supervisor.spawn.notify_holder import Inherited
from supervisor.spawn.reexec import ReexecState
from supervisor.store import layout
from supervisor.store.journal import Journal, boot_id, usable
from supervisor.store.spool import Spool
from supervisor.verbs import load_all

if TYPE_CHECKING:
    from supervisor.core.definition import Config
    from supervisor.spawn.spawning import Spawning
    from supervisor.verbs.interface import Verb


GLANCE = 1.0
"""Seconds between two looks at whether a signal has come while the config is read."""

TOLD_TO_END = 10.0
"""Seconds that reading the config may still take after a signal. The supervisor needs the config to stop the tasks of
an earlier one."""


def supervise(
    spawning: Spawning, reading: tuple[int, int], came: ReexecState | None = None, *, sweep: bool = False
) -> int:
    """Start, supervise until the end, and return the exit code.

    Args:
        spawning: what makes children. @spawner was forked while the process was small.
        reading: the errand that reads the config (`shell.offloaded.prepare`), as `aside` began it.
        came: the state that an earlier program of this process passed on; None if there was none.
        sweep: take over the runs that an earlier supervisor has left, only to kill them.
    """
    log = Log()
    try:
        host = Linux(log, spawning, reaps=False)
    except OSError as scarce:
        log.write("error", f"cannot start, no file descriptor is available: {in_words(scarce)}")
        return FAILED
    host.prepare(1)  # the first child, and the verbs, while the config is read
    verbs = load_all()
    loaded = _wait_for(host, host.expect(*reading))
    if loaded.config is None:
        for error in loaded.errors:
            log.write("error", error)
        return FAILED if loaded.try_again else EX_CONFIG
    log.level = loaded.config.settings.log_level
    log.write("info", loaded.chosen)
    log.write("info", spawning.cgroups.text)
    config = loaded.config
    if came:
        settings = replace(config.settings, runtime_dir=came.directory)  # the runs are recorded there
        config = replace(config, settings=settings)
    try:
        return _run(host, loaded, config, verbs, came or ReexecState({}), sweep=sweep)
    except (_CannotRunError, TakenError) as error:
        log.write("error", str(error))
        return FAILED
    except MemoryError:
        os.write(2, NO_MEMORY)
        return FAILED


NO_MEMORY = b"supervisor: ends, as no memory is left for it; its tasks go on, and the next start takes them over\n"
"""Made beforehand: when memory runs out, there is none to make it."""


class _CannotRunError(Exception):
    """Something that a supervisor needs is not available."""


def _wait_for(host: Linux, errand: int) -> Loaded:
    """Wait for the config from the errand. Meanwhile signals wait in the kernel: for the parent, or another program.

    But after SIGTERM or SIGINT it waits no longer than `TOLD_TO_END` seconds for the errand.
    """
    end: float | None = None
    while end is None or host.now() < end:
        for occurrence in host.wait(host.now() + GLANCE):
            match occurrence:
                case Done(number, value, error) if number == errand:
                    return value if not error else Loaded(None, (f"cannot read the config: {error}",), try_again=True)
                case _:
                    pass
        if end is None and not {signal.SIGTERM, signal.SIGINT}.isdisjoint(signal.sigpending()):
            end = host.now() + TOLD_TO_END
    why = "stopped while it read the config, which took too long; no task was started or stopped"
    return Loaded(None, (f"{why}: a file system or a user database may not answer",), try_again=True)


def _run(host: Linux, loaded: Loaded, config: Config, verbs: dict[str, Verb], came: ReexecState, *, sweep: bool) -> int:
    settings = config.settings
    runtime_dir = RuntimeDir(settings.runtime_dir, host.log, lock=came.lock, guards=(came.guard, came.namespace_guard))
    path = layout.control_socket(settings.runtime_dir)
    server = Server(host.loop, host.now, loaded.people or {}, loaded.socket_gid)
    try:
        journal = Journal(layout.journal(settings.runtime_dir), boot_id(), epoch=os.urandom(3).hex())
        if sweep and not _to_sweep(journal, host.log):
            host.close()
            return 0
        spool = Spool(layout.spool(settings.runtime_dir))
        if not server.inherit(came.socket, path, settings.socket_mode):
            server.listen(path, settings.socket_mode)
    except (OSError, InUseError) as error:
        raise _CannotRunError(f"cannot start in {settings.runtime_dir}: {in_words(error)}") from None
    for complaint in journal.complaints:
        host.log("warning", complaint)
    host.spool_in(spool)
    parent = Parent(host, config, verbs, epoch=journal.epoch, life=os.urandom(3).hex())
    host.serve(server)
    _guard(host, runtime_dir, server, journal)
    _take_over(host, parent, journal, loaded)
    came.pass_on(host.fd_holder_fd)
    _resume(parent, came, journal, sweep=sweep)
    for occurrence in host.wait(host.now()):  # a signal that has waited comes before the first start
        parent.occur(occurrence)
    parent.advance()
    gc.collect()
    gc.freeze()
    while _loop(parent):
        _upgrade(parent, host, server, runtime_dir)
    for client in parent.ending.goodbye:
        client.answer({"name": settings.name})
    server.close()
    _report_untaken(spool, host.log)
    left = _report_unreachable(parent, host.log)
    if not left:
        journal.clear((OVER, HOLDER, FIRE))
    host.close()
    code = parent.context.fleet.shutdown.exit_code if parent.context.fleet.shutdown else 0
    return code or (FAILED if left else 0)


def _report_unreachable(parent: Parent, log: Callable[[str, str], None]) -> bool:
    """Log which runs are left alive. Return whether there is any; the journal must then keep it for the next start."""
    fleet = parent.context.fleet
    for instance in [fleet.instances[key] for key in sorted(fleet.unreachable)]:
        left = ", ".join(instance.run.left) if instance.run else ""
        log("error", f"{instance.name} is left running: {left}; end it by hand, or the next start takes it over")
    return bool(fleet.unreachable)


def _report_untaken(spool: Spool, log: Callable[[str, str], None]) -> None:
    """Log how many ended runs @scribe has not written to the history."""
    try:
        left = spool.finish()
    except OSError as error:
        log("error", f"ended runs may be missing in the history, {spool.directory}: {in_words(error)}")
        return
    if left:
        text = f"{left} ended runs are not in the history yet, as @scribe could not write them"
        log("warning", f"{text}: they wait in {spool.directory} for the next start; a boot of the machine loses them")


def _take_over(host: Linux, parent: Parent, journal: Journal, loaded: Loaded) -> None:
    """Adopt the runs of an earlier supervisor, and end its other leftover processes.

    Raises:
        _CannotRunError: it is not known which processes live, so nothing may be started.
    """
    try:
        host.end_leftovers(parent.context.settings.runtime_dir, *_runs(journal), (*loaded.users, *_users(journal)))
        host.use_journal(journal)
        take_over(parent, journal.facts, loaded.freezes, loaded.packed)
        parent.config_in_force.broken(loaded.errors)
        parent.config_in_force.warn(error.text for error in loaded.machine_errors)
        host.finish_takeover()
    except OSError as error:
        raise _CannotRunError(f"cannot take over the tasks of an earlier supervisor: {in_words(error)}") from None


def _resume(parent: Parent, came: ReexecState, journal: Journal, *, sweep: bool) -> None:
    """Continue the work that was under way when the earlier program or supervisor ended."""
    parent.upgrade.begin(came.command or [sys.executable, *sys.orig_argv[1:]], came if came.directory else None)
    if came.directory and SHUTDOWN in journal.facts:  # begun by the earlier program
        parent.ending.begin(str(journal.facts[SHUTDOWN].get("why")))
    if sweep:
        parent.ending.begin("killing the processes that an earlier supervisor left")
        parent.context.fleet.kill_all("left by an earlier supervisor", parent.context.host.now())


def _upgrade(parent: Parent, host: Linux, server: Server, runtime_dir: RuntimeDir) -> None:
    """Execute the installed program in this process. Return only if that is not possible."""
    state = parent.upgrade.reexec_state()
    state.lock, state.guard, state.namespace_guard = runtime_dir.held
    state.socket = server.fd
    state.kept = host.fd_holder_fd
    host.log("warning", f"upgrade: executing {' '.join(state.command)}")
    host.notify("RELOADING=1", f"MONOTONIC_USEC={int(host.now() * 1e6)}")
    parent.context.journaling.write((), host.now())  # an older program would keep facts that it does not know
    state.open_files, state.umask = host.prepare_exec()
    try:
        state.execute(state.command, host.block_signals)
    except OSError as error:
        host.cancel_exec()
        parent.context.announcer.reloaded()
        parent.upgrade.failed(f"cannot execute {state.command[0]}: {error.strerror}")


def _to_sweep(journal: Journal, log: Callable[[str, str], None]) -> bool:
    """Whether the supervisor has left anything, and its end was intended.

    systemd runs this after every end of the service, and gives the reason (systemd.exec(5), $SERVICE_RESULT). After a
    stop, nothing may be left, nor after a hang for which systemd has killed the supervisor. After a crash the tasks go
    on, unless the supervisor was shutting down.
    """
    result = os.environ.get("SERVICE_RESULT", "success")
    meant = result in ("success", "timeout") or SHUTDOWN in journal.facts
    left = any(fact.get("run") for fact in journal.facts.values())
    if left and not meant:
        log("info", f"the tasks keep running for the next supervisor: this one ended by {result}")
    left = left or bool(unreported(journal.facts))
    if meant and not left:
        journal.clear((OVER, HOLDER, FIRE))
        inherited = Inherited()
        inherited.fetch(os.path.dirname(journal.path))
        inherited.end_old_spawners()
    return meant and left


def _runs(journal: Journal) -> tuple[dict[str, str], list[str]]:
    """Return the ids of the runs to adopt, with their cgroups, and the ids of runs with a doubtful record."""
    known: dict[str, str] = {}
    doubtful: list[str] = []
    for fact in journal.facts.values():
        if "instance" in fact and isinstance(run := fact.get("run"), dict):
            if usable(fact):
                known[str(run.get("id"))] = str(run.get("cgroup") or "")
            else:
                doubtful.append(str(run.get("id")))
    return known, doubtful


def _users(journal: Journal) -> set[int]:
    """Return the user ids of the runs in the journal."""
    runs = [run for fact in journal.facts.values() if isinstance(run := fact.get("run"), dict)]
    return {user for run in runs if isinstance(user := run.get("user"), int) and user >= 0}


def _guard(host: Linux, runtime_dir: RuntimeDir, server: Server, journal: Journal) -> None:
    try:
        runtime_dir.watch(host.loop, (journal, server, *host.kept_files))
        host.serve(runtime_dir)
    except OSError as error:
        host.log(
            "warning", f"cannot watch {runtime_dir.directory} for its removal; do not remove it: {in_words(error)}"
        )


def _loop(parent: Parent) -> bool:
    """Supervise. Return whether another program must be executed; else this is the end."""
    while parent.turn():
        pass
    return parent.upgrade.rehearsed
