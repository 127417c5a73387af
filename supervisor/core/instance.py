"""Define an instance, one copy of a task, with all that the core remembers of it between two events.

An `Instance` is a frozen value; `lifecycle.step` makes the next one. Its `Run` has the facts of one life, from a fork
to the end of its last process. The instance drops it at that end.
"""

from __future__ import annotations

from supervisor.core.definition import Task
from supervisor.core.immutable import immutable, replace
from supervisor.core.states import ALIVE, EDGES, WAITING, State

ITS_OWN_END = "its own end"
"""The value of `by` when no person has stopped the instance: it has done its work."""


@immutable
class Outcome:
    """How a run ended; independent of the present state of the instance.

    `code` and `signal` are both None after an unknown end, or when the program could not be started. `reason` always
    has it in words.
    """

    at: float  # monotonic seconds
    reason: str  # "exit 1", "killed by SIGSEGV (core dumped)", "cannot start: chdir /srv: No such file or directory"
    success: bool
    code: int | None = None
    signal: str | None = None
    core_dumped: bool = False
    duration: float = 0.0  # seconds from the fork
    killed: tuple[str, ...] = ()  # the processes that SIGKILL hit besides the main process: "sleep (pid 12)"
    spared: tuple[str, ...] = ()  # the processes that the supervisor may not signal; they run on
    cpu: float | None = None  # seconds, of the leader and the children that it waited for
    memory: int | None = None  # bytes: the peak of the largest of these processes
    asked: str = ""  # who stopped it, or why, if it ended after that: then it is no failure


@immutable
class Order:
    """What one run has that others of its task have not: the firing that it is for, and the input of that.

    A run that is restarted, as it has failed, has the same.
    """

    arguments: tuple[str, ...] = ()  # `supctl run NAME -- ARG…`
    environment: tuple[tuple[str, str], ...] = ()  # `--env K=V`
    firing: str = ""  # the id of its firing; "": an earlier version of this program has started it by hand
    due: float = 0.0  # of the firing, in seconds since 1970
    missed: int = 0  # due times that passed without a run, and that this run is for
    late: float = 0.0  # seconds by which its firing became a run too late
    stdin: str = ""  # the path of the file that is its standard input; "": that of its task
    attempt: int = 1  # of the firing, as its `interrupted`
    interrupted: int = 0
    text: str = ""  # its standard input itself


@immutable
class Health:
    """The health of a run: its own messages (sd_notify), the answers to its probe, and the next moments to check it."""

    says: str = ""  # STATUS=
    errno: str = ""  # ERRNO=, in words
    reloading: bool = False  # RELOADING=1, until READY=1
    leaving: bool = False  # STOPPING=1
    period: float = 0.0  # seconds between two watchdog messages; 0: none is required
    well: bool | None = None  # None: not known yet
    passed: int = 0  # good answers in a row, counted up to `successes` of the probe
    failed: int = 0  # bad ones
    answer: str = ""  # what was wrong with the last one; empty: it was good
    fault: str = ""  # why it must be stopped, apart from the probe: no watchdog message
    bark: float | None = None  # monotonic seconds; without a watchdog message until then there is a fault
    ask_at: float | None = None  # monotonic seconds of the next question


@immutable
class Pause:
    """Whether a run is paused (`supctl pause`), and for how long in total. See `core.pause`."""

    since: float | None = None  # monotonic seconds; None: it is not paused
    at: str = ""  # the same moment, as people read it
    by: str = ""  # the person who has paused or resumed it
    still: bool = False  # the kernel reports its cgroup as frozen; without a cgroup: every process was sent SIGSTOP
    left: float = 0.0  # seconds of its start_timeout
    rested: float = 0.0  # seconds that do not count: in earlier pauses, and while the supervisor was suspended
    undone: bool = False  # it was resumed; the next supervisor does it once more


@immutable
class Run:
    """One life of an instance, from the fork to the end of its last process."""

    number: int  # 1, 2, 3 … per instance
    id: str  # unique on this machine: "web:2/7@k3f9q1"
    trigger: str  # start | restart | manual | schedule | every
    attempt: int  # 1 for the first try of a row
    began: float  # monotonic seconds of the decision to start
    order: Order | None = None
    pid: int = 0  # 0 until the fork
    group: int = 0  # its process group, if that is not the pid: another process is the main one now (MAINPID=)
    birth: int = 0  # the kernel's start time of that pid, in clock ticks since boot: shows whether the pid was reused
    program: bool = False  # the program runs (exec has succeeded)
    ready: float | None = None  # monotonic seconds since when it runs and is ready
    cause: str = ""  # why it is being stopped; the first cause wins
    blamed: bool = False  # the cause is the run's own failure (not ready in time), not a request
    outcome: Outcome | None = None  # how the leader ended, while processes of the run are left
    cgroup: str = ""  # the directory of its cgroup; empty: its processes are known by their marks
    user: int = -1  # its user id; -1: the supervisor's own
    dumping: bool = False  # it was asked for a stack dump; the stop signal comes at the deadline
    kills: int = 0  # how often SIGKILL was sent to all of it
    killed: tuple[str, ...] = ()  # the processes that it hit besides the leader
    left: tuple[str, ...] = ()  # the processes that it did not end, and why: "sh (pid 13, state D)"
    spared: tuple[str, ...] = ()  # those that we may not signal: a set-user-ID program, say. The run ends without them
    refused: bool = False  # the supervisor may not signal its leader
    made_from: str = ""  # `definition.identity` of what it was started from
    health: Health = Health()
    overdue: float = 0.0  # the `limits.runtime` that it has exceeded; 0: none
    pause: Pause = Pause()
    breach: str = ""  # the limit that it exceeds, with the measured value
    pool: str = ""  # whose slots it has, whatever a reload says meanwhile; "": none
    slots: int = 0  # how many

    @property
    def paused(self) -> bool:
        """Whether the run is paused, or will be at once."""
        return self.pause.since is not None


@immutable
class Instance:
    """One copy of a task: its state, what is wanted of it, and its past."""

    task: Task
    index: int  # 1…replicas
    state: State = State.STOPPED
    wanted: bool = False
    since: float = 0.0  # monotonic seconds of the last change of state
    deadline: float | None = None  # monotonic seconds; set exactly in the states of WAITING
    trigger: str = "start"  # why the next run will start
    order: Order | None = None  # what the next run is for
    by: str = ""  # the author of `wanted`
    run: Run | None = None  # set exactly in the states of ALIVE
    runs: int = 0  # number of the last run
    outdated: str = ""  # why a new run must replace the current one; empty: none must
    retired: bool = False  # no longer in the config: the fleet removes it when its run is over
    restarts: int = 0  # restarts by the supervisor since a person last started it
    streak: int = 0  # short runs in a row: the exponent of the back-off
    failures: int = 0  # failed runs in a row
    failed_at: tuple[float, ...] = ()  # the moments of failures within the window of give_up
    last: Outcome | None = None

    @property
    def key(self) -> str:
        """The name that never changes: "web:1", also when there is only one."""
        return f"{self.task.name}:{self.index}"

    @property
    def name(self) -> str:
        """The name that people see: "web", or "web:1" when there are several."""
        return self.key if self.task.replicas > 1 or self.index > 1 else self.task.name

    @property
    def ready(self) -> bool:
        """Whether tasks that depend on this one may start (contract, section 4: `after`)."""
        if self.task.kind == "continuous":
            return self.state is State.RUNNING and not (self.run and self.run.health.leaving)
        return self.last is not None and self.last.success  # also while it runs once more

    @property
    def end(self) -> float | None:
        """When the run reaches its `limits.runtime`; None: it has none, or that moment has been handled."""
        runtime = self.task.limits.runtime
        if self.run is None or runtime is None or self.run.overdue == runtime:
            return None
        return self.run.began + self.run.pause.rested + runtime

    @property
    def alarm(self) -> float | None:
        """When the next health check is due; None for a run that is being stopped or is paused."""
        if self.run is None or self.run.paused or self.state not in (State.STARTING, State.RUNNING):
            return None
        moments = [at for at in (self.run.health.bark, self.run.health.ask_at, self.end) if at is not None]
        return min(moments, default=None)

    @property
    def pid(self) -> int | None:
        """The pid of the leader while it lives."""
        return self.run.pid if self.run and self.run.pid and not self.run.outcome else None


class IllegalStepError(Exception):
    """A change of state that the tables do not permit: a bug in the supervisor, never in its input."""


def become(old: Instance, state: State, now: float, deadline: float | None = None, **changes: object) -> Instance:
    """Change the state; there is no other way. Check the edge, and that exactly the waiting states have a deadline.

    Raises:
        IllegalStepError: the tables in `states` do not permit it.
    """
    if (old.state, state) not in EDGES:
        raise IllegalStepError(f"{old.key}: {old.state} -> {state}")
    if (deadline is not None) != (state in WAITING):
        raise IllegalStepError(f"{old.key}: {state} {'needs a' if state in WAITING else 'has no'} deadline")
    if state not in ALIVE:
        changes["run"] = None
    elif state is State.RUNNING and isinstance(run := changes.get("run", old.run), Run):
        changes["run"] = replace(run, ready=now)
    return replace(old, state=state, since=now, deadline=deadline, **changes)
