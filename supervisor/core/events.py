"""What can happen to one instance. An event that answers for a run names it, and is ignored for any other run."""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.core.definition import Task
from supervisor.core.instance import Order


@dataclass(frozen=True, slots=True)
class Want:
    """A person or a trigger wants it up; clears counters and an earlier give-up."""

    trigger: str  # start | manual
    by: str
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Unwant:
    """It shall be down."""

    by: str


@dataclass(frozen=True, slots=True)
class Outdate:
    """The current run must make room for a new one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Redefine:
    """The config has a new definition; whether the process must go is said by an Outdate of its own."""

    task: Task


@dataclass(frozen=True, slots=True)
class Retire:
    """The config no longer has it."""

    by: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Every gate is open and it is its turn: start."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A freeze came while it waited for its restart."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """The back-off starts afresh (a thaw)."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Stop now: the order of dependents permits it."""

    cause: str


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL now, grace or not."""

    cause: str


@dataclass(frozen=True, slots=True)
class Due:
    """The deadline of the state has passed."""


@dataclass(frozen=True, slots=True)
class Forked:
    """The child exists and waits for its go byte."""

    run: int
    pid: int
    birth: int


@dataclass(frozen=True, slots=True)
class Started:
    """The program runs: exec has succeeded."""

    run: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """A new supervisor has found the run alive."""

    run: int


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Something between fork and exec failed; there is no process, or it is about to end by itself."""

    run: int
    reason: str  # "chdir /srv/app: No such file or directory"


@dataclass(frozen=True, slots=True)
class Status:
    """An exit status as wait(2) tells it: a code, or the name of a signal."""

    code: int | None
    signal: str | None = None
    core_dumped: bool = False


@dataclass(frozen=True, slots=True)
class Exited:
    """The leader ended. `empty`: no other process of the run is left."""

    run: int
    status: Status | None  # None: it ended while nobody could see it
    empty: bool


@dataclass(frozen=True, slots=True)
class Emptied:
    """The last process of a run whose leader had ended is gone."""

    run: int


Event = (
    Want | Unwant | Outdate | Redefine | Retire | Admit | Hold | Refresh
    | Leave | Kill | Due | Forked | Started | Adopted | NotStarted | Exited | Emptied
)  # fmt: skip

OF_A_RUN = (Forked, Started, Adopted, NotStarted, Exited, Emptied)
"""The answers: they can only act on the run that they name."""
