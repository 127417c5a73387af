"""The part of the scribe that watches limits of memory and processes where the kernel does not enforce them.

That is where the machine has no such controller, or the supervisor cannot have it (`host.cgroup`). A run is measured
each second, only if its task has such a limit; what is beyond it is said in a file (`store.told`), which wakes the
parent, and that stops the run. It is approximate: what comes and goes within a second is not seen, and a page cache is
nobody's memory here.

It finds the runs in the journal, as the sampler does, and asks the cgroup of each whether the kernel enforces it: once
its program runs, as until then its child may still be about to say so to the kernel.
"""

from __future__ import annotations

from typing import Any

from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.core.size import words
from supervisor.core.words import in_words
from supervisor.helpers.historian import Say
from supervisor.helpers.part import Loop
from supervisor.host import clock, gauge
from supervisor.store.living import Living
from supervisor.store.told import BREACHES

EVERY = 1.0
"""Seconds between two rounds. A fork bomb or a leak goes far in that time; a cgroup is better."""

SLICE = 20
"""Runs that are measured in one turn."""


class Limiter:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, say: Say) -> None:
        self._runtime_dir = runtime_dir
        self._say = say
        self._living = Living(f"{runtime_dir}/journal")
        self._limits: dict[str, dict[str, int]] = {}  # by task: those that may have to be watched
        self._next: float | None = None
        self._left: list[tuple[str, dict[str, Any]]] = []  # of the round that is on
        self._census = gauge.Census()
        self._breaches: dict[str, dict[str, Any]] = {}  # by instance
        self._said: set[tuple[str, str]] = set()

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`. It has no descriptors."""

    def replaced(self) -> None:
        """See `Part.replaced`. What is beyond a limit is said anew."""
        self._breaches = {}

    def planned(self, plan: dict[str, Any]) -> None:
        """See `Part.planned`."""
        tasks = plan.get("tasks", {})
        self._limits = {name: task["limits"] for name, task in tasks.items() if task.get("limits")}
        self._left = []
        self._next = (self._next or clock.now() + EVERY) if self._limits else None

    def deadline(self) -> float | None:
        """See `Part.deadline`."""
        return self._next

    def due(self, now: float) -> None:
        """See `Part.due`. One slice."""
        if not self._left:
            self._begin_round()
        before = len(self._breaches)
        for key, run in self._left[:SLICE]:
            self._look(key, run)
        del self._left[:SLICE]
        if len(self._breaches) > before:
            self._tell()
        if not self._left:
            self._next = now + EVERY

    def _begin_round(self) -> None:
        runs = self._living.runs()
        self._breaches = {key: one for key, one in self._breaches.items() if runs.get(key, {}).get("id") == one["run"]}
        self._left = [
            (key, run)
            for key, run in runs.items()
            if run["program"] and self._limits_of(key) and key not in self._breaches
        ]
        self._census = gauge.Census()

    def _limits_of(self, key: str) -> dict[str, int]:
        return self._limits.get(key.rpartition(":")[0], {})

    def _look(self, key: str, run: dict[str, Any]) -> None:
        cgroup = run.get("cgroup", "")
        limits = {name: limit for name, limit in self._limits_of(key).items() if not enforced(cgroup, name)}
        if not limits:
            return
        self._warn(key, limits)
        pids = self._census.members(run, self._runtime_dir)
        for name, limit in limits.items():
            used = gauge.memory(pids, limit) if name == "memory" else gauge.processes(pids)
            if used > limit and key not in self._breaches:
                self._breaches[key] = {"run": run["id"], "why": beyond(name, limit, used)}

    def _warn(self, key: str, limits: dict[str, int]) -> None:
        for name in limits:
            if (key, name) not in self._said:
                self._said.add((key, name))
                what = f"limits.{name} cannot be had from the kernel here; it is measured each second, approximately"
                self._say("warning", f"{key.removesuffix(':1')}: {what}")

    def _tell(self) -> None:
        try:
            BREACHES.write(self._runtime_dir, self._breaches)
        except OSError as error:
            self._say("error", f"cannot tell who is beyond a limit: {in_words(error)}")
            self._breaches = {}  # it is found again

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
    """The reason, as people read it."""
    shown = f"{words(limit)}, measured {used / 2**20:.0f}M" if name == "memory" else f"{limit}, counted {used}"
    return f"{name} limit {shown} (approximate, each second)"
