"""Move the output of tasks from their FIFOs to the destinations of the manifest. A part of @scribe.

The scribe reads a FIFO when the kernel reports new output. It handles one block; then the other FIFOs have their
turn. An unfinished line stays in the FIFO for a moment, so that the lines of two streams do not mix. Then the scribe
writes it as it is.

stdout and stderr are two FIFOs. The scribe writes their output in the order of arrival, as far as it can know that
order. Only `format = "raw"` with `stderr = "merged"` is one FIFO, and keeps the order byte by byte.

A run's output ends when its FIFO is empty and has no writer any more. The scribe then removes the FIFO. The newest FIFO
of an instance stays until the instance itself has gone. Its child may be about to open it, or a later run may use it
again (`runs.fifos`).
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisor.core.words import in_words
from supervisor.host import clock
from supervisor.host.deadlines import Alarm, first, nearest, overdue
from supervisor.logs.access import Rules
from supervisor.logs.compress import Compressor
from supervisor.logs.console import Console
from supervisor.logs.destinations import Destinations
from supervisor.logs.file import LogFile
from supervisor.logs.intake import Intake
from supervisor.logs.journald import JournalSink
from supervisor.logs.ledger import Ledger
from supervisor.logs.lost import Lost
from supervisor.logs.names import ERR, OUT, fifo_name
from supervisor.logs.pump import TALKATIVE, Pump, enlarged
from supervisor.logs.share import Share
from supervisor.logs.stream import PATIENCE, Stream
from supervisor.logs.tail import Tails
from supervisor.store import layout
from supervisor.store.troubles import Tell

if TYPE_CHECKING:
    from supervisor.host.parts import Loop

SHORTEST_BREATH, LONGEST_BREATH = 0.00005, 0.016
"""Shortest and longest pause between two wake-ups, in seconds.

A task that writes all the time needs no wake-up for each write. Such pauses are short enough for a reader, and save
most of the processor time."""

HALF = 0.5
"""A part of a FIFO's capacity. A task never waits while its FIFO is no fuller. One that holds a whole block is full."""

LONG_LINE = 64 * 1024
"""Bytes from which an unfinished line waits no longer."""

SOON = 0.005
"""Seconds until the next look at an unfinished line in a FIFO that was full just now. Its writer may be waking up."""

UNWATCHED = 0.1
"""Seconds between two looks at a FIFO that the kernel does not report on."""

RENEW_EVERY = 5.0
"""Seconds between two tries to get what the kernel refused (tee, the ledger, a place in the epoll)."""

PAGE = 4096
"""Bytes that a full pipe may lack, because its last page need not be full."""
TAKE_OVER_EVERY = 0.5
"""Seconds between two tries to take a FIFO that another process still reads."""

AGAIN = 0.05
"""Seconds until the next try to write to a destination that would block (the journal, a terminal)."""


class Output:
    """Handles every FIFO of the runtime directory."""

    def __init__(self, runtime_dir: str, tell: Tell = lambda _subject, _why: None, share: Share | None = None) -> None:
        """Finish the block that the previous scribe has begun.

        Args:
            runtime_dir: the supervisor's.
            tell: gets a subject and what does not work now; "" when it works again.
            share: the FIFOs that this process reads; default: those of @scribe itself.
        """
        self._runtime_dir = runtime_dir
        self._tell = tell
        self._share = share or Share(runtime_dir)
        self._renewal = Alarm(self._renew)  # tries again to get what was refused
        self._waits: dict[str, str] = {}  # FIFOs whose file cannot be opened (no descriptor), and why
        self.tails = Tails(runtime_dir)
        self._folder = layout.outputs(runtime_dir)
        self._pump = Pump()
        self._ledger = Ledger(layout.scribe_ledger(runtime_dir, self._share.device))
        self._ledger.finish(self._folder, self._pump)
        self._destinations = Destinations(self._opened)
        self._lost = Lost(runtime_dir, self._share.device, self._pump, self._destinations.files)
        self._compressor = Compressor(lambda why: tell("compression", why))
        self._console = Console()
        self._journal = JournalSink()
        self._streams: dict[str, Stream] = {}
        self._newest: dict[tuple[str, str], str] = {}  # the newest FIFO of each instance and stream
        self._ready: dict[str, None] = {}
        self._later: dict[str, float] = {}
        self._fullest = 0.0  # the fullest FIFO of this turn, as a part of its capacity
        self._breath = LONGEST_BREATH
        self._pressed = False  # whether a FIFO of this turn is still more than half full
        self._last = 0.0  # the time of the last turn
        self._intake = Intake(self._folder, self._begin, lambda why: tell("output", why))
        self._watcher: Loop | None = None
        self._targets: tuple[object, ...] = ()  # of the last manifest: they decide the destinations of the streams
        self._takeover = Alarm(self._take_over)  # of the FIFOs that another process still reads
        self._others = (*self._lost.alarms, self._renewal, self._takeover, self._intake)

    # -- as a part of the scribe --------------------------------------------------------------------------------------

    def attach(self, loop: Loop) -> None:
        """See `Part`."""
        self._watcher = loop
        loop.add_watch(self._intake.watch, lambda _: self._intake.open_reported(clock.now()))
        self._intake.begin(clock.now())
        self._renew(clock.now())

    def configure(self, manifest: dict[str, Any]) -> None:
        """See `Part`."""
        self._destinations.manifest = manifest
        instances = set(manifest.get("instances", ()))
        for fifo, stream in list(self._streams.items()):
            stream.retired = stream.origin.key not in instances
            self._ready[fifo] = None
            self._route(stream)
            if not self._share.owns(self._destinations.path(stream.origin)):
                self._hand_off(stream)
        before, self._targets = self._targets, (*self._destinations.targets(), self._share.changes)
        if before != self._targets:
            self._intake.begin(clock.now())
        self._destinations.close_unused(self._streams.values())

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        if self._ready:
            return 0.0
        return first((*self._later.values(), nearest((*self._others, self._compressor))))

    def due(self, now: float) -> None:
        """See `Timed`. Handle one block of each stream that has output, and do one step of the other work."""
        for part in overdue(self._others, now):
            part.due(now)
        late = [fifo for fifo, moment in self._later.items() if moment <= now]
        ready, self._ready = dict.fromkeys(late) | self._ready, {}
        for fifo in late:
            del self._later[fifo]
        self._fullest, self._pressed = 0.0, False
        for fifo in ready:
            self._deal_with(fifo, now)
        self._compressor.busy = bool(self._fullest)
        for part in overdue((self._compressor,), now):
            part.due(now)
        if self._fullest:
            self._breathe(now)
        self._last = now

    def _breathe(self, now: float) -> None:
        """Sleep while the FIFOs fill, up to a half or a block. The fuller a FIFO was, the shorter is the next sleep."""
        self._breath *= max(0.5, min(2.0, HALF / self._fullest))
        self._breath = max(SHORTEST_BREATH, min(LONGEST_BREATH, self._breath))
        if now - self._last < 2 * LONGEST_BREATH and self._breath > SHORTEST_BREATH and not self._pressed:
            clock.sleep(self._breath)

    def _renew(self, now: float) -> None:
        """Try again to get what the kernel refused (tee, the ledger, a place in the epoll).

        With tee, a look takes no bytes out. With the ledger, the next scribe knows what was written.
        """
        if self._pump.why:
            self._pump.renew()
        if self._ledger.why:
            self._ledger.reopen()
        unwatched = [stream for stream in self._streams.values() if stream.unwatched]
        for stream in unwatched:
            self._listen(stream)
        pump, ledger = self._pump.why, self._ledger.why
        epoll = next((stream.unwatched for stream in unwatched), "")
        self._tell("tee", f"if @scribe dies, output that it has read may be lost: {pump}" if pump else "")
        self._tell("ledger", f"if @scribe dies, output may be written twice: {ledger}" if ledger else "")
        self._tell("epoll", f"some output is read only every {UNWATCHED:g} s: {epoll}" if epoll else "")
        self._renewal.at = now + RENEW_EVERY if pump or ledger or epoll else None

    def reads(self, run: str) -> bool:
        """Return whether more output of this run may come. If another process reads it, its FIFOs show that."""
        fifos = {fifo_name(run, stream) for stream in (OUT, ERR)}
        if any(not self._streams[fifo].ended for fifo in fifos & self._streams.keys()):
            return True
        others = fifos - self._streams.keys()
        return not self.tails.of(run) and any(os.path.exists(f"{self._folder}/{fifo}") for fifo in others)

    def finish(self) -> None:
        """See `Part`. Write only the bytes that the FIFOs hold now. The next scribe reads later output."""
        self._intake.open_reported(clock.now())
        for fifo, stream in list(self._streams.items()):
            for _ in range(8):
                self._ready.pop(fifo, None)
                if self._pump.holds(stream.fd):
                    stream.until = 0.0  # no other place has these bytes
                self._deal_with(fifo, clock.now())
                if fifo not in self._ready:
                    break
        self._compressor.close()
        for file in self._destinations.files():
            self._lost.report_in(file, clock.now())
            file.close()
        self._lost.finish()

    def _begin(self, fifo: str, run: str, kind: str) -> None:
        """Read a FIFO from now on, if this process has to write its output.

        Raises:
            OSError: it cannot be opened.
        """
        if fifo in self._streams:
            return
        stream = Stream(self._folder, fifo, run, kind)
        who = (stream.origin.key, stream.origin.stream)
        older = self._streams.get(self._newest.get(who, ""))
        self._newest[who] = fifo
        if older and older.ended:  # it is removed now
            self._ready[older.fifo] = None
        if not self._share.owns(self._destinations.path(stream.origin)):
            os.close(stream.fd)
            return
        self._streams[fifo] = stream
        self._route(stream)
        self._ready[fifo] = None
        stream.taken = self._share.lock(stream.fd)
        if not stream.taken:
            self._takeover.no_later_than(clock.now() + TAKE_OVER_EVERY)
        self._listen(stream)

    def _route(self, stream: Stream) -> None:
        self._destinations.route(stream)
        if stream.to == "inherit":
            self._console.register(stream.origin.key)

    def _opened(self, path: str, rules: Rules) -> LogFile:
        file = LogFile(path, rules, self._ledger, self._compressor)
        self._lost.restore(file)
        return file

    def _listen(self, stream: Stream) -> None:
        """Add a FIFO to the epoll. If the kernel has no room for it there, look at the FIFO now and then."""
        try:
            if self._watcher:
                self._watcher.watch(stream.fd, self._reader(stream.fifo), select.EPOLLIN | select.EPOLLET)
            stream.unwatched = ""
        except OSError as error:
            stream.unwatched = in_words(error)
            self._renewal.no_later_than(clock.now() + RENEW_EVERY)

    def _take_over(self, now: float) -> None:
        """Try again to take the FIFOs of another process, which may hang, until it gives them up."""
        left = False
        for fifo, stream in self._streams.items():
            if not stream.taken:
                stream.taken = self._share.lock(stream.fd)
                left = left or not stream.taken
                self._ready[fifo] = None
        self._takeover.at = now + TAKE_OVER_EVERY if left else None

    def _hand_off(self, stream: Stream) -> None:
        """Leave a stream to another process: its output goes to a file system that the other process writes to."""
        self._forget(stream)
        self._share.unlock(stream.fd)
        os.close(stream.fd)

    def _reader(self, fifo: str) -> Callable[[int], None]:
        def ready(events: int) -> None:
            self._ready[fifo] = None
            if events & select.EPOLLHUP:
                self._streams[fifo].alone = True

        return ready

    # -- a block ------------------------------------------------------------------------------------------------------

    def _deal_with(self, fifo: str, now: float) -> None:
        """Handle one block of one stream. An unfinished line stays in the FIFO for a moment."""
        stream = self._streams.get(fifo)
        if stream is None or not self._destinations.manifest or not stream.taken:
            return
        most = min(self._pump.most, stream.file.most) if stream.file else self._pump.most
        block = self._pump.peek(stream.fd, most)
        if not block:
            stream.alone, stream.sure, stream.left = False, True, 0
            if block is not None:
                self._ended(stream, stream.file)
            elif stream.unwatched:
                self._later[fifo] = now + UNWATCHED
            return
        stream.ended = False
        self._fullest = max(self._fullest, 1.0 if len(block) == most else len(block) / stream.room)
        if len(block) >= TALKATIVE and not stream.grown:
            stream.grown = True
            stream.room = enlarged(stream.fd, sum(one.grown for one in self._streams.values()))
        take = self._whole_lines(stream, block, most, now)
        if take < len(block) and not stream.sure:
            self._ask_for_the_end(stream)
        done = self._put(stream, stream.file, block, take, now) if take else 0
        if take and done < len(block):
            stream.until = now + PATIENCE  # the patience for another line
        stream.left = len(block) - done
        if done < take:  # the sink takes no more now
            self._later[fifo] = now + AGAIN
        else:
            self._revisit(stream, len(block), most, now)

    def _whole_lines(self, stream: Stream, block: bytes, most: int, now: float) -> int:
        """Return the bytes of a block to write now: up to its last newline, or all if no newline is to be expected."""
        take = block.rfind(b"\n") + 1
        if take:
            return take
        if not stream.left:
            stream.until = now + PATIENCE
        full = len(block) >= min(most, LONG_LINE, stream.room - PAGE)
        return len(block) if full or stream.alone or stream.until <= now else 0

    def _revisit(self, stream: Stream, seen: int, most: int, now: float) -> None:
        """Make sure that the scribe looks at a FIFO again as long as it holds any bytes.

        The kernel reports the end of a write. If a write waits for room and then goes on, the kernel reports it only if
        the FIFO was empty in between. So a FIFO is ready until a look has found nothing new in it.

        Such a write may also go on in a FIFO that holds an unfinished line. So the scribe looks at that FIFO again
        soon, then less and less often. At last it writes the unfinished line as it is, which empties the FIFO.
        """
        fifo, left = stream.fifo, stream.left
        waiting = self._pump.unread(stream.fd)
        pressed = waiting >= most or waiting > HALF * stream.room
        self._pressed = self._pressed or pressed
        stream.pause = SOON if pressed or seen > HALF * stream.room else min(2 * stream.pause, PATIENCE)
        if waiting > left or stream.alone or not (left or stream.sure):
            self._ready[fifo] = None
        if left:
            self._later[fifo] = min(stream.until, now + stream.pause)
        elif stream.unwatched:
            self._later[fifo] = now + UNWATCHED
        else:
            self._later.pop(fifo, None)

    def _ask_for_the_end(self, stream: Stream) -> None:
        """Make the kernel report (EPOLLHUP) that a FIFO has no writer, also if the run ended before we opened it.

        The kernel reports the end of writers only if a writer has come since our open. So this function opens the FIFO
        for writing and closes it again. Otherwise the last words of such a run, without a newline, would wait for more
        output while the next run already writes.
        """
        try:
            os.close(os.open(f"{self._folder}/{stream.fifo}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except FileNotFoundError:  # no process can open it any more
            pass
        except OSError:  # no descriptor is left: the next look at this line asks again
            return
        stream.sure = True

    def _put(self, stream: Stream, file: LogFile | None, block: bytes, take: int, now: float) -> int:
        """Write the first bytes of a block and take them out. Return how many: a sink may take fewer."""
        done = take
        if file:
            moment = (now, clock.wall())
            missing = file.lost.bytes
            try:
                loss = file.append(stream.fifo, stream.origin, block, take, moment)
            except OSError as error:  # no descriptor is left: it waits
                self._wait(stream.fifo, f"{file.path}: {error.strerror}")
                return 0
            self._wait(stream.fifo, "")
            if missing and not file.lost.bytes:
                self._lost.record(file)
        else:
            data = block if take == len(block) else block[:take]
            sink = self._journal if stream.to == "journal" else self._console
            done, loss = sink.append(stream.origin, data)
        if loss.bytes:
            self._lost.add(stream, loss, block if done == len(block) else block[:done])
        self._pump.consume(stream.fd, done)
        if file:
            self._ledger.close()
        stream.tail = self.tails.grown(stream.tail, block, done)
        return done

    def _wait(self, fifo: str, why: str) -> None:
        """Report that a stream waits for its file (`why`), or no longer waits ("")."""
        if why:
            self._waits[fifo] = why
        elif self._waits:
            self._waits.pop(fifo, None)
        else:
            return
        first, reason = next(iter(self._waits.items()), ("", ""))
        key = first.rpartition("@")[0].rpartition(".")[0]
        self._tell("files", f"the output of {key} waits for its file: {reason}; tried again" if first else "")

    def _ended(self, stream: Stream, file: LogFile | None) -> None:
        """End a stream whose FIFO has no writer now, and is empty."""
        if not stream.ended:
            stream.ended = True
            self._later.pop(stream.fifo, None)
            if file:
                file.end(stream.fifo)
            elif stream.to == "inherit":
                self._console.end(stream.origin)
            self.tails.add(stream.origin, stream.tail)
            stream.tail = b""
        who = (stream.origin.key, stream.origin.stream)
        if stream.retired or self._newest[who] != stream.fifo:
            self._remove(stream)

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.fifo]
        self._ready.pop(stream.fifo, None)
        self._later.pop(stream.fifo, None)
        if self._watcher:
            self._watcher.unwatch(stream.fd)

    def _remove(self, stream: Stream) -> None:
        self._forget(stream)
        self._share.unlock(stream.fd)
        with suppress(FileNotFoundError):
            os.unlink(f"{self._folder}/{stream.fifo}")
        self._pump.forget(stream.fd)
        self._wait(stream.fifo, "")
        os.close(stream.fd)
