"""What can happen to one instance. An event that answers for a run names it, and is ignored for any other run."""

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
    """It shall be down."""

    by: str


@immutable
class Outdate:
    """The current run must make room for a new one."""

    reason: str


@immutable
class Redefine:
    """The config has a new definition; whether the process must go is said by an Outdate of its own."""

    task: Task


@immutable
class Retire:
    """The config no longer has it."""

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
    """The back-off starts afresh (a thaw)."""


@immutable
class Pause:
    """A person wants the run to stand still."""

    by: str
    at: str  # the moment, as people read it


@immutable
class Resume:
    """A person lets it go on."""

    by: str


@immutable
class Leave:
    """Stop now: the order of dependents permits it. `blamed`: it is the run's own failure."""

    cause: str
    blamed: bool = False


@immutable
class Kill:
    """SIGKILL now, grace or not."""

    cause: str


@immutable
class Due:
    """The deadline of the state has passed."""


@immutable
class Alarm:
    """The moment has come at which a run's health has to be looked at."""


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


@immutable
class Adopted:
    """A new supervisor has found the run alive."""

    run: int


@immutable
class Paused:
    """Every process of the run stands still."""

    run: int


@immutable
class NotStarted:
    """Something between fork and exec failed; there is no process, or it is about to end by itself."""

    run: int
    reason: str  # "chdir /srv/app: No such file or directory"


@immutable
class Used:
    """What a process and those that it had waited for have used (getrusage(2))."""

    cpu: float  # seconds
    memory: int  # bytes: the largest of them, at its largest


@immutable
class Status:
    """An exit status as wait(2) tells it: a code, or the name of a signal."""

    code: int | None
    signal: str | None = None
    core_dumped: bool = False
    used: Used | None = None
    why: str = ""  # what is known of it beside that: "memory limit 512M"


@immutable
class Exceeded:
    """The run is beyond a limit that nothing but a measurement enforces."""

    run: int
    reason: str


@immutable
class Exited:
    """The leader ended. `empty`: no other process of the run is left."""

    run: int
    status: Status | None  # None: it ended while nobody could see it
    empty: bool


@immutable
class Killed:
    """SIGKILL was sent to all of the run: whom that met besides the leader, and what it has not ended."""

    run: int
    names: tuple[str, ...]
    left: tuple[str, ...] = ()


@immutable
class Emptied:
    """The last process of a run whose leader had ended is gone."""

    run: int


@immutable
class Notified:
    """What a process of the run has said by sd_notify(3), in one or several datagrams. None: nothing of that."""

    run: int
    ready: bool = False
    status: str | None = None
    reloading: bool = False
    stopping: bool = False
    errno: str = ""  # in words
    alive: bool = False  # WATCHDOG=1
    trigger: bool = False  # WATCHDOG=trigger
    watchdog: float | None = None  # WATCHDOG_USEC, in seconds; 0: no more
    extend: float | None = None  # EXTEND_TIMEOUT_USEC, in seconds


@immutable
class MainPid:
    """A process of the run is its main process from now on."""

    run: int
    pid: int
    birth: int


@immutable
class Probed:
    """The answer to a question. `ok` is None when it could not be asked, which counts for nothing."""

    run: int
    ok: bool | None
    text: str = ""  # what is wrong: "http 503"


Event = (
    Want | Unwant | Outdate | Redefine | Retire | Admit | Hold | Refresh
    | Pause | Resume | Leave | Kill | Due | Alarm | Forked | Started | Adopted | Paused | NotStarted
    | Notified | MainPid | Probed | Exceeded | Exited | Killed | Emptied
)  # fmt: skip

OF_A_RUN = (Forked, Started, Adopted, Paused, NotStarted, Notified, MainPid, Probed, Exceeded, Exited, Killed, Emptied)
"""The answers: they can only act on the run that they name."""
