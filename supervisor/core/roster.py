"""Hold every instance, group and freeze, and answer the questions of the gates about them.

The roster decides nothing. Its subclass `fleet.Fleet` decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.core.definition import Group, Task
from supervisor.core.freeze import Freeze
from supervisor.core.immutable import immutable
from supervisor.core.instance import Instance, Outcome
from supervisor.core.last_runs import LastRuns
from supervisor.core.pools import Pools
from supervisor.core.startup import StartupOrder
from supervisor.core.states import ALIVE, State
from supervisor.core.storm import Storm

STUCK = 4
"""The number of SIGKILLs after which a stop is reported as failed: seven seconds after the first one. The supervisor
goes on trying, but a shutdown then does not wait for a run whose leader it may not signal."""


@immutable
class Shutdown:
    """The supervisor is shutting down."""

    reason: str
    deadline: float | None  # monotonic seconds: the fleet kills what is left then; None: it has done so
    exit_code: int = 0
    drain_until: float | None = None  # monotonic seconds of the first stop signal; None: that moment has passed
    wait_until: float | None = None  # monotonic seconds up to which foreground tasks may go on; None: no longer


@immutable
class Change:
    """The old and the new value of an instance; `new` is None when it has left the fleet."""

    old: Instance
    new: Instance | None
    ended: Outcome | None = None  # how the run of `old` ended, if this change is its end


class Roster:
    """All instances, tasks, groups and freezes."""

    def __init__(self) -> None:
        """Make an empty one."""
        self.instances: dict[str, Instance] = {}
        self.groups: dict[str, Group] = {}
        self.freezes: tuple[Freeze, ...] = ()
        self.holds: tuple[Freeze, ...] = ()  # they forbid no start: see `core.freeze`
        self.shutdown: Shutdown | None = None
        self.counts = dict.fromkeys(State, 0)  # instances of tasks (not of helpers) by state
        self.tasks: dict[str, Task] = {}  # of the config; a task with no replicas has no instance
        self.final: dict[str, int] = {}  # by helper: its newest run when the last task of a shutdown had ended
        self.unreachable: set[str] = set()  # keys of the runs for which a shutdown does not wait
        self.storm = Storm()
        self.pools = Pools()
        self.last_runs = LastRuns()  # of triggered tasks
        self.gave_up: list[str] = []  # keys; taken by `escalation.escalate`
        self._copies: dict[str, list[str]] = {}
        self._dependents: dict[str, list[str]] = {}
        self._startup = StartupOrder({})

    def copies(self, task: str) -> Iterator[Instance]:
        """Yield the instances of a task."""
        return (self.instances[key] for key in self._copies.get(task, ()))

    def ordered(self) -> Iterator[Instance]:
        """Yield every instance, in the order of the config; those of one task are together."""
        return (self.instances[key] for keys in self._copies.values() for key in keys)

    @property
    def busy(self) -> int:
        """How many instances of tasks (not of helpers) have a process. A shutdown waits for their end."""
        return sum(self.counts[state] for state in ALIVE) - len(self.unreachable)

    def dependents(self, task: str) -> Iterator[Instance]:
        """Yield the instances of the tasks that name this one in `after` or `requires`."""
        return (instance for name in self._dependents.get(task, ()) for instance in self.copies(name))

    @property
    def startup(self) -> Iterator[Instance]:
        """The instances of the start-up tasks that others wait for."""
        return (instance for name in self._startup.blocking for instance in self.copies(name))

    def startup_before(self, task: str) -> Iterator[Instance]:
        """Yield the instances of the start-up tasks that this task waits for without naming them."""
        return (instance for name in self._startup.before(task) for instance in self.copies(name))

    def outlasts(self, instance: Instance) -> bool:
        """Return whether the shutdown waits for the end of this run: a living one of a foreground task."""
        waits = self.shutdown is not None and self.shutdown.wait_until is not None
        return waits and instance.task.outlasts and instance.state in (State.STARTING, State.RUNNING)

    def needed_by(self, task: str) -> list[Instance]:
        """Return the instances for whose end the shutdown waits, and that are of this task or need it."""
        if self.shutdown is None or self.shutdown.wait_until is None:
            return []
        return [i for name in (task, *self.above(task)) for i in self.copies(name) if self.outlasts(i)]

    def freezes_of(self, task: str) -> tuple[Freeze, ...]:
        """Return the freezes that forbid a start of this task."""
        return self._covering(self.freezes, task)

    def holds_of(self, task: str) -> tuple[Freeze, ...]:
        """Return the holds that forbid the schedule of this task to start a run."""
        return self._covering(self.holds, task)

    def _covering(self, freezes: tuple[Freeze, ...], task: str) -> tuple[Freeze, ...]:
        if not freezes or task.startswith("@"):  # a helper
            return ()
        groups = tuple(group.name for group in self.groups.values() if task in group.tasks)
        return tuple(freeze for freeze in freezes if freeze.covers(task, groups))

    def above(self, task: str) -> dict[str, None]:
        """Return the tasks that depend on this one, directly or not: the fleet decides stops from the bottom up."""
        found: dict[str, None] = {}
        new = [task]
        while new:
            fresh = [name for name in self._dependents.get(new.pop(), ()) if name not in found]
            found.update(dict.fromkeys(fresh))
            new += fresh
        return found
