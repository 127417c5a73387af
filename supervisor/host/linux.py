"""The real host: one epoll over pidfds, signals, sockets, errands and inotify."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from supervisor.core.definition import Probe, StopPolicy
from supervisor.core.events import Exited, Status
from supervisor.core.instance import Run
from supervisor.core.words import in_words
from supervisor.host import clock, keeper, kin, strays, title
from supervisor.host.errand import Errands
from supervisor.host.fifo import Fifos
from supervisor.host.inotify import IN_MOVED_TO, Watch
from supervisor.host.interface import (
    Beyond,
    CannotForkError,
    ClockSet,
    Done,
    Dropped,
    Happened,
    Launch,
    Occurrence,
    Signalled,
    Touched,
)
from supervisor.host.launch import fifo_paths
from supervisor.host.log import Log
from supervisor.host.loop import Loop, Signals
from supervisor.host.notified import Ears
from supervisor.host.notify import AGAIN, Notifier
from supervisor.host.process import Processes
from supervisor.host.questions import PROBER, Questions
from supervisor.host.signaller import Signaller
from supervisor.host.spawner import Spawner
from supervisor.host.wallclock import WallClock
from supervisor.store.plan import write as write_plan
from supervisor.store.records import Journal
from supervisor.store.spool import Spool
from supervisor.store.told import BREACHES, LOSSES, SAMPLES, TROUBLES, Newest, Told


class Linux:
    """Implements `interface.Host`."""

    def __init__(self, log: Log, spawner: Spawner | None = None, *, reaps: bool = True) -> None:
        """Becomes a subreaper and takes over the signal handlers of the process.

        Args:
            log: where lines for the operator go.
            spawner: one that was forked while the process was small; default: a new one.
            reaps: False: not before `settled`. After an exec there may be children whose end is still to be told, and
                whose they are is not known before they are adopted.
        """
        self._spawner = spawner or Spawner()
        self.loop = Loop()
        self.logger = log
        self._signals = Signals()
        self.loop.watch(self._signals.fd, self._signalled)
        self._notifier = Notifier()
        self._errands = Errands(self.loop)
        self._processes = Processes(self.loop, self._spawner, self._notifier)
        self._signaller = Signaller(self._processes, self.errand)
        self._processes.reaps = reaps
        self._fifos = Fifos(self._spawner.keeper, self.log)
        self._wall = WallClock()
        self.loop.watch(self._wall.fd, lambda _: [ClockSet()] if self._wall.was_set() else [])
        self._watch: Watch | None = None
        self._loss: Watch | None = None
        self._breach: Watch | None = None
        self._beat = self._notifier.watchdog()
        self._next_beat = 0.0 if self._beat else None
        self._journal: Journal | None = None
        self._spool: Spool | None = None
        self._newest = Newest(SAMPLES, "")
        self._told: list[Occurrence] = []  # found outside of the loop
        self._runtime_dir = ""
        self._ears = Ears(self.loop, self._processes, self._spawner, self.log)
        self._questions = Questions(self.loop, self._spawner, self._processes, self.errand)

    now = staticmethod(clock.now)
    stamp = staticmethod(clock.stamp)
    moment = staticmethod(clock.moment)

    def wait(self, deadline: float | None) -> list[Occurrence]:
        """See `Host.wait`. Also keeps the service manager's watchdog and the errands' limits."""
        now = self.now()
        if self._next_beat is not None and self._next_beat <= now and self._beat:
            self._notifier.tell("WATCHDOG=1")
            self._next_beat = now + self._beat
        if self._told:
            deadline = now
        self._processes.kept.rest()
        self._spawner.rest()
        self._ears.wake(now)
        again = now + AGAIN if self._notifier.late else None
        waiting = (self._errands, self._ears, self._questions, self._processes)
        others = (self._next_beat, again, *(one.next_deadline() for one in waiting))
        moments = [m for m in (deadline, *others) if m is not None]
        occurred = self.loop.wait(max(0.0, min(moments) - now) if moments else None)
        self._ears.rest(self.now())
        told, self._told = self._told, []
        if again:
            self._notifier.again()
        now = self.now()
        occurred += [*self._errands.expire(now), *self._questions.expire(now), *self._processes.expire(now)]
        return self._ears.in_order([*told, *self._translated(occurred)])

    def _translated(self, occurred: list[Occurrence]) -> Iterator[Occurrence]:
        """An errand of the processes' own is nobody else's business."""
        for occurrence in occurred:
            chased: list[Happened] | None = None
            if isinstance(occurrence, Done):
                chased = self._signaller.chased(occurrence)
                chased = self._questions.chased(occurrence) if chased is None else chased
            yield from [occurrence] if chased is None else chased

    def _signalled(self, _: int) -> list[Occurrence]:
        names = self._signals.read()
        events: list[Occurrence] = []
        if "SIGCHLD" in names:
            events += self._processes.reap()[0]
        return events + [Signalled(name) for name in sorted(names - {"SIGCHLD"})]

    # -- processes ----------------------------------------------------------------------------------------------------

    def prepare(self, count: int) -> None:
        """See `Host.prepare`."""
        self._spawner.prepare(count)

    def fork(self, launch: Launch) -> tuple[int, int, str]:
        """See `Host.fork`."""
        out, err = fifo_paths(launch)
        paths = tuple(dict.fromkeys(path for path in (out, err) if path))
        if paths:
            with _making("FIFO"):
                given = self._fifos.make(launch.key, paths)
            if given != paths:
                out, err = given[0], err and given[-1]
        if launch.key == PROBER:
            with _making("the socket that it is asked over"):
                self._questions.listen(f"{launch.runtime_dir}/prober.sock")
        if launch.task.notifies:
            with _making("its notify socket"):
                self._ears.open(launch.runtime_dir, launch.key, launch.run)
        return self._processes.fork(launch, (out, err))

    def go(self, key: str) -> None:
        """See `Host.go`."""
        self._processes.go(key)

    def abandon(self, key: str, reason: str) -> None:
        """See `Host.abandon`."""
        self._processes.abandon(key, reason)

    def adopt(self, key: str, run: Run) -> bool:
        """See `Host.adopt`."""
        adopted = self._processes.adopt(key, run, self._runtime_dir)
        self._ears.reopen(self._runtime_dir, key, run, lives=adopted)
        if adopted and self._processes.by_key[key].ended:
            self._told.append(Happened(key, Exited(run.number, self.post_mortem(run), empty=False)))
        return adopted

    def post_mortem(self, run: Run) -> Status | None:
        """See `Host.post_mortem`."""
        return self._processes.post_mortem(run)

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """See `Host.terminate`."""
        self._signaller.terminate(key, run, policy)

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> None:
        """See `Host.destroy`."""
        self._told += self._signaller.destroy(doomed)

    def signal(self, key: str, name: str) -> bool:
        """See `Host.signal`."""
        return self._signaller.signal(key, name)

    def pause(self, key: str, run: Run) -> None:
        """See `Host.pause`."""
        self._told += self._signaller.pause(key, run)

    def resume(self, key: str, run: Run) -> None:
        """See `Host.resume`."""
        self._signaller.resume(key, run)

    def ask(self, launch: Launch, probe: Probe) -> None:
        """See `Host.ask`."""
        self._questions.ask(launch, probe, self.now())

    def place_of(self, group: str) -> str:
        """See `Host.place_of`."""
        return self._spawner.place_of(group)

    # -- memory, errands, the world -----------------------------------------------------------------------------------

    def keep_in(self, journal: Journal) -> None:
        """From now on `remember` writes there. What an earlier one's spawner holds is fetched."""
        self._journal = journal
        self._runtime_dir = os.path.dirname(journal.path)
        self._ears.unheard.fetch(self._runtime_dir)

    def end_strays(self, runtime_dir: str, known: dict[str, str], doubtful: Iterable[str]) -> None:
        """Ends what an earlier supervisor has left and nobody will adopt, before there is anything of ours.

        Args:
            runtime_dir: ours, and the earlier supervisor's.
            known: the ids of the runs that will be adopted, with their cgroups.
            doubtful: those of runs whose record is not trusted.
        """
        told = strays.end(runtime_dir, known, doubtful)
        cgroups = set(known.values()) - {""}
        trees = self._spawner.old_trees(keeper.last_in_charge(runtime_dir), cgroups)
        for path, text in strays.end_in(trees, cgroups).items():
            told.append(text)
            self._spawner.remove(path)
        for text in filter(None, told):
            self.log("warning", text)

    def remember(self, records: list[dict[str, Any]]) -> None:
        """See `Host.remember`."""
        if self._journal:
            self._journal.write(records)

    def publish(self, runtime_dir: str, plan: dict[str, Any]) -> None:
        """See `Host.publish`. The first time, the FIFOs that an earlier supervisor held are taken over."""
        write_plan(runtime_dir, plan)
        self._fifos.take_over(f"{runtime_dir}/output")
        self._fifos.sweep(plan["instances"])
        self._ears.renew()
        what = "lost output will only be seen in the log files"
        self._loss = self._hear(self._loss, LOSSES, runtime_dir, Dropped(), what)
        if any(task.get("limits") for task in plan["tasks"].values()):
            what = "limits that only @scribe watches are not enforced"
            self._breach = self._hear(self._breach, BREACHES, runtime_dir, Beyond(), what)

    def _hear(self, old: Watch | None, told: Told, runtime_dir: str, by: Occurrence, otherwise: str) -> Watch | None:
        """Has what a helper tells be heard. The folder may be another one than the last time."""
        try:
            os.makedirs(told.folder(runtime_dir), mode=0o700, exist_ok=True)
            watch = old or Watch(IN_MOVED_TO)
            if watch is not old:
                self.loop.watch(watch.fd, lambda _: [by] if watch.concerned() else [])
            watch.set(((told.folder(runtime_dir), told.name),))
        except OSError as error:
            self.log("warning", f"{otherwise}: {in_words(error)}")
            return old
        return watch

    def losses(self) -> dict[str, Any]:
        """See `Host.losses`."""
        return LOSSES.read(self._runtime_dir)

    def breaches(self) -> dict[str, Any]:
        """See `Host.breaches`."""
        return BREACHES.read(self._runtime_dir)

    def troubles(self) -> str:
        """See `Host.troubles`."""
        return str(TROUBLES.read(self._runtime_dir).get("why", ""))

    def post(self, name: str, what: dict[str, Any]) -> None:
        """See `Host.post`."""
        path = f"{self._runtime_dir}/{name}"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(what, file)
        os.rename(f"{path}.new", path)

    def state_of(self, key: str) -> str:
        """See `Host.state_of`."""
        return self._processes.state_of(key)

    def unread(self, key: str) -> int:
        """See `Host.unread`."""
        return self._fifos.unread(key)

    def spool_in(self, spool: Spool) -> None:
        """From now on `spool` writes there; beside it are the samples."""
        self._spool = spool
        self._newest = Newest(SAMPLES, os.path.dirname(spool.directory))

    def samples(self) -> dict[str, Any]:
        """See `Host.samples`. A file in memory."""
        return self._newest.read()

    def spool(self, accounts: list[dict[str, Any]]) -> str:
        """See `Host.spool`."""
        claims = self._journal.claims if self._journal else 0
        return self._spool.put(accounts, claims) if self._spool else ""

    def errand(self, function: Callable[..., Any], *arguments: object) -> int:
        """See `Host.errand`."""
        return self._errands.run(self.now(), function, *arguments)

    def expect(self, pid: int, pipe: int) -> int:
        """An errand that was begun before there was a host. Returns its number, as `errand` does."""
        return self._errands.expect(self.now(), pid, pipe)

    def watch(self, places: tuple[tuple[str, str], ...]) -> None:
        """See `Host.watch`."""
        try:
            if self._watch is None:
                self._watch = Watch()
                self.loop.watch(self._watch.fd, self._touched)
            failed = self._watch.set(places)
        except OSError as error:
            self.log("warning", f"cannot watch the config for its freeze keys, use `supctl freeze`: {in_words(error)}")
            return
        for directory in failed:
            self.log("warning", f"cannot watch {directory} for changes of the freeze keys")

    def _touched(self, _: int) -> list[Occurrence]:
        return [Touched()] if self._watch and self._watch.concerned() else []

    def settled(self) -> None:
        """Everything that lives is adopted: what was kept of other runs is let go, and signals can be obeyed."""
        self._processes.kept.clear(self._processes.knows)
        self._ears.unheard.settled()
        self._processes.reaps = True
        self._told += self._processes.reap()[0]
        self._signals.release()

    def leave(self) -> int:
        """Another program is to be executed in this process. Returns the tasks' soft limit of open files."""
        self._questions.end()
        self._spawner.leave()
        return self._spawner.open_files[0]

    @property
    def kept(self) -> int:
        """The descriptor behind which the FIFOs are that are held: as long as it is open, also over an exec."""
        return self._spawner.keeper.theirs.fileno()

    def hold_signals(self) -> None:
        """They wait in the kernel for the next program."""
        self._signals.hold()

    def stay(self) -> None:
        """It could not be executed."""
        self._signals.release()

    def close(self) -> None:
        """The end: nothing of ours is left for the service manager to wonder about."""
        self._questions.end()
        until = self.now() + kin.PATIENCE
        while self._questions.busy and self.now() < until:
            self.wait(until)
        self._spawner.close()

    def notify(self, *assignments: str) -> None:
        """See `Host.notify`."""
        self._notifier.tell(*assignments)

    def title(self, text: str) -> None:
        """See `Host.title`."""
        title.show(text)

    def log(self, level: str, text: str) -> None:
        """See `Host.log`."""
        self.logger.write(level, text)


@contextmanager
def _making(what: str) -> Iterator[None]:
    """What a run has in the runtime directory. Without it there is no run: it is full, or was just removed."""
    try:
        yield
    except OSError as error:
        raise CannotForkError(f"make {what}: {in_words(error)}") from error
