"""The part of @scribe that measures the resource usage of every run, every `sample` seconds.

It finds the runs in the journal, so it never wakes the parent. Each round is a quick look at every run, and a full look
at a few of them in turn (`runs.usage`). The time between two rounds grows with the cost of a round. So the measurement
never takes more than a small share of a processor (`usage.pace`). The sampler works in slices of a few milliseconds.
Between two slices the other parts have their turn, however many runs there are.

The sampler writes the newest round to a file in the runtime directory, which `status` shows. Each round goes into the
history. When a client asks for newer figures, the parent sends MEASURE. Then a round for that file alone begins soon.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from heapq import nsmallest
from typing import Any

from supervisor.core.words import in_words
from supervisor.helpers.historian import Database
from supervisor.helpers.rejects import Say
from supervisor.host import clock
from supervisor.host.parts import Loop
from supervisor.registry.scribe import MEASURE
from supervisor.runs import gauge
from supervisor.runs.ownership import Strangers
from supervisor.runs.usage import Meter
from supervisor.store import layout, samples
from supervisor.store.journal_reader import JournalReader
from supervisor.store.statefile import SAMPLES
from supervisor.usage import pace

FIRST = 2.0
"""Seconds until the first round, so that `status` soon has figures after a start."""

SLICE = 0.01
"""Seconds of CPU after which the other parts have their turn."""


class Sampler:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, database: Database, say: Say) -> None:
        self._runtime_dir = runtime_dir
        self._database = database
        self._say = say
        self._journal = JournalReader(layout.journal(runtime_dir))
        self._every = 0.0
        self._next: float | None = None  # the next round
        self._steps: Iterator[None] | None = None  # the rest of the round that is on
        self._cost = 0.0  # seconds of CPU, of the newest round
        self._ended = 0.0  # when the newest round did
        self._asked = False
        self._keep_at = 0.0  # from when on a round goes into the history
        self._meters: dict[str, Meter] = {}  # by instance
        self._strangers = Strangers()
        self._troubled = False

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`. It registers no descriptor, but a signal."""
        signal.signal(signal.Signals[MEASURE], lambda *_: self.ask())

    def configure(self, manifest: dict[str, Any]) -> None:
        """See `Part.configure`."""
        every = float(manifest.get("sample", 0.0))
        if every == self._every:
            return
        self._every = every
        self._next = clock.now() + min(FIRST, every) if every else None
        self._steps = None

    def ask(self) -> None:
        """Measure soon, as a client wants newer figures."""
        self._asked = True

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        if self._steps is not None:
            return 0.0
        if self._next is None or not self._asked:
            return self._next
        return min(self._next, self._ended + pace.asked(self._cost))

    def due(self, now: float) -> None:
        """See `Timed`. One slice."""
        began = clock.cpu()
        if self._steps is None:
            self._steps, self._cost = self._round(now), 0.0
        over = self._work(self._steps, began)
        self._cost += clock.cpu() - began
        if over:
            self._steps, self._ended = None, clock.now()
            self._next = self._ended + self._interval()

    def _work(self, steps: Iterator[None], began: float) -> bool:
        """Go on until the slice is over. Return whether the round is over."""
        try:
            return all(clock.cpu() - began < SLICE for _ in steps)
        except OSError as error:  # no descriptor is left, for example
            self._trouble(f"the resource use of runs cannot be measured: {in_words(error)}")
            return True

    def _interval(self) -> float:
        return pace.interval(self._every, self._cost, len(self._meters))

    def _round(self, now: float) -> Iterator[None]:
        runs = self._journal.runs()
        census = gauge.Census(runs, self._runtime_dir, self._strangers)
        self._meters = {key: self._meter(key, run) for key, run in runs.items()}
        new = sum(not meter.full_at for meter in self._meters.values())
        count = pace.in_full(len(runs), new, asked=self._asked)
        full = set(nsmallest(count, runs, key=lambda key: self._meters[key].full_at))
        asked, self._asked = self._asked, False
        found: dict[str, dict[str, Any]] = {}
        for key, run in runs.items():
            if members := census.members(key):
                sample = self._meters[key].measure(members, clock.now(), in_full=key in full, asked=asked)
                found[key] = {"run": run["id"], **sample}
            yield
        SAMPLES.write(self._runtime_dir, {"at": now, "every": self._interval(), "instances": found})
        self._troubled = False
        yield
        self._store(now, found)

    def _meter(self, key: str, run: dict[str, Any]) -> Meter:
        known = self._meters.get(key)
        return known if known and known.run == run["id"] else Meter(run["id"], run.get("cgroup", ""), run["began"])

    def _store(self, now: float, found: dict[str, dict[str, Any]]) -> None:
        if now < self._keep_at or not self._database.path:
            return
        self._keep_at = now + self._every - pace.ASKED / 2
        kept = {key: sample for key, sample in found.items() if not key.startswith("@")}
        at = now + clock.offset()
        self._database.do(lambda connection: samples.write(connection, at, kept))

    def _trouble(self, what: str) -> None:
        if not self._troubled:
            self._say("warning", what)
        self._troubled = True

    def finish(self) -> None:
        """See `Part.finish`. Nothing waits."""
