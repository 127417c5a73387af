"""Define the events of one instance. An event that answers for a run names it; every other run ignores the event."""

from __future__ import annotations

from supervisor.core.definition import Task
from supervisor.core.immutable import immutable
from supervisor.core.instance import Order


@immutable
class Want:
    """A person or a trigger wants it up; clears counters and an earlier give-up."""

    trigger: str  # start | manual
    by: str
    order: Order | None = None


@immutable
class Unwant:
    """The task should be down."""

    by: str


@immutable
class Outdate:
    """A new run must replace the current one."""

    reason: str


@immutable
class Redefine:
    """The config has a new definition. A separate Outdate says whether the process must end."""

    task: Task


@immutable
class Retire:
    """The config no longer has this instance."""

    by: str


@immutable
class Admit:
    """Every gate is open and it is its turn: start."""

    run_id: str


@immutable
class Hold:
    """A freeze came while it waited for its restart."""


@immutable
class Refresh:
    """The back-off starts again (a thaw)."""


@immutable
class Pause:
    """A person pauses the run."""

    by: str
    at: str  # the moment, as people read it


@immutable
class Resume:
    """A person resumes the run."""

    by: str


@immutable
class Leave:
    """Stop now: the order of dependents permits it. `blamed`: it is the run's own failure."""

    cause: str
    blamed: bool = False


@immutable
class Kill:
    """Send SIGKILL now, without regard to the grace."""

    cause: str


@immutable
class Due:
    """The deadline of the state has passed."""


@immutable
class Alarm:
    """The moment of the next health check of a run has come."""


@immutable
class Stalled:
    """The supervisor was suspended for this many seconds; the tasks perhaps were, too."""

    seconds: float


@immutable
class Forked:
    """The child exists and waits for its go byte."""

    run: int
    pid: int
    birth: int
    cgroup: str = ""


@immutable
class Started:
    """The program runs: exec has succeeded."""

    run: int
    user: int = -1  # its user id; -1: the supervisor's own


@immutable
class Adopted:
    """A new supervisor has found the run alive."""

    run: int
    begun: bool = True  # False: it never got its go byte, and is about to end


@immutable
class Paused:
    """Every process of the run is suspended."""

    run: int


@immutable
class NotStarted:
    """Something between fork and exec failed; there is no process, or it is about to end by itself."""

    run: int
    reason: str  # "chdir /srv/app: No such file or directory"
    abandoned: bool = False  # the supervisor ended it, as its record could not be written
    scarce: bool = False  # the machine had too little for another process: processes, memory, descriptors
    orphaned: bool = False  # nothing is wrong with it: an earlier supervisor ended before it sent the go byte


@immutable
class Used:
    """The resource usage of a process and of the children that it waited for (getrusage(2))."""

    cpu: float  # seconds
    memory: int  # bytes: the peak of the largest of these processes


@immutable
class Status:
    """An exit status as wait(2) tells it: a code, or the name of a signal."""

    code: int | None
    signal: str | None = None
    core_dumped: bool = False
    used: Used | None = None
    why: str = ""  # what else is known: "memory limit 512M"


@immutable
class Exceeded:
    """The run exceeds a limit that only measurements enforce."""

    run: int
    reason: str


@immutable
class Exited:
    """The leader ended. `empty`: no other process of the run is left."""

    run: int
    status: Status | None  # None: it ended while no supervisor ran
    empty: bool


@immutable
class Killed:
    """The supervisor sent SIGKILL to the whole run: which others it hit besides the leader, and which are left.

    `spared`: processes that the supervisor may not signal. The run does not wait for them. `refused`: the supervisor
    may not signal the leader.
    """

    run: int
    names: tuple[str, ...]
    left: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    refused: bool = False


@immutable
class Emptied:
    """The last process of a run whose leader had ended is gone."""

    run: int


@immutable
class Notified:
    """The message of a process of the run by sd_notify(3), in one or several datagrams. None: not mentioned."""

    run: int
    ready: bool = False
    status: str | None = None
    reloading: bool = False
    stopping: bool = False
    errno: str = ""  # in words
    alive: bool = False  # WATCHDOG=1
    trigger: bool = False  # WATCHDOG=trigger
    watchdog: float | None = None  # WATCHDOG_USEC, in seconds; 0: off
    extend: float | None = None  # EXTEND_TIMEOUT_USEC, in seconds


@immutable
class MainPid:
    """A process of the run is its main process from now on."""

    run: int
    pid: int
    birth: int


@immutable
class Probed:
    """The answer to a probe. `ok` is None when the probe could not be made; that counts for nothing."""

    run: int
    ok: bool | None
    text: str = ""  # what is wrong: "http 503"


Event = (
    Want | Unwant | Outdate | Redefine | Retire | Admit | Hold | Refresh
    | Pause | Resume | Leave | Kill | Due | Alarm | Stalled | Forked | Started | Adopted | Paused | NotStarted
    | Notified | MainPid | Probed | Exceeded | Exited | Killed | Emptied
)  # fmt: skip

OF_A_RUN = (Forked, Started, Adopted, Paused, NotStarted, Notified, MainPid, Probed, Exceeded, Exited, Killed, Emptied)
"""The events that answer for a run: they act only on the run that they name."""
