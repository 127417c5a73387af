"""The real host: one epoll over pidfds, signals, sockets, errands and inotify."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from supervisor import registry
from supervisor.core.definition import Probe, StopPolicy
from supervisor.core.events import Exited, Status
from supervisor.core.instance import Run
from supervisor.core.words import in_words
from supervisor.host import clock, files, lookup, procfs, title
from supervisor.host.clock_jumps import WallClock
from supervisor.host.config_watch import ConfigWatch
from supervisor.host.deadlines import Timed, first, nearest, overdue
from supervisor.host.errand import Errands
from supervisor.host.inotify import IN_MOVED_TO, Watch
from supervisor.host.interface import (
    Breached,
    CannotForkError,
    ClockSet,
    ConfigTouched,
    Done,
    Dropped,
    Happened,
    Launch,
    Occurrence,
    Signalled,
    Stalled,
)
from supervisor.host.kept import Kept
from supervisor.host.log import Log
from supervisor.host.loop import Loop, Signals
from supervisor.host.pulse import Pulse
from supervisor.host.retry import Retries
from supervisor.host.sd_notify import Notifier
from supervisor.host.step import SCARCE
from supervisor.host.watched_processes import WatchedProcesses
from supervisor.registry import prober, timekeeper
from supervisor.registry.interface import Helper
from supervisor.runs import leftovers, proctree
from supervisor.runs.begun import begun
from supervisor.runs.complaints import Complaints
from supervisor.runs.fifos import Fifos
from supervisor.runs.notify_sockets import NotifySockets
from supervisor.runs.prober_link import ProberLink
from supervisor.runs.probing import Probing
from supervisor.runs.process import Processes
from supervisor.runs.signaller import Signaller
from supervisor.runs.timekeeper_link import TimekeeperLink
from supervisor.spawn import fd_holder
from supervisor.spawn.launch import fifo_paths
from supervisor.spawn.spawning import Spawning
from supervisor.store import layout
from supervisor.store.journal import Journal
from supervisor.store.manifest import write as write_manifest
from supervisor.store.spool import Spool
from supervisor.store.statefile import (
    BREACHES,
    LOSSES,
    REJECTS,
    SAMPLES,
    TROUBLES,
    WAITS,
    StateFile,
    StateReader,
    losses,
)

CONFIG_POLL = 10.0
"""Seconds between two looks at the config while the kernel does not watch it. Each look is an errand."""


class Linux:
    """Implements `interface.Host`."""

    def __init__(self, log: Log, spawning: Spawning | None = None, *, reaps: bool = True) -> None:
        """Become a subreaper and take over the signal handlers of the process.

        Args:
            log: where lines for the operator go.
            spawning: what makes children. @spawner was forked while the process was small; default: a new one.
            reaps: whether to reap children now. False: not before `finish_takeover`. After an exec some children may
                have an end that was not reported yet. Only their adoption tells to which runs they belong.
        """
        lookup.fill()
        self._spawning = spawning or Spawning()
        self.loop = Loop(log.write)
        self.loop.blind = self._blind
        self.logger = log
        self._retries = Retries(log.write)
        self._signals = Signals()
        self.loop.watch(self._signals.fd, self._signalled)
        self._notifier = Notifier()
        self._errands = Errands(self.loop)
        self._watched_processes = WatchedProcesses(self.loop)
        self._processes = Processes(self.loop, self._spawning, self._notifier, self._retries)
        self._signaller = Signaller(self._processes, self.errand)
        self._processes.reaps = reaps
        self._complaints = Complaints(self.loop, log)
        self._fifos = Fifos(self._spawning.fd_holder, self.log)
        self._wall = WallClock()
        self.loop.watch(self._wall.fd, lambda _: [ClockSet()] if self._wall.was_set() else [])
        self._watch: ConfigWatch | None = None
        self._loss: Watch | None = None
        self._breach: Watch | None = None
        self._unwatched = ""  # why directories are polled rather than watched
        self._pulse = Pulse()
        self.woke = self.now()
        self._journal: Journal | None = None
        self._spool: Spool | None = None
        self._newest = StateReader(SAMPLES, "")
        self._occurred: list[Occurrence] = []  # found outside of the loop
        self._runtime_dir = ""
        self._notify_sockets = NotifySockets(self.loop, self._processes, self._spawning.held, self.log)
        self._probing = Probing(self.loop, self._spawning, self._processes, self.errand)
        self._timekeeper = TimekeeperLink(self.loop, self._processes)
        links: tuple[tuple[Helper, ProberLink | TimekeeperLink], ...] = (
            (prober.HELPER, self._probing.prober), (timekeeper.HELPER, self._timekeeper)
        )  # fmt: skip
        self._links = {helper.name: link for helper, link in links}  # which part speaks to a helper over a socket
        self._parts: list[Timed[Sequence[Occurrence]]] = [
            self._notifier, self._errands, self._notify_sockets, self._probing, self._processes, self._retries,
            self._timekeeper,
        ]  # fmt: skip

    def serve(self, part: Timed[Sequence[Occurrence]]) -> None:
        """Also wait for the deadline of this part from now on. `wait` returns what occurs at it."""
        self._parts.append(part)

    now = staticmethod(clock.now)
    wall = staticmethod(clock.wall)
    stamp = staticmethod(clock.stamp)
    moment = staticmethod(clock.moment)

    def wait(self, deadline: float | None) -> list[Occurrence]:
        """See `Host.wait`. Also serve the deadlines of the host's own parts."""
        self._processes.kept.flush()
        lookup.fill()
        self._spawning.do_deferred()
        now = self.now()
        if self._occurred:
            deadline = now
        until = first((deadline, nearest(self._parts)))
        occurred = self.loop.wait(self._pulse.sleep(now, until, deadline))
        self.woke = self.now()
        stalled = self._stalled(self._pulse.time_stood_still(self.woke))
        told, self._occurred = self._occurred, []
        for part in overdue(self._parts, self.woke):
            occurred += part.due(self.woke)
        return [*stalled, *self._notify_sockets.in_order([*told, *self._translated(occurred)])]

    def _stalled(self, seconds: float) -> list[Occurrence]:
        """Postpone all time limits after a stall: no task had that time."""
        if not seconds:
            return []
        for one in (self._errands, self._probing, self._processes, self._timekeeper):
            one.postpone(seconds)
        return [Stalled(seconds)]

    def _translated(self, occurred: list[Occurrence]) -> Iterator[Occurrence]:
        """Replace the end of an internal errand by the occurrences that it causes. Pass on all others."""
        for occurrence in occurred:
            yield from self._of_errand(occurrence) if isinstance(occurrence, Done) else [occurrence]

    def _of_errand(self, done: Done) -> Sequence[Occurrence]:
        takers = (self._signaller.chased, self._probing.chased, *([self._watch.done] if self._watch else []))
        return next((found for take in takers if (found := take(done)) is not None), [done])

    def _signalled(self, _: int) -> list[Occurrence]:
        names = self._signals.read()
        events: list[Occurrence] = []
        if "SIGCHLD" in names:
            events += self._processes.reap()[0]
        return events + [Signalled(name) for name in sorted(names - {"SIGCHLD"})]

    # -- processes ----------------------------------------------------------------------------------------------------

    def prepare(self, count: int) -> None:
        """See `Host.prepare`."""
        self._spawning.spawner.prepare(count)

    def fork(self, launch: Launch) -> tuple[int, int, str]:
        """See `Host.fork`."""
        out, err = fifo_paths(launch)
        paths = tuple(dict.fromkeys(path for path in (out, err) if path))
        if paths:
            with _making("FIFO"):
                given = self._fifos.make(launch.key, paths)
            if given != paths:
                out, err = given[0], err and given[-1]
        if launch.task.helper:
            err = self._complaints.open(launch.runtime_dir, launch.key)
        if (helper := registry.of(launch.task)) and helper.socket:
            with _making("the socket that it connects to"):
                self._links[helper.name].listen(helper.socket(launch.runtime_dir))
        if launch.task.notifies:
            with _making("its notify socket"):
                self._notify_sockets.open(launch.runtime_dir, launch.key, launch.run)
        made = self._processes.fork(launch, (out, err))
        self._notify_sockets.bind_process(launch.key)
        return made

    def send_go(self, key: str) -> None:
        """See `Host.send_go`."""
        self._processes.send_go(key)

    def abandon(self, key: str, reason: str) -> None:
        """See `Host.abandon`."""
        self._processes.abandon(key, reason)

    def adopt(self, key: str, run: Run) -> bool:
        """See `Host.adopt`."""
        adopted = self._processes.adopt(key, run, self._runtime_dir)
        self._notify_sockets.reopen(self._runtime_dir, key, run, lives=adopted)
        if adopted:
            self._fifos.find(layout.output(self._runtime_dir, run.id), run.pid)
        if adopted and self._processes.by_key[key].ended:
            self._occurred.append(Happened(key, Exited(run.number, self.post_mortem(run), empty=False)))
        return adopted

    def began(self, key: str, run: Run) -> bool:
        """See `Host.began`."""
        return begun(self._runtime_dir, key, run)

    def post_mortem(self, run: Run) -> Status | None:
        """See `Host.post_mortem`."""
        return self._processes.post_mortem(run)

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """See `Host.terminate`."""
        self._signaller.terminate(key, run, policy)

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> None:
        """See `Host.destroy`."""
        self._occurred += self._signaller.destroy(doomed)

    def signal(self, key: str, name: str) -> bool:
        """See `Host.signal`."""
        return self._signaller.signal(key, name)

    def pause(self, key: str, run: Run) -> None:
        """See `Host.pause`."""
        self._occurred += self._signaller.pause(key, run)

    def resume(self, key: str, run: Run) -> None:
        """See `Host.resume`."""
        self._signaller.resume(key, run)

    def ask(self, launch: Launch, probe: Probe) -> None:
        """See `Host.ask`."""
        self._probing.ask(launch, probe, self.now())

    birth_of = staticmethod(procfs.birth)

    def watch_process(self, name: str, pid: int, birth: int, pidfd: int = -1, *, spare: bool = False) -> None:
        """See `Host.watch_process`."""
        self._watched_processes.add(name, pid, birth, pidfd, spare=spare)

    def unwatch_process(self, name: str) -> None:
        """See `Host.unwatch_process`."""
        self._watched_processes.remove(name)

    def send(self, key: str, kind: str, items: list[Any] | dict[str, Any]) -> None:
        """See `Host.send`."""
        if key == timekeeper.HELPER.key:
            self._timekeeper.send(kind, items)

    def place_of(self, group: str) -> str:
        """See `Host.place_of`."""
        return self._spawning.cgroups.place_of(group)

    # -- journal, errands, the world ----------------------------------------------------------------------------------

    def use_journal(self, journal: Journal) -> None:
        """Set the journal that `remember` writes. Fetch the descriptors that an earlier supervisor's spawner holds."""
        self._journal = journal
        self._runtime_dir = os.path.dirname(journal.path)
        self._notify_sockets.inherited.fetch(self._runtime_dir)
        self._processes.kept.begin(self._runtime_dir, self._notify_sockets.inherited.pidfds())

    def end_leftovers(
        self, runtime_dir: str, known: dict[str, str], doubtful: Iterable[str], users: Iterable[int] = ()
    ) -> None:
        """End the processes of an earlier supervisor that will not be adopted, before we start any of our own.

        Args:
            runtime_dir: ours, and the earlier supervisor's.
            known: the ids of the runs that will be adopted, with their cgroups.
            doubtful: the ids of runs whose record is not trusted.
            users: the user ids of the tasks.
        """
        told = leftovers.kill(runtime_dir, known, doubtful, users)
        cgroups = set(known.values()) - {""}
        trees = self._spawning.cgroups.old_trees(fd_holder.last_in_charge(runtime_dir), cgroups)
        for path, text in leftovers.kill_in(trees, cgroups).items():
            told.append(text)
            self._spawning.cgroups.remove(path)
        for text in filter(None, told):
            self.log("warning", text)

    def remember(self, records: list[dict[str, Any]]) -> None:
        """See `Host.remember`."""
        if self._journal:
            self._journal.write(records)

    def publish_manifest(self, runtime_dir: str, manifest: dict[str, Any]) -> None:
        """See `Host.publish_manifest`. The first call takes over the FIFOs that an earlier supervisor held."""
        write_manifest(runtime_dir, manifest)
        self._fifos.take_over(layout.outputs(runtime_dir))
        self._fifos.sweep(manifest["instances"])
        self._notify_sockets.renew()  # a reload also mends what was removed alone
        what = "lost output is only reported in the log files"
        self._loss = self._watch_state_files(self._loss, (LOSSES, REJECTS), runtime_dir, Dropped(), what)
        if any(task.get("limits") for task in manifest["tasks"].values()):
            what = "limits that only @scribe watches are not enforced"
            self._breach = self._watch_state_files(self._breach, (BREACHES,), runtime_dir, Breached(), what)

    def _watch_state_files(
        self, old: Watch | None, files: tuple[StateFile, ...], runtime_dir: str, by: Occurrence, otherwise: str
    ) -> Watch | None:
        """Watch the files that a helper writes. The folders may be others than the last time."""
        try:
            for told in files:
                os.makedirs(told.folder(runtime_dir), mode=0o700, exist_ok=True)
            watch = old or Watch(IN_MOVED_TO)
            if watch is not old:
                self.loop.add_watch(watch, lambda _: [by] if watch.concerned() else [])
            watch.set(tuple((told.folder(runtime_dir), f"*{told.name}") for told in files))
        except OSError as error:
            self.log("warning", f"{otherwise}: {in_words(error)}")
            return old
        return watch

    def losses(self) -> dict[str, Any]:
        """See `Host.losses`."""
        return self._read(LOSSES.name, losses, Dropped())

    def rejects(self) -> dict[str, Any]:
        """See `Host.rejects`."""
        return self._read(REJECTS.name, REJECTS.read, Dropped())

    def breaches(self) -> dict[str, Any]:
        """See `Host.breaches`."""
        return self._read(BREACHES.name, BREACHES.read, Breached())

    def _read(self, name: str, read: Callable[[str], dict[str, Any]], news: Occurrence) -> dict[str, Any]:
        """Read a file of a helper. If that fails now, `news` occurs as soon as it can be read."""

        def again() -> list[Occurrence]:
            read(self._runtime_dir)
            return [news]

        try:
            found = read(self._runtime_dir)
        except OSError as error:
            self._retries.later(f"read {name}", again, error)
            return {}
        self._retries.done(f"read {name}")
        return found

    def _blind(self, why: str) -> None:
        """Report that the kernel does not watch a directory for us (`why`), or watches all of them again ("")."""
        says = f"changes of the config and of the runtime directory are only noticed after seconds: {why}"
        self.log("warning" if why else "info", says if why else "changes of files are noticed at once again")
        self._unwatched = says if why else ""

    def troubles(self) -> list[str]:
        """See `Host.troubles`."""
        said: list[object] = [*filter(None, (self._unwatched,))]
        try:
            for part in (*TROUBLES.parts(self._runtime_dir), WAITS.read(self._runtime_dir)):
                said += part.values()
        except OSError as error:
            said.append(f"the problems of @scribe cannot be read: {in_words(error)}")
        return [str(one) for one in said]

    def publish_health(self, what: dict[str, Any]) -> None:
        """See `Host.publish_health`."""
        files.replace(layout.health(self._runtime_dir), json.dumps(what).encode())

    def state_of(self, key: str) -> str:
        """See `Host.state_of`."""
        return self._processes.state_of(key)

    def silence(self, key: str) -> float | None:
        """See `Host.silence`."""
        return self._timekeeper.silence() if key == timekeeper.HELPER.key else None

    def complaint(self, key: str) -> str:
        """See `Host.complaint`."""
        return self._complaints.last(key)

    def unread(self, key: str) -> int:
        """See `Host.unread`."""
        return self._fifos.unread(key)

    def spool_in(self, spool: Spool) -> None:
        """Set the spool that `spool` writes. The samples are beside it."""
        self._spool = spool
        self._newest = StateReader(SAMPLES, os.path.dirname(spool.directory))

    def samples(self) -> dict[str, Any]:
        """See `Host.samples`. The file is in memory."""
        return self._newest.read()

    def spool(self, records: list[dict[str, Any]]) -> str:
        """See `Host.spool`."""
        claims = self._journal.claims if self._journal else 0
        return self._spool.put(records, claims) if self._spool else ""

    def has_unspooled(self) -> bool:
        """See `Host.has_unspooled`."""
        return bool(self._spool and self._spool.has_held)

    def errand(self, function: Callable[..., Any], *arguments: object, keep: int = -1) -> int:
        """See `Host.errand`."""
        return self._errands.run(self.now(), function, *arguments, keep=keep)

    def expect(self, pid: int, pipe: int) -> int:
        """Take over an errand that began before there was a host. Return its number, as `errand` does."""
        return self._errands.expect(self.now(), pid, pipe)

    def watch(self, places: tuple[tuple[str, str], ...]) -> None:
        """See `Host.watch`."""
        if self._watch is None:
            self._watch = ConfigWatch(self.errand, self.log)
            self.loop.add_watch(self._watch, self._on_config_change, CONFIG_POLL)
        self._watch.set(places)

    def _on_config_change(self, _: int) -> list[Occurrence]:
        return [ConfigTouched()] if self._watch and self._watch.concerned() else []

    def finish_takeover(self) -> None:
        """Release what was kept of other runs, and begin to obey signals. Everything that lives is adopted."""
        self._processes.kept.clear(self._processes.is_leader)
        self._notify_sockets.inherited.end_old_spawners()
        self._processes.reaps = True
        self._occurred += self._processes.reap()[0]
        self._signals.release()

    @property
    def kept_files(self) -> tuple[Kept, ...]:
        """What this host keeps in the runtime directory."""
        return self._spawning.fd_holder, self._fifos, self._notify_sockets

    def prepare_exec(self) -> tuple[int, int]:
        """Prepare the exec of another program. Return the tasks' soft limit of open files, and their umask."""
        self._probing.end()
        self._spawning.hand_over()
        return self._spawning.open_files[0], self._spawning.spawner.umask

    @property
    def fd_holder_fd(self) -> int:
        """The descriptor that holds the FIFOs as long as it is open, also over an exec."""
        return self._spawning.fd_holder.theirs.fileno()

    def block_signals(self) -> None:
        """Block signals. They wait in the kernel for the next program."""
        self._signals.block()

    def cancel_exec(self) -> None:
        """Obey signals again, as the next program could not be executed."""
        self._signals.release()

    def close(self) -> None:
        """End all processes of our own, so that the service manager finds none left."""
        self._probing.end()
        until = self.now() + proctree.PATIENCE
        while self._probing.busy and self.now() < until:
            self.wait(until)
        self._spawning.close()

    def notify(self, *assignments: str) -> None:
        """See `Host.notify`."""
        self._notifier.send(*assignments)

    def title(self, text: str) -> None:
        """See `Host.title`."""
        with suppress(OSError):  # no descriptor is left to load the code for it; the next title is shown
            title.show(text)

    def log(self, level: str, text: str) -> None:
        """See `Host.log`."""
        self.logger.write(level, text)


@contextmanager
def _making(what: str) -> Iterator[None]:
    """Turn an error into `CannotForkError`. It means that the runtime directory is full, or was just removed."""
    try:
        yield
    except OSError as error:
        raise CannotForkError(f"make {what}: {in_words(error)}", scarce=error.errno in SCARCE) from error
