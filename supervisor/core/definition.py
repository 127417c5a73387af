"""What a user defines: tasks, groups and the settings of the supervisor, after every check.

Everything here is a value: frozen, comparable, without behaviour that touches the world. ``config``
makes these from TOML, the rest of the program only reads them. Durations are seconds, sizes are
bytes, paths are absolute, signals are names ("SIGTERM"). The defaults are those of the contract.
"""

from __future__ import annotations

from enum import StrEnum
from zlib import crc32

from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.core.immutable import immutable, replace


class Kind(StrEnum):
    """What makes a task run."""

    CONTINUOUS = "continuous"  # kept running
    TRIGGERED = "triggered"  # runs when a trigger fires; by hand: `supctl run`
    STARTUP = "startup"  # runs once, before the others


class Restart(StrEnum):
    """Which ends of a run are followed by another one."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@immutable
class Backoff:
    """How long to wait before a restart: initial × factor^n, at most max, ± jitter (a share).

    A run that lives for `reset_after` seconds starts the row afresh.
    """

    initial: float = 0.1
    factor: float = 2.0
    max: float = 60.0
    jitter: float = 0.1
    reset_after: float = 10.0


@immutable
class GiveUp:
    """Stop restarting after this many failures within this many seconds."""

    failures: int
    within: float


@immutable
class AutoFreeze:
    """Freeze everything after this many failures of all tasks together within this many seconds."""

    failures: int
    within: float


@immutable
class StopPolicy:
    """How a run is asked to end: the signal, the seconds until SIGKILL, and whom the signal goes to."""

    signal: str = "SIGTERM"
    grace: float = 10.0
    to: str = "group"  # "main": the leader only; "group": its process group; "all": every process of the run


@immutable
class Probe:
    """A question put to a task again and again, and what its answers mean."""

    kind: str  # one of `probes.KINDS`: "http", "tcp", "command"
    target: tuple[str, ...]  # a URL, an address, or the words of a command
    every: float = 10.0  # seconds from an answer to the next question, ± 10 %
    timeout: float = 2.0  # an answer that takes longer is a failure
    failures: int = 3  # so many in a row: unwell; 0: never, it only makes ready
    successes: int = 1  # so many in a row: well again, or ready
    initial_delay: float = 0.0  # before the first question
    restart: bool = True  # whether an unwell task is restarted
    status: tuple[int, int] = (200, 399)  # http: the answers that are good
    contains: str = ""  # http: what the body must contain
    headers: tuple[tuple[str, str], ...] = ()  # http: sent with the question


@immutable
class Log:
    """Where a task's output goes: "file", "none", "inherit", "journal", or an absolute path; and how it is kept."""

    to: str = "file"
    stderr: str = "merged"  # "merged" | "separate" | "none"
    format: str = "plain"  # "plain" | "raw" | "json"
    max_size: int = 10 << 20  # bytes; a larger file is rotated
    keep: int = 10  # rotated files
    compress: bool = True

    @property
    def descriptors(self) -> tuple[bool, str]:
        """What a process gets: whether its output is read at all, and what its stderr is: "out", "err" or ""."""
        if self.to == "none":
            return False, ""
        one = self.format == "raw" and self.stderr == "merged"
        return True, "out" if one else "" if self.stderr == "none" else "err"


@immutable
class Limits:
    """What a run, or each of its processes, may use; None: as the supervisor itself may."""

    open_files: int | None = None  # of each process, as all up to cpu_time
    core: int | None = None  # bytes of a core dump
    file_size: int | None = None  # bytes of a file that it writes
    stack: int | None = None  # bytes
    locked_memory: int | None = None  # bytes
    cpu_time: float | None = None  # seconds of a processor
    nice: int | None = None
    cpu_affinity: tuple[int, ...] = ()  # the processors that it may run on; empty: all
    io_priority: int | str | None = None  # 0 (first) to 7, or "idle"
    oom_score_adj: int | None = None
    runtime: float | None = None  # seconds of a run, from its fork to the stop signal
    memory: int | None = None  # bytes of all processes of the run together, as all below; these need a cgroup
    cpu: float | None = None  # processors
    cpu_weight: int | None = None  # its share when others want the processors as well; 100 is usual
    processes: int | None = None  # and threads
    io_weight: int | None = None  # its share of the disk; 100 is usual
    best_effort: bool = False  # what this machine cannot enforce is left out

    @property
    def of_the_run(self) -> dict[str, float | None]:
        """What a cgroup enforces, by key."""
        return {key: getattr(self, key) for key in CONTROLLERS}

    @property
    def watched(self) -> dict[str, int]:
        """Those that can be measured, where no cgroup enforces them; only what is set."""
        found = {key: getattr(self, key) for key in WATCHED}
        return {key: value for key, value in found.items() if value is not None}

    @property
    def of_the_process(self) -> Limits:
        """What a process was made with: how long it may live is kept outside of it."""
        return replace(self, runtime=None)


NOTHING: dict[str, str] = {}  # one for all: nobody changes what is part of a definition


@immutable
class History:
    """What is kept of a task's runs: so many, and none that ended longer ago (seconds)."""

    keep: int = 1000
    max_age: float = 90 * 86400.0


@immutable
class Task:
    """One `[task.NAME]`, complete: every default is filled in."""

    name: str
    kind: Kind = Kind.CONTINUOUS
    command: tuple[str, ...] = ()  # empty when `python` is given
    python: str | None = None  # "package.module:callable"
    directory: str | None = None  # None: the supervisor's own
    user: str | None = None  # None: the supervisor's own
    group: str | None = None  # of the system; None: that of the user
    groups: tuple[str, ...] = ()  # beside those of the user
    umask: int | None = None  # None: the supervisor's own
    environment: dict[str, str] = NOTHING
    environment_file: tuple[str, ...] = ()  # absolute; a leading "-": may be missing
    inherit_environment: bool = True
    stdin: str = "null"
    autostart: bool = True
    replicas: int = 1
    freeze: bool = False
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    restart: Restart = Restart.ALWAYS
    success_exit: tuple[int | str, ...] = (0,)  # exit codes and signal names
    backoff: Backoff = Backoff()
    give_up: GiveUp | None = None
    on_give_up: str = "stay"  # "stay" | "stop-group" | "freeze" | "shutdown"
    stop: StopPolicy = StopPolicy()
    start_timeout: float = 90.0
    ready: str | Probe = "started"  # or "notify"
    health: Probe | None = None
    watchdog: float | None = None  # seconds between two signs of life; None: none is asked for
    dump_signal: str | None = None  # sent to a run that hangs before it is stopped
    essential: bool = False  # the supervisor's own `/ready` needs it
    log: Log = Log()
    history: History = History()
    limits: Limits = Limits()
    no_new_privileges: bool = False
    capabilities: tuple[str, ...] | None = None  # "CAP_NET_BIND_SERVICE"; None: as they come
    private_tmp: bool = False
    read_only: tuple[str, ...] = ()  # absolute; a leading "-": may be missing
    read_write: tuple[str, ...] = ()  # the same, within read_only
    inaccessible: tuple[str, ...] = ()  # the same
    network: str = "host"  # "none": a loopback of its own, nothing else
    credentials: dict[str, str] = NOTHING  # names, and the files that they are read from
    system_calls: tuple[str, ...] = ()  # what it may call; what begins with "~" it may not
    group_limits: str = ""  # the group of tasks whose limits it shares; "": none has any
    where: str = ""  # "FILE:LINE" of its table, for people

    @property
    def helper(self) -> bool:
        """A part of the supervisor itself (`@scribe`): no gate, freeze or stop of the tasks touches it."""
        return self.name.startswith("@")

    @property
    def notifies(self) -> bool:
        """Whether it is given a NOTIFY_SOCKET."""
        return self.ready == "notify" or self.watchdog is not None

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The questions that are put to it."""
        return tuple(probe for probe in (self.ready, self.health) if isinstance(probe, Probe))

    @property
    def dependencies(self) -> tuple[str, ...]:
        """Names of the tasks that must be ready before this one starts, without repeats."""
        return tuple(dict.fromkeys((*self.after, *self.requires)))


@immutable
class Group:
    """One `[group.NAME]`: its members by name, in the order of the config."""

    name: str
    tasks: tuple[str, ...]
    freeze: bool = False
    limits: Limits = Limits()  # those of a whole run, for all members together
    where: str = ""


@immutable
class Settings:
    """The table `[supervisor]`."""

    name: str
    runtime_dir: str
    state_dir: str
    log_dir: str
    freeze: bool = False
    stop_grace: float = 300.0
    log_level: str = "info"
    socket_group: str | None = None
    socket_mode: int = 0o660
    auto_freeze: AutoFreeze | None = None
    notify_command: tuple[str, ...] = ()
    health_listen: str | None = None  # "HOST:PORT" or "unix:PATH"
    drain_delay: float = 0.0  # between not ready and the first stop signal of a shutdown
    sample: float = 15.0  # seconds between two samples of what runs use; 0: none are taken


@immutable
class ConfigFreeze:
    """One `freeze = true` of the config: whom it freezes and the line that says so."""

    scope: str  # "" everything, "@NAME" a group, "NAME" a task
    where: str  # "FILE:LINE"


@immutable
class Config:
    """A whole config that has no error."""

    path: str
    settings: Settings
    tasks: dict[str, Task]
    groups: dict[str, Group]
    freezes: tuple[ConfigFreeze, ...] = ()
    watched: tuple[tuple[str, str], ...] = ()  # directories, and globs of the names whose change may concern the config
    warnings: tuple[str, ...] = ()  # what is not as good as it sounds


IDENTITY = (
    "kind", "command", "python", "directory", "user", "group", "groups", "umask", "environment",
    "environment_file", "inherit_environment", "stdin", "ready", "watchdog", "log", "limits",
    "no_new_privileges", "capabilities",
    "private_tmp", "read_only", "read_write", "inaccessible", "network", "credentials", "system_calls",
)  # fmt: skip
"""The keys that a running process was made from: a change of one of them needs a restart, no other does.

Of `log` only what the process has got counts (`Log.descriptors`): where its lines go, how they are written and kept
is the scribe's business. And of `limits` all but `runtime`, and which group's it shares, but not what those are.
"""


def identity(task: Task) -> str:
    """A short text that is the same for definitions that make the same process; kept with each run."""
    values = _made_from(task)
    values = [sorted(value.items()) if isinstance(value, dict) else value for value in values]
    return f"{crc32(repr(values).encode()):08x}"


def same_process(old: Task, new: Task) -> bool:
    """Whether a process started by the one definition is what the other would start."""
    return _made_from(old) == _made_from(new)


def _made_from(task: Task) -> list[object]:
    limits = task.limits.of_the_process
    parts = {"log": task.log.descriptors, "limits": (limits, task.group_limits) if task.group_limits else limits}
    return [parts[key] if key in parts else getattr(task, key) for key in IDENTITY]
