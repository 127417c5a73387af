"""The part of the scribe that measures what every run uses, every `sample` seconds.

It finds the runs in the journal, so the parent is never woken by it. A round is done in slices of a few runs: between
two of them the other parts have their turn, however many runs there are. The newest round is a file in the runtime
directory, which `status` shows; each round goes into the history. While somebody looks (`supctl top`), it measures
every second or two, for that file alone.
"""

from __future__ import annotations

from typing import Any

from supervisor.core.words import in_words
from supervisor.helpers.historian import Database, Say
from supervisor.helpers.part import Loop
from supervisor.host import clock, gauge
from supervisor.host.usage import Usage, rates, usage_of
from supervisor.store import samples
from supervisor.store.living import Living
from supervisor.store.told import SAMPLES

FIRST = 2.0
"""Seconds until the first round, so that a fresh `status` soon has figures."""

SLICE = 10
"""Runs that are measured in one turn: some ten milliseconds."""

WATCHED = 1.5
"""Seconds between two rounds while somebody looks."""


class Sampler:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, keeper: Database, say: Say) -> None:
        self._runtime_dir = runtime_dir
        self._keeper = keeper
        self._say = say
        self._living = Living(f"{runtime_dir}/journal")
        self._every = 0.0
        self._next: float | None = None  # the next round, or its next slice
        self._keep_at = 0.0  # from when on a round goes into the history
        self._watched_until = 0.0
        self._left: list[tuple[str, dict[str, Any]]] = []  # of the round that is on
        self._round: dict[str, dict[str, Any]] = {}
        self._census = gauge.Census()  # of the round, taken once a run without a cgroup is in it
        self._before: dict[str, tuple[str, float, Usage]] = {}  # by instance: run, when, usage
        self._troubled = False

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`. It has no descriptors."""

    def replaced(self) -> None:
        """See `Part.replaced`. Everything here is found by its path each time."""

    def planned(self, plan: dict[str, Any]) -> None:
        """See `Part.planned`."""
        every = float(plan.get("sample", 0.0))
        if every == self._every:
            return
        self._every = every
        self._next = clock.now() + min(FIRST, every) if every else None
        self._left = []

    def watched(self, until: float) -> None:
        """Somebody looks, until then."""
        self._watched_until = until
        if self._every and not self._left and self._next is not None:
            self._next = min(self._next, clock.now() + WATCHED)

    def deadline(self) -> float | None:
        """See `Part.deadline`."""
        return self._next

    def due(self, now: float) -> None:
        """See `Part.due`. One slice."""
        if not self._left:
            runs = self._living.runs()
            self._left, self._round, self._census = list(runs.items()), {}, gauge.Census()
            self._before = {key: before for key, before in self._before.items() if key in runs}
        for key, run in self._left[:SLICE]:
            self._measure(key, run)
        del self._left[:SLICE]
        if not self._left:
            self._finish_round(now)
            self._next = now + (min(WATCHED, self._every) if now < self._watched_until else self._every)

    def _measure(self, key: str, run: dict[str, Any]) -> None:
        cgroup = run.get("cgroup", "")
        marked = () if cgroup else self._census.members(run, self._runtime_dir)
        usage = usage_of(run["pid"], cgroup, marked)
        if usage is None:
            return
        now = clock.now()
        name, then, before = self._before.get(key, ("", 0.0, None))
        if name != run["id"]:
            then, before = run["began"], None
        self._before[key] = (run["id"], now, usage)
        self._round[key] = {"run": run["id"], **rates(before, usage, now - then)}

    def _finish_round(self, now: float) -> None:
        try:
            SAMPLES.write(self._runtime_dir, {"at": now, "every": self._every, "instances": self._round})
            self._troubled = False
        except OSError as error:
            if not self._troubled:
                self._say("warning", f"what runs use cannot be told to status: {in_words(error)}")
            self._troubled = True
        if now < self._keep_at or not self._keeper.path:
            return
        self._keep_at = now + self._every - WATCHED / 2
        found = {key: sample for key, sample in self._round.items() if not key.startswith("@")}
        at = now + clock.offset()
        self._keeper.do(lambda connection: samples.write(connection, at, found))

    def finish(self) -> None:
        """See `Part.finish`. Nothing waits."""
