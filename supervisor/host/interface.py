"""What the parent needs from the machine, and what the machine tells it.

Two classes fulfil it: `linux.Linux`, and a fake one in the tests, in virtual time. One suite of tests runs against
both, so that what the simulation proves holds for the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from supervisor.core.definition import Group, Probe, StopPolicy, Task
from supervisor.core.events import Event, Status
from supervisor.core.immutable import immutable
from supervisor.core.instance import Run


@immutable
class Launch:
    """All that a child needs to become a run of a task."""

    key: str
    task: Task
    index: int
    run: Run
    last_exit: str  # how the last run ended, in words; "" for none
    runtime_dir: str
    log_dir: str
    group: Group | None = None  # whose limits it shares


@immutable
class Happened:
    """An event of an instance."""

    key: str
    event: Event


@immutable
class Signalled:
    """The supervisor itself got a signal: "SIGTERM", "SIGINT" or "SIGHUP"."""

    name: str


@immutable
class Touched:
    """A file that the config was read from, or would be, has changed."""


@immutable
class Dropped:
    """Output of tasks could not be written; `Host.losses` says what."""


@immutable
class Beyond:
    """A run is beyond a limit; `Host.breaches` says which."""


@immutable
class ClockSet:
    """The wall clock was set, or the machine has slept: what is due at a time of day is due at another moment."""


@immutable
class Done:
    """An errand is done; `error` says in a sentence why it is not."""

    errand: int
    value: Any
    error: str = ""


@immutable
class Request:
    """A client asks something. `client` is where the answer goes."""

    client: Any
    verb: str
    arguments: dict[str, Any]


Occurrence = Happened | Signalled | Touched | Dropped | Beyond | ClockSet | Done | Request

Reader = Callable[[int], Sequence[Occurrence]]
"""Called with the epoll events of a descriptor; says what has occurred."""


class CannotForkError(Exception):
    """No child could be made. The text says which step failed and why."""


class Host(Protocol):
    """Time, processes, errands, and somebody to tell."""

    def now(self) -> float:
        """Monotonic seconds."""

    def stamp(self, at: float | None = None) -> str:
        """RFC 3339 in UTC of a monotonic moment (default: now), with milliseconds."""

    def moment(self, stamp: str) -> float:
        """The monotonic moment of an RFC 3339 time; the inverse of `stamp`."""

    def wait(self, deadline: float | None) -> list[Occurrence]:
        """Sleeps until something occurs or the deadline (monotonic) has come; None: for as long as it takes."""

    def prepare(self, count: int) -> None:
        """So many forks are about to be asked for; a host may get ready for them."""

    def fork(self, launch: Launch) -> tuple[int, int, str]:
        """Makes a child that waits for `go`. Returns its pid, its birth (start time in clock ticks), its cgroup or "".

        Raises:
            CannotForkError: there is none.
        """

    def go(self, key: str) -> None:
        """Lets the child run its program."""

    def abandon(self, key: str, reason: str) -> None:
        """Has the child that waits for `go` end, with nothing run. Answered by NotStarted with the reason."""

    def adopt(self, key: str, run: Run) -> bool:
        """Takes over a run of an earlier supervisor. False when nothing of it lives.

        When its leader has ended and others of it live, that is told by `wait` as an `Exited`.
        """

    def post_mortem(self, run: Run) -> Status | None:
        """How a run ended that no supervisor saw ending, where the kernel still knows it."""

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """Sends the stop signal to whom the policy says; when the leader has ended, to all that have not had it."""

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> None:
        """Sends SIGKILL to all of these runs. Whom that met besides a leader is told by `wait` as a `Killed`."""

    def signal(self, key: str, name: str) -> bool:
        """Sends any signal to the leader. False when it no longer lives."""

    def pause(self, key: str, run: Run) -> None:
        """Has all of a run stand still. `Paused` tells when it does; SIGKILL ends it all the same."""

    def resume(self, key: str, run: Run) -> None:
        """Lets all of it go on, whether it was paused by us or by an earlier supervisor."""

    def ask(self, launch: Launch, probe: Probe) -> None:
        """Puts a question to a run. Answered by `Probed` soon after the probe's timeout at the latest.

        An answer that cannot be had for the host's own reasons is None, not a failure.
        """

    def place_of(self, group: str) -> str:
        """The directory of the cgroup that the runs of a group of tasks are in; "" while there is none."""

    def remember(self, records: list[dict[str, Any]]) -> None:
        """Writes records where the next supervisor finds them."""

    def publish(self, runtime_dir: str, plan: dict[str, Any]) -> None:
        """Writes the plan where the helpers find it (`store.plan`).

        Raises:
            OSError: the runtime directory is full or gone.
        """

    def post(self, name: str, what: dict[str, Any]) -> None:
        """Puts something into a file of the runtime directory, at once and as a whole, for a helper to read.

        Raises:
            OSError: the runtime directory is full or gone.
        """

    def state_of(self, key: str) -> str:
        """The state of the main process of an instance by proc(5), such as "S" or "T"; "": there is none."""

    def unread(self, key: str) -> int:
        """Bytes that an instance has written and nobody has read yet."""

    def losses(self) -> dict[str, Any]:
        """What of the output could not be written, by instance: {"bytes", "lines", "why", "at"} (`store.told`)."""

    def breaches(self) -> dict[str, Any]:
        """The runs that @scribe has found beyond a limit, by instance: {"run", "why"} (`store.told`)."""

    def troubles(self) -> str:
        """Why @scribe cannot write the history (`store.told`); "" when it can, or none can tell."""

    def samples(self) -> dict[str, Any]:
        """What runs used at the last look of @scribe (`store.told.SAMPLES`); empty when nobody looks."""

    def spool(self, accounts: list[dict[str, Any]]) -> str:
        """Hands over what the history shall say of runs that are over; never waits.

        Returns:
            A sentence for the operator when the history has begun to lag, or caught up; else "".
        """

    def errand(self, function: Callable[..., Any], *arguments: object) -> int:
        """Has something done that may block. Answered by `Done` with the number that is returned."""

    def watch(self, places: tuple[tuple[str, str], ...]) -> None:
        """From now on tells `Touched` of names in directories (directory, glob of names), and of no others."""

    def notify(self, *assignments: str) -> None:
        """Tells the service manager (sd_notify(3))."""

    def title(self, text: str) -> None:
        """What `ps` shows."""

    def log(self, level: str, text: str) -> None:
        """A line for the operator; never blocks."""
