"""The interface between the parent and the machine: the calls of the parent, and the events of the machine.

Two classes implement it: `shell.linux.Linux`, and a fake one in the tests, in virtual time. One suite of tests runs
against both. So the results of the simulation also hold for the real class.
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
    last_exit: str  # the end of the last run, in words; "" for none
    runtime_dir: str
    log_dir: str
    group: Group | None = None  # whose limits it shares
    supervisor: str = ""  # its name, which the titles of helpers show


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
class ConfigTouched:
    """A file of the config has changed, or a file that would be part of it."""

    certain: bool = True  # False: it may have changed, before the machine watched it


@immutable
class MadeAnew:
    """The runtime directory was removed or replaced. The supervisor has created it and its own files again."""


@immutable
class Dropped:
    """Output of tasks could not be written, or a record not be kept; `Host.losses` and `rejects` give the details."""


@immutable
class Breached:
    """A run is beyond a limit; `Host.breaches` says which."""


@immutable
class ClockSet:
    """The wall clock was set, or the machine has slept: each time of day is at another monotonic moment."""


@immutable
class Stalled:
    """The supervisor stood still for so long (SIGSTOP, a frozen machine). It comes before all events that waited."""

    seconds: float


@immutable
class Done:
    """An errand has ended; on failure, `error` is a sentence that says why."""

    errand: int
    value: Any
    error: str = ""


@immutable
class Request:
    """A client asks something. The answer goes to `client`."""

    client: Any
    verb: str
    arguments: dict[str, Any]


@immutable
class Connected:
    """A helper is ready for messages. Those that were sent to it before are lost."""

    key: str


@immutable
class Heard:
    """A message of a helper."""

    key: str
    message: dict[str, Any]


@immutable
class ProcessEnded:
    """A process that the host watches has ended. It is no child of ours."""

    name: str


Occurrence = (
    Happened | Signalled | ConfigTouched | MadeAnew | Dropped | Breached | ClockSet | Stalled | Done | Request
    | Connected | Heard | ProcessEnded
)  # fmt: skip

Reader = Callable[[int], Sequence[Occurrence]]
"""Called with the epoll events of a descriptor; returns what has occurred."""


class CannotForkError(Exception):
    """No child could be made. The text says which step failed and why."""

    def __init__(self, text: str, *, scarce: bool = False) -> None:
        """`scarce`: the machine, or a limit, has no room for it now."""
        super().__init__(text)
        self.scarce = scarce


class Host(Protocol):
    """Time, processes, errands, and messages to the operator and the service manager."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def stamp(self, at: float | None = None) -> str:
        """Return a monotonic moment (default: now) as RFC 3339 in UTC, with milliseconds."""

    def moment(self, stamp: str) -> float:
        """Return the monotonic moment of an RFC 3339 time; the inverse of `stamp`."""

    def wall(self) -> float:
        """Return seconds since 1970. Only what people say in times of day depends on it."""

    woke: float
    """The moment at which the last `wait` ended. `wait` has reported all events until then, so the parent compares
    deadlines with it. It judges a later deadline after the next `wait`, as the supervisor may have stood still."""

    def wait(self, deadline: float | None) -> list[Occurrence]:
        """Sleep until something occurs or the deadline (monotonic) has come; None: without a deadline."""

    def prepare(self, count: int) -> None:
        """Announce that the parent will soon ask for so many forks. The host may get ready for them."""

    def fork(self, launch: Launch) -> tuple[int, int, str]:
        """Make a child that waits for `send_go`. Return its pid, its birth (in clock ticks), its cgroup or "".

        Raises:
            CannotForkError: no child could be made.
        """

    def send_go(self, key: str) -> None:
        """Let the child run its program."""

    def abandon(self, key: str, reason: str) -> None:
        """End the child that waits for `send_go` before it runs a program. NotStarted reports it, with the reason."""

    def adopt(self, key: str, run: Run) -> bool:
        """Take over a run of an earlier supervisor. False when no process of it lives.

        When its leader has ended and other processes of it live, `wait` reports an `Exited`.
        """

    def began(self, key: str, run: Run) -> bool:
        """Return whether the run of a firing got its go byte. Wait up to two seconds until that is certain.

        Raises:
            OSError: it cannot be known now.
        """

    def post_mortem(self, run: Run) -> Status | None:
        """Return the exit status of a run whose end no supervisor saw, if the kernel still knows it."""

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        """Send the stop signal as the policy says. If the leader has ended, send it to all that have not had it."""

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> None:
        """Send SIGKILL to all of these runs. `wait` reports the processes that it hit besides a leader as `Killed`."""

    def signal(self, key: str, name: str) -> bool:
        """Send any signal to the leader. False when it no longer lives."""

    def pause(self, key: str, run: Run) -> None:
        """Pause all processes of a run. `Paused` reports that they stand still. SIGKILL still ends them."""

    def resume(self, key: str, run: Run) -> None:
        """Resume all processes of a run, whether we or an earlier supervisor paused it."""

    def ask(self, launch: Launch, probe: Probe) -> None:
        """Ask a probe question of a run. `Probed` brings the answer soon after the probe's timeout at the latest.

        When the host itself cannot get an answer, the answer is None, not a failure.
        """

    def birth_of(self, pid: int) -> int:
        """Return the birth of any process, in clock ticks; 0 if there is none that we can see."""

    def watch_process(self, name: str, pid: int, birth: int, pidfd: int = -1, *, spare: bool = False) -> None:
        """Report by `ProcessEnded` when this process has ended, which is no child of ours.

        Args:
            name: its name in `ProcessEnded`.
            pid: the process.
            birth: the same.
            pidfd: a descriptor of it, which is the host's from now on; -1: the host opens one.
            spare: leave the descriptors alone that starts of tasks need.

        Raises:
            ProcessLookupError: it has ended.
            OSError: no descriptor is left.
        """

    def unwatch_process(self, name: str) -> None:
        """Do not report the end of this process."""

    def send(self, key: str, kind: str, items: list[Any] | dict[str, Any]) -> None:
        """Send a message to a helper; never wait. It is lost if the helper is not connected: see `Connected`."""

    def place_of(self, group: str) -> str:
        """Return the directory of the cgroup for the runs of a group of tasks; "" while there is none."""

    def remember(self, records: list[dict[str, Any]]) -> None:
        """Write records to a place where the next supervisor finds them."""

    def publish_manifest(self, runtime_dir: str, manifest: dict[str, Any]) -> None:
        """Write the manifest to the place where the helpers find it (`store.manifest`).

        Raises:
            OSError: the runtime directory is full or gone.
        """

    def publish_health(self, what: dict[str, Any]) -> None:
        """Write the answer for @health, at once and atomically.

        Raises:
            OSError: the runtime directory is full or gone.
        """

    def state_of(self, key: str) -> str:
        """Return the state of the main process of an instance by proc(5), such as "S" or "T".

        "": there is no such process. "?": its state is not known.
        """

    def silence(self, key: str) -> float | None:
        """Return for how many seconds a helper has owed an answer; 0.0: it owes none. None: nobody can know."""

    def complaint(self, key: str) -> str:
        """Return the last line that the newest run of a helper has written to stderr; "" when there is none."""

    def unread(self, key: str) -> int:
        """Return how many bytes of an instance's output were not read yet."""

    def losses(self) -> dict[str, Any]:
        """Return the lost output, by instance: {"bytes", "lines", "why", "at"} (`store.statefile`)."""

    def rejects(self) -> dict[str, Any]:
        """Return the count, file and reason of unusable records: {"records", "path", "why", "at"}, or {}."""

    def breaches(self) -> dict[str, Any]:
        """Return the runs that @scribe has found beyond a limit, by instance: {"run", "why"} (`store.statefile`)."""

    def troubles(self) -> list[str]:
        """Return the present troubles of @scribe and the host, a sentence each (`store.statefile`)."""

    def samples(self) -> dict[str, Any]:
        """Return the resource usage of runs at @scribe's last look (`store.statefile.SAMPLES`); empty without looks."""

    def spool(self, records: list[dict[str, Any]]) -> str:
        """Hand over the run records of ended runs for the history; never wait.

        Returns:
            A sentence for the operator when the history has begun to lag, or has caught up; else "".
        """

    def has_unspooled(self) -> bool:
        """Whether a run record from `spool` is still in our memory only."""

    def errand(self, function: Callable[..., Any], *arguments: object, keep: int = -1) -> int:
        """Begin an errand, which may block, and return its number. `Done` reports its end with that number.

        The errand inherits the descriptor `keep` as `aside.KEPT`.
        """

    def watch(self, places: tuple[tuple[str, str], ...]) -> None:
        """Report `ConfigTouched` from now on for these places (directory, glob of names), and for no others."""

    def notify(self, *assignments: str) -> None:
        """Send assignments to the service manager (sd_notify(3))."""

    def title(self, text: str) -> None:
        """Set the title that `ps` shows."""

    def log(self, level: str, text: str) -> None:
        """Write a line for the operator; never block."""
