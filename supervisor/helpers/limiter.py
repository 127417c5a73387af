"""The part of @scribe that watches limits of memory and processes where the kernel does not enforce them.

The kernel enforces no limit where the machine has no such controller, or the supervisor cannot have it (`host.cgroup`).
The limiter measures a run each second, only if its task has such a limit. It writes each run beyond its limit to a file
(`store.statefile`). The file wakes the parent, and the parent stops the run.

The measurement is approximate. It misses processes and memory that come and go within a second. It counts the page
cache for no run.

The limiter finds the runs in the journal, as the sampler does. It asks the cgroup of each run whether the kernel
enforces the limit. It asks only when the run's program is running: before that, the run's child may not have set the
limit yet. It does not look again at a run whose limits the kernel enforces.

The second between two rounds is a promise. So it does not grow as the sampler's interval does. A round reads one file
of each process.
"""

from __future__ import annotations

from typing import Any

from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.core.size import words
from supervisor.core.words import in_words
from supervisor.helpers.rejects import Say
from supervisor.host import clock
from supervisor.host.parts import Loop
from supervisor.runs import gauge
from supervisor.runs.ownership import Strangers
from supervisor.store import layout
from supervisor.store.journal_reader import JournalReader
from supervisor.store.statefile import BREACHES

EVERY = 1.0
"""Seconds between two rounds. A fork bomb or a leak can do much in that time; a cgroup is better."""

SLICE = 20
"""Runs that are measured in one turn."""


class Limiter:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, say: Say) -> None:
        self._runtime_dir = runtime_dir
        self._say = say
        self._journal = JournalReader(layout.journal(runtime_dir))
        self._limits: dict[str, dict[str, int]] = {}  # by task: those that may have to be watched
        self._next: float | None = None
        self._left: list[tuple[str, dict[str, Any]]] = []  # of the round that is on
        self._census = gauge.Census({}, runtime_dir)
        self._strangers = Strangers()
        self._breaches: dict[str, dict[str, Any]] = {}  # by instance
        self._said: set[tuple[str, str]] = set()
        self._enforced: dict[str, str] = {}  # by instance: the run whose limits the kernel enforces

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`. It has no descriptors."""

    def configure(self, manifest: dict[str, Any]) -> None:
        """See `Part.configure`."""
        tasks = manifest.get("tasks", {})
        self._limits = {name: task["limits"] for name, task in tasks.items() if task.get("limits")}
        self._left, self._enforced = [], {}
        self._next = (self._next or clock.now() + EVERY) if self._limits else None

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self._next

    def due(self, now: float) -> None:
        """See `Timed`. One slice."""
        if not self._left:
            self._begin_round()
        before = len(self._breaches)
        for key, run in self._left[:SLICE]:
            self._check(key, run)
        del self._left[:SLICE]
        if len(self._breaches) > before:
            self._publish()
        if not self._left:
            self._next = now + EVERY

    def _begin_round(self) -> None:
        runs = self._journal.runs()
        self._breaches = {key: one for key, one in self._breaches.items() if runs.get(key, {}).get("id") == one["run"]}
        self._enforced = {key: run for key, run in self._enforced.items() if runs.get(key, {}).get("id") == run}
        done = self._breaches.keys() | self._enforced.keys()
        self._left = [
            (key, run) for key, run in runs.items() if key not in done and run["program"] and self._limits_of(key)
        ]
        self._census = gauge.Census(dict(self._left), self._runtime_dir, self._strangers)

    def _limits_of(self, key: str) -> dict[str, int]:
        return self._limits.get(key.rpartition(":")[0], {})

    def _check(self, key: str, run: dict[str, Any]) -> None:
        cgroup = run.get("cgroup", "")
        limits = {name: limit for name, limit in self._limits_of(key).items() if not enforced(cgroup, name)}
        if not limits:
            self._enforced[key] = run["id"]
            return
        self._warn(key, limits)
        members = self._census.members(key)
        for name, limit in limits.items():
            used = gauge.memory(members, limit) if name == "memory" else gauge.processes(members)
            if used > limit and key not in self._breaches:
                self._breaches[key] = {"run": run["id"], "why": beyond(name, limit, used)}

    def _warn(self, key: str, limits: dict[str, int]) -> None:
        for name in limits:
            if (key, name) not in self._said:
                self._said.add((key, name))
                what = f"the kernel cannot enforce limits.{name} here; it is measured each second, approximately"
                self._say("warning", f"{key.removesuffix(':1')}: {what}")

    def _publish(self) -> None:
        try:
            BREACHES.write(self._runtime_dir, self._breaches)
        except OSError as error:
            self._say("error", f"cannot report the runs beyond a limit: {in_words(error)}")
            self._breaches = {}  # the next round finds them again

    def finish(self) -> None:
        """See `Part.finish`. Nothing waits."""


_FILES = {name: {"memory": "memory.max", "pids": "pids.max"}[CONTROLLERS[name]] for name in WATCHED}


def enforced(cgroup: str, name: str) -> bool:
    """Whether the kernel has this limit for the cgroup of a run."""
    try:
        with open(f"{cgroup}/{_FILES[name]}", "rb") as file:
            return file.read().strip() != b"max"
    except OSError:
        return False


def beyond(name: str, limit: int, used: int) -> str:
    """Return the reason, as people read it."""
    shown = f"{words(limit)}, measured {used / 2**20:.0f}M" if name == "memory" else f"{limit}, counted {used}"
    return f"{name} limit {shown} (approximate, each second)"
