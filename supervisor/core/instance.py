"""One running copy of a task: what is remembered of it between two events.

An `Instance` is a frozen value; `lifecycle.step` makes the next one. What concerns only the life
from a fork to the end of its last process is in its `Run`, and is forgotten with it.
"""

from __future__ import annotations

from supervisor.core.definition import Task
from supervisor.core.immutable import immutable, replace
from supervisor.core.states import ALIVE, EDGES, WAITING, State

ITS_OWN_END = "its own end"
"""Who does not want it any more when nobody has asked for that: it has done what it was to do."""


@immutable
class Outcome:
    """How a run ended; kept apart from where the instance is now.

    `code` and `signal` are both None when nobody saw the end, or when there was no program to end
    (it could not be started); `reason` always says it in words.
    """

    at: float  # monotonic seconds
    reason: str  # "exit 1", "killed by SIGSEGV (core dumped)", "cannot start: chdir /srv: No such file or directory"
    success: bool
    code: int | None = None
    signal: str | None = None
    core_dumped: bool = False
    duration: float = 0.0  # seconds from the fork
    killed: tuple[str, ...] = ()  # whom SIGKILL met besides the main process: "sleep (pid 12)"
    cpu: float | None = None  # seconds, of the leader and all that it waited for
    memory: int | None = None  # bytes: the largest of those at its largest
    asked: str = ""  # by whom or why it was asked to end, if it ended upon that: no failure of its own


@immutable
class Order:
    """What a person added to one run: `supctl run NAME --env K=V -- ARG…`."""

    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@immutable
class Health:
    """What a run says of itself (sd_notify), what its probe says of it, and when it is looked at again."""

    says: str = ""  # STATUS=
    errno: str = ""  # ERRNO=, in words
    reloading: bool = False  # RELOADING=1, until READY=1
    leaving: bool = False  # STOPPING=1
    period: float = 0.0  # seconds between two signs of life; 0: none is asked for
    well: bool | None = None  # None: not known yet
    passed: int = 0  # good answers in a row, as far as they count
    failed: int = 0  # bad ones
    answer: str = ""  # what was wrong with the last one; empty: it was good
    fault: str = ""  # why it has to be stopped, apart from what the probe says: no sign of life
    bark: float | None = None  # monotonic seconds; without a sign of life until then there is a fault
    ask_at: float | None = None  # monotonic seconds of the next question


@immutable
class Pause:
    """Whether a run stands still (`supctl pause`), and how long it has in all. See `core.pause`."""

    since: float | None = None  # monotonic seconds; None: it does not
    at: str = ""  # the same, as people read it
    by: str = ""  # who has asked for that, or has let it go on
    still: bool = False  # the kernel says so of its cgroup; without one: every process was sent SIGSTOP
    left: float = 0.0  # seconds of its start_timeout
    rested: float = 0.0  # seconds of earlier pauses
    undone: bool = False  # it was let go on; the next supervisor sees to it once more


@immutable
class Run:
    """One life of an instance, from the fork to the end of its last process."""

    number: int  # 1, 2, 3 … per instance
    id: str  # unique on this machine: "web:2/7@k3f9q1"
    trigger: str  # start | restart | manual
    attempt: int  # 1 for the first try of a row
    began: float  # monotonic seconds of the decision to start
    order: Order | None = None
    pid: int = 0  # 0 until the fork
    group: int = 0  # its process group, where that is not the pid: another process is the main one now (MAINPID=)
    birth: int = 0  # the kernel's start time of that pid, in clock ticks since boot: tells a reused pid
    program: bool = False  # the program runs (exec has succeeded)
    ready: float | None = None  # monotonic seconds since when it runs and is ready
    cause: str = ""  # why it is being stopped; the first cause wins
    blamed: bool = False  # the cause is the run's own failure (not ready in time), not somebody's wish
    outcome: Outcome | None = None  # how the leader ended, while processes of the run are left
    cgroup: str = ""  # the directory of its cgroup; empty: its processes are known by their marks
    dumping: bool = False  # it was asked for a stack; the stop signal comes at the deadline
    kills: int = 0  # how often SIGKILL was sent to all of it
    killed: tuple[str, ...] = ()  # whom that met besides the leader
    left: tuple[str, ...] = ()  # whom it did not end, and why: "sh (pid 13, state D)"
    made_from: str = ""  # `definition.identity` of what it was started from
    health: Health = Health()
    overdue: float = 0.0  # the `limits.runtime` that it has lived longer than; 0: none
    pause: Pause = Pause()
    breach: str = ""  # the limit that it is beyond, as it was measured

    @property
    def paused(self) -> bool:
        """Whether it stands still, or is about to."""
        return self.pause.since is not None


@immutable
class Instance:
    """Where one copy of a task is, what is wanted of it, and what it has been through."""

    task: Task
    index: int  # 1…replicas
    state: State = State.STOPPED
    wanted: bool = False
    since: float = 0.0  # monotonic seconds of the last change of state
    deadline: float | None = None  # monotonic seconds; set exactly in the states of WAITING
    trigger: str = "start"  # why the next run will start
    order: Order | None = None  # what a person added to the next run
    by: str = ""  # who asked for what `wanted` says
    run: Run | None = None  # set exactly in the states of ALIVE
    runs: int = 0  # number of the last run
    outdated: str = ""  # why the current run must make room for a new one; empty: it need not
    retired: bool = False  # no longer in the config: leaves for good when its run is over
    restarts: int = 0  # restarts by the supervisor since a person last started it
    streak: int = 0  # short runs in a row: the exponent of the back-off
    failures: int = 0  # failed runs in a row
    failed_at: tuple[float, ...] = ()  # when, as far as the window of give_up reaches
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
        """When the run has lived for as long as it may; None: it may for ever, or that moment has been noticed."""
        runtime = self.task.limits.runtime
        if self.run is None or runtime is None or self.run.overdue == runtime:
            return None
        return self.run.began + self.run.pause.rested + runtime

    @property
    def alarm(self) -> float | None:
        """When its health has to be looked at, whatever else happens; never for one that is being stopped or paused."""
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
    """The only way from one state to another. Checks the edge and that exactly waiting states have a deadline.

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
