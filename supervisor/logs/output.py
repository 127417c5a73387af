"""Output: what tasks write, from their FIFOs to where the plan says. A part of @scribe.

A FIFO is looked at when the kernel tells that something came; one block of it is dealt with, then the others have
their turn. What is no whole line yet stays in the FIFO for a moment, so that the lines of two streams do not cut each
other; then it is shown as far as it is. Between stdout and stderr, two FIFOs, the order is that of arrival, as
well as it can be told; only `format = "raw"` with `stderr = "merged"` is one FIFO, and keeps the order byte by byte.

When nobody can write to a FIFO any more and nothing is in it, the run has said its last word: the FIFO is removed.
The newest of an instance stays until the instance itself has gone: it may be one that its child is about to open, or
that is used again (`host.fifo`).
"""

from __future__ import annotations

import grp
import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisor.host import clock
from supervisor.host.inotify import IN_CREATE, Watch
from supervisor.logs.access import Rules
from supervisor.logs.console import Console
from supervisor.logs.file import LogFile, Loss
from supervisor.logs.format import Origin
from supervisor.logs.journal import JournalSink
from supervisor.logs.ledger import Ledger
from supervisor.logs.places import OUT, files, number_of, run_of
from supervisor.logs.pump import TALKATIVE, Pump, enlarged, room_of
from supervisor.logs.rotate import Compressor
from supervisor.logs.tail import Tails
from supervisor.store import plan as plans
from supervisor.store.told import LOSSES

if TYPE_CHECKING:
    from supervisor.helpers.part import Loop

PATIENCE = 0.25
"""Seconds that the begin of a line waits for the rest of it."""

SHORTEST_BREATH, LONGEST_BREATH = 0.00005, 0.016
"""Seconds. A task that writes all the time is not worth a wake-up for each write: so far apart are soon enough for a
reader, and cost a fraction of the processor time."""

HALF = 0.5
"""Of what a FIFO can hold: as long as it is no fuller, its task never waits. One with a whole block in it is full."""

LONG_LINE = 64 * 1024
"""Bytes from which the begin of a line waits no longer."""

REPORT_SOON = 0.5
"""Seconds from a loss to its report: others of the same moment come with it."""

REPORT_EVERY = 10.0
"""Seconds between two reports of what could not be written, which all wake the supervisor."""

CONFESS_EVERY = 2.0
"""Seconds between two looks whether there is room to say in a file what is missing there."""

AGAIN = 0.05
"""Seconds until the next try on who could not take anything (the journal, a terminal)."""


class Stream:
    """One FIFO."""

    __slots__ = ("alone", "ended", "fd", "fifo", "file", "grown", "origin", "retired", "room", "sure", "tail", "to")

    def __init__(self, folder: str, fifo: str, run: str, stream: str) -> None:
        """Opens it for reading only, so that the kernel tells when the last writer has gone.

        Raises:
            OSError: it is gone.
        """
        self.fifo = fifo
        self.origin = Origin(run.rpartition("/")[0], run, stream)
        self.fd = os.open(f"{folder}/{fifo}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.grown = False
        self.room = room_of(self.fd)
        self.retired = False  # its instance is no longer in the plan
        self.alone = False  # nobody can write to it any more, but for who opens it anew
        self.sure = False  # whether that is known: the last writer may have gone before it was opened here
        self.ended = False  # nobody can write to it, and it is empty
        self.tail = b""
        self.to = ""  # where it goes: as `log.to`
        self.file: LogFile | None = None  # and the file, where it is one


class Output:
    """Every FIFO of the runtime directory."""

    def __init__(self, runtime_dir: str) -> None:
        """Finishes what the scribe before has begun."""
        self._runtime_dir = runtime_dir
        self._losses: dict[str, dict[str, Any]] = LOSSES.read(runtime_dir)
        self._report_at: float | None = None  # when the losses are written down
        self._reported = -REPORT_EVERY  # when they last were
        self._confess_at: float | None = None  # when it is tried to say in the files what is missing
        self.tails = Tails(runtime_dir)
        self._folder = plans.folder(runtime_dir)
        self._pump = Pump()
        self._ledger = Ledger(f"{runtime_dir}/scribe.ledger")
        self._ledger.settle(self._folder, self._pump)
        self._compressor = Compressor()
        self._console = Console()
        self._journal = JournalSink()
        self._streams: dict[str, Stream] = {}
        self._newest: dict[tuple[str, str], str] = {}  # FIFO of an instance and stream
        self._files: dict[str, LogFile] = {}
        self._ready: dict[str, None] = {}
        self._later: dict[str, float] = {}
        self._plan: dict[str, Any] = {}
        self._fullest = 0.0  # FIFO of this turn, as a part of what it can hold
        self._breath = LONGEST_BREATH
        self._last = 0.0  # turn
        self._watch = Watch(IN_CREATE)
        self._watch.set(((self._folder, "*.out"), (self._folder, "*.err")))
        self._watcher: Loop | None = None

    # -- as a part of the scribe --------------------------------------------------------------------------------------

    def attach(self, loop: Loop) -> None:
        """See `Part`."""
        self._watcher = loop
        loop.watch(self._watch.fd, lambda _: self._look())
        loop.watch(self._compressor.fd, lambda _: self._compressor.finished())
        self._open(None)

    def planned(self, plan: dict[str, Any]) -> None:
        """See `Part`."""
        self._plan = plan
        instances = set(plan.get("instances", ()))
        for fifo, stream in self._streams.items():
            stream.retired = stream.origin.key not in instances
            self._ready[fifo] = None
            self._route(stream)
        used = {stream.file.path for stream in self._streams.values() if stream.file}
        for path in self._files.keys() - used:
            self._files.pop(path).close()

    def replaced(self) -> None:
        """See `Part`. The FIFOs of runs that go on have no name any more, but are still what these write to."""
        self._ledger.reopen()
        self._watch.set(((self._folder, "*.out"), (self._folder, "*.err")))
        self._open(None)

    def deadline(self) -> float | None:
        """See `Part`."""
        if self._ready:
            return 0.0
        moments = [*self._later.values(), *(at for at in (self._report_at, self._confess_at) if at is not None)]
        return min(moments, default=None)

    def due(self, now: float) -> None:
        """See `Part`. One block for each stream that has something."""
        if self._report_at is not None and self._report_at <= now:
            self._report(now)
        if self._confess_at is not None and self._confess_at <= now:
            self._confess(now)
        late = [fifo for fifo, moment in self._later.items() if moment <= now]
        ready, self._ready = self._ready, {}
        for fifo in late:
            del self._later[fifo]
            ready.pop(fifo, None)
            self._deal_with(fifo, now, patient=False)
        self._fullest = 0.0
        for fifo in ready:
            self._deal_with(fifo, now, patient=True)
        if self._fullest:
            self._breathe(now)
        self._last = now

    def _breathe(self, now: float) -> None:
        """Lets the FIFOs fill meanwhile, to the half or a block: the fuller one was, the shorter is the next breath."""
        self._breath *= max(0.5, min(2.0, HALF / self._fullest))
        self._breath = max(SHORTEST_BREATH, min(LONGEST_BREATH, self._breath))
        if now - self._last < 2 * LONGEST_BREATH and self._breath > SHORTEST_BREATH and not self._ready:
            clock.sleep(self._breath)

    def reads(self, run: str) -> bool:
        """Whether more of this run may come."""
        return any(stream.origin.run == run and not stream.ended for stream in self._streams.values())

    def finish(self) -> None:
        """See `Part`. What is in the FIFOs now, and no more than that: a task that goes on finds the next scribe."""
        self._look()
        for fifo in list(self._streams):
            for _ in range(8):
                self._ready.pop(fifo, None)
                self._deal_with(fifo, clock.now(), patient=True)
                if fifo not in self._ready:
                    break
        for file in self._files.values():
            file.confess((clock.now(), clock.wall()))
            file.close()
        if self._report_at is not None:
            self._report(clock.now())

    def _look(self) -> None:
        """New FIFOs."""
        self._open(self._watch.names())

    def _open(self, names: list[str] | None) -> None:
        for fifo in self._by_age() if names is None else sorted(names, key=_in_order):
            found = run_of(fifo)
            if found and fifo not in self._streams:
                with suppress(OSError):
                    self._begin(Stream(self._folder, fifo, *found))

    def _by_age(self) -> list[str]:
        """All that are there. Numbers of runs may have begun anew, with another journal: then it is another epoch."""
        there: list[str] = []
        epochs: dict[str, int] = {}
        for fifo in os.listdir(self._folder):
            with suppress(FileNotFoundError):
                moment = os.stat(f"{self._folder}/{fifo}").st_mtime_ns
                epochs[_epoch(fifo)] = max(moment, epochs.get(_epoch(fifo), 0))
                there.append(fifo)
        return sorted(there, key=lambda fifo: (epochs[_epoch(fifo)], *_in_order(fifo)))

    def _begin(self, stream: Stream) -> None:
        self._streams[stream.fifo] = stream
        self._route(stream)
        self._ready[stream.fifo] = None
        who = (stream.origin.key, stream.origin.stream)
        self._newest[who] = stream.fifo
        for fifo, older in self._streams.items():
            if older.ended and (older.origin.key, older.origin.stream) == who:
                self._ready[fifo] = None
        if self._watcher:
            edge = select.EPOLLIN | select.EPOLLET
            self._watcher.watch(stream.fd, self._reader(stream.fifo), edge)

    def _reader(self, fifo: str) -> Callable[[int], None]:
        def ready(events: int) -> None:
            self._ready[fifo] = None
            if events & select.EPOLLHUP:
                self._streams[fifo].alone = True

        return ready

    # -- a block ------------------------------------------------------------------------------------------------------

    def _deal_with(self, fifo: str, now: float, *, patient: bool) -> None:
        """One block of one stream. A `patient` look leaves the begin of a line where it is, for a moment."""
        stream = self._streams.get(fifo)
        if stream is None or not self._plan:
            return
        file = stream.file
        most = min(self._pump.most, file.most) if file else self._pump.most
        block = self._pump.peek(stream.fd, most)
        if not block:
            stream.alone, stream.sure = False, True
            if block is not None:
                self._ended(stream, file)
            return
        stream.ended = False
        self._fullest = max(self._fullest, 1.0 if len(block) == most else len(block) / stream.room)
        if len(block) >= TALKATIVE and not stream.grown:
            stream.grown = True
            stream.room = enlarged(stream.fd, sum(one.grown for one in self._streams.values()))
        take = block.rfind(b"\n") + 1
        if not take and (not patient or stream.alone or len(block) >= min(most, LONG_LINE)):
            take = len(block)
        elif take < len(block):
            self._later.setdefault(fifo, now + PATIENCE)
            if not stream.sure:
                self._ask_for_the_end(stream)
        if take:
            self._put(stream, file, block, take, now)
            if len(block) == most or stream.alone or (take == len(block) and not stream.sure):
                self._ready[fifo] = None

    def _ask_for_the_end(self, stream: Stream) -> None:
        """Has the kernel tell (EPOLLHUP) if nobody writes to it, also when the run was over before it was opened here.

        It tells that writers have gone only if some have come since; so one comes, and goes. Else the last words of
        such a run, without a newline, would wait for more while the next run speaks.
        """
        with suppress(OSError):  # the FIFO has no name any more
            os.close(os.open(f"{self._folder}/{stream.fifo}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        stream.sure = True

    def _put(self, stream: Stream, file: LogFile | None, block: bytes, take: int, now: float) -> None:
        done = take
        if file:
            moment = (now, clock.wall())
            loss = file.append(stream.fifo, stream.origin, block, take, moment)
        else:
            data = block if take == len(block) else block[:take]
            sink = self._journal if stream.to == "journal" else self._console
            done, loss = sink.append(stream.origin, data)
            if done < take:
                self._later[stream.fifo] = now + AGAIN
        self._pump.take(stream.fd, done)
        if file:
            self._ledger.close()
        stream.tail = self.tails.grown(stream.tail, block, done)
        if loss.bytes:
            self._lose(stream.origin.key, loss)

    def _lose(self, key: str, loss: Loss) -> None:
        before = self._losses.get(key, {"bytes": 0, "lines": 0})
        total = {"bytes": before["bytes"] + loss.bytes, "lines": before["lines"] + loss.lines}
        self._losses[key] = {**total, "why": loss.why, "at": clock.stamp()}
        if self._confess_at is None:
            self._confess_at = clock.now() + CONFESS_EVERY
        if self._report_at is None:
            self._report_at = max(clock.now() + REPORT_SOON, self._reported + REPORT_EVERY)

    def _confess(self, now: float) -> None:
        for file in self._files.values():
            file.confess((now, clock.wall()))
        self._confess_at = now + CONFESS_EVERY if any(file.lost.bytes for file in self._files.values()) else None

    def _report(self, now: float) -> None:
        """For `status`, the events and the notices."""
        self._report_at, self._reported = None, now
        with suppress(OSError):
            LOSSES.write(self._runtime_dir, self._losses)

    def _ended(self, stream: Stream, file: LogFile | None) -> None:
        """Nobody can write to it now, and nothing is left in it."""
        if not stream.ended:
            stream.ended = True
            self._later.pop(stream.fifo, None)
            if file:
                file.end(stream.fifo)
            elif stream.to == "inherit":
                self._console.end(stream.origin)
            self.tails.keep(stream.origin, stream.tail)
            stream.tail = b""
        who = (stream.origin.key, stream.origin.stream)
        if stream.retired or self._newest[who] != stream.fifo:
            self._remove(stream)

    def _remove(self, stream: Stream) -> None:
        del self._streams[stream.fifo]
        self._ready.pop(stream.fifo, None)
        self._later.pop(stream.fifo, None)
        if self._watcher:
            self._watcher.unwatch(stream.fd)
        with suppress(FileNotFoundError):
            os.unlink(f"{self._folder}/{stream.fifo}")
        os.close(stream.fd)

    # -- where it goes ------------------------------------------------------------------------------------------------

    def _route(self, stream: Stream) -> None:
        """Finds out where a stream goes by the plan of now."""
        key, kind = stream.origin.key, stream.origin.stream
        task = self._plan.get("tasks", {}).get(key.rpartition(":")[0], {})
        log = task.get("log", {})
        stream.to, stream.file = log.get("to", "file"), None
        if stream.to == "inherit":
            self._console.know(key)
        where = files(key, stream.to, log.get("stderr", "merged"), self._plan.get("log_dir", ""))
        path = where.get(kind) or where.get(OUT)
        if path:
            rules = self._rules(task, log)
            stream.file = self._files.get(path)
            if stream.file is None:
                stream.file = self._files[path] = LogFile(path, rules, self._ledger, self._compressor)
            elif stream.file.rules != rules:
                stream.file.close()
                stream.file.rules = rules

    def _rules(self, task: dict[str, Any], log: dict[str, Any]) -> Rules:
        given = {name: log[name] for name in ("format", "max_size", "keep", "compress") if name in log}
        user = task.get("user") if log.get("to", "file") != "file" else None
        return Rules(**given, gid=_gid(self._plan.get("group")), user=user)


def _epoch(fifo: str) -> str:
    return fifo.rpartition("@")[2].partition(".")[0]


def _in_order(fifo: str) -> tuple[int, str, bool]:
    """Of one moment: the older run first, its stdout first."""
    base, _, stream = fifo.rpartition(".")
    run = run_of(fifo)
    return number_of(run[0]) if run else 0, base, stream != OUT


def _gid(group: str | None) -> int:
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        return -1
