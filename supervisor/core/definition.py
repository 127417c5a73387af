"""Define the config as values: tasks, groups and the settings of the supervisor, after every check.

Each value is frozen and comparable, and does no I/O. `config` makes the values from TOML; the rest of the program only
reads them. Durations are seconds, sizes are bytes, paths are absolute, signals are names ("SIGTERM"). The defaults are
those of the contract.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from zlib import crc32

from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.core.immutable import immutable, once, replace


class Kind(StrEnum):
    """The kind of a task: when it runs."""

    CONTINUOUS = "continuous"  # kept running
    TRIGGERED = "triggered"  # runs when a trigger fires; by hand: `supctl run`
    STARTUP = "startup"  # runs once, before the others


class Mode(StrEnum):
    """The mode of a start-up task: who waits for its end."""

    BLOCKING = "blocking"  # all other tasks wait for its success
    BACKGROUND = "background"  # nobody waits
    FOREGROUND = "foreground"  # no task waits; a shutdown waits for its end


class Restart(StrEnum):
    """The restart policy: after which ends of a run the next one starts."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@immutable
class Backoff:
    """The delay before a restart: initial × factor^n, at most max, ± jitter (a share).

    After a run that lives for `reset_after` seconds the delay is the initial one again.
    """

    initial: float = 0.1
    factor: float = 2.0
    max: float = 60.0
    jitter: float = 0.1
    reset_after: float = 10.0


@immutable
class Retry:
    """How many runs a firing may have until one succeeds, and the delays between them."""

    attempts: int
    backoff: Backoff = Backoff(initial=1.0)


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
    """How to stop a run: the signal, the seconds until SIGKILL, and the processes that get the signal."""

    signal: str = "SIGTERM"
    grace: float = 10.0
    to: str = "group"  # "main": the leader only; "group": its process group; "all": every process of the run


@immutable
class Probe:
    """A question that is put to a task at intervals, and the meaning of the answers."""

    kind: str  # one of `probes.KINDS`
    values: dict[str, Any]  # of the keys that the kind adds, complete; only the kind knows what they mean
    every: float = 10.0  # seconds from an answer to the next question, ± 10 %
    timeout: float = 2.0  # an answer that takes longer is a failure
    failures: int = 3  # this many in a row: unwell; 0: never, the probe only makes ready
    successes: int = 1  # this many in a row: well again, or ready
    initial_delay: float = 0.0  # before the first question
    restart: bool = True  # whether an unwell task is restarted


@immutable
class Log:
    """The target of a task's output, and how it is kept: "file", "none", "inherit", "journal", or an absolute path."""

    to: str = "file"
    stderr: str = "merged"  # "merged" | "separate" | "none"
    format: str = "plain"  # "plain" | "raw" | "json"
    max_size: int = 10 << 20  # bytes; a larger file is rotated
    keep: int = 10  # rotated files
    compress: bool = True

    @property
    def descriptors(self) -> tuple[bool, str]:
        """Return whether the output of a process is read, and where its stderr goes: "out", "err" or ""."""
        if self.to == "none":
            return False, ""
        one = self.format == "raw" and self.stderr == "merged"
        return True, "out" if one else "" if self.stderr == "none" else "err"


@immutable
class Limits:
    """The limits of a run, or of each of its processes; None: the limit of the supervisor itself."""

    open_files: int | None = None  # of each process, like all fields up to cpu_time
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
    memory: int | None = None  # bytes of all processes of the run together, like all fields below; these need a cgroup
    cpu: float | None = None  # processors
    cpu_weight: int | None = None  # its share when others need the processors, too; 100 is the default
    processes: int | None = None  # and threads
    io_weight: int | None = None  # its share of the disk; 100 is the default
    best_effort: bool = False  # what this machine cannot enforce is left out

    @property
    def of_the_run(self) -> dict[str, float | None]:
        """Return the limits that a cgroup enforces, by key."""
        return {key: getattr(self, key) for key in CONTROLLERS}

    @property
    def watched(self) -> dict[str, int]:
        """Return the limits that are set and can be measured, for use where no cgroup enforces them."""
        found = {key: getattr(self, key) for key in WATCHED}
        return {key: value for key, value in found.items() if value is not None}

    @property
    def of_the_process(self) -> Limits:
        """Return the limits that a process is made with. `runtime` is none of these: the supervisor enforces it."""
        return replace(self, runtime=None)


class Overlap(StrEnum):
    """What happens to a firing that finds all runs of its task busy."""

    SKIP = "skip"
    QUEUE = "queue"  # it waits for its turn, in order
    LATEST = "latest"  # it waits; a newer one takes its place
    REPLACE = "replace"  # the run is stopped, and the newest firing takes its place
    ALLOW = "allow"  # as QUEUE, with several runs at once


class CatchUp(StrEnum):
    """Which of the firings run that were missed: while the supervisor was down, or the task was frozen or paused."""

    NONE = "none"
    ONE = "one"  # one run for all of them
    ALL = "all"  # one run for each, in order


@immutable
class Timing:
    """The keys of a triggered task that say when it runs."""

    schedule: tuple[str, ...] = ()  # cron expressions
    timezone: str = ""  # an IANA name; "": the zone of the host
    every: float | None = None  # seconds from the end of a run to the start of the next
    jitter: float = 0.0  # seconds; the share of them is constant for this host and task
    overlap: Overlap = Overlap.SKIP
    max_parallel: int = 1
    max_waiting: int = 100
    catch_up: CatchUp = CatchUp.ONE
    catch_up_within: float = 86400.0
    dedupe: float = 3600.0  # seconds for which the key of `supctl run --id` stands for its firing
    expect: float | None = None  # seconds; unwell when no run has succeeded for so long

    @property
    def fires(self) -> bool:
        """Whether it has a trigger of its own, beside `supctl run`."""
        return bool(self.schedule) or self.every is not None


@immutable
class PoolShare:
    """What each run of a task needs of a pool (key `pool`)."""

    name: str
    slots: int = 1


NOTHING: dict[str, str] = {}  # one shared dict: no part of a definition is ever changed


@immutable
class History:
    """How much history of a task is kept: the number of runs, and their maximum age in seconds."""

    keep: int = 1000
    max_age: float = 90 * 86400.0


@immutable
class Task:
    """One `[task.NAME]`, complete: every default is filled in."""

    name: str
    kind: Kind = Kind.CONTINUOUS
    mode: Mode = Mode.BLOCKING  # of a start-up task
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
    watchdog: float | None = None  # seconds between two watchdog messages; None: none is required
    dump_signal: str | None = None  # sent to a run that hangs before it is stopped
    essential: bool = False  # the supervisor's own `/ready` needs it
    log: Log = Log()
    history: History = History()
    limits: Limits = Limits()
    timing: Timing = Timing()
    pool: PoolShare | None = None
    on: tuple[str, ...] = ()  # ends of runs of other tasks that fire this one: "backup.failed"
    retry: Retry | None = None  # None: a firing has one run, whatever its end
    no_new_privileges: bool = False
    capabilities: tuple[str, ...] | None = None  # "CAP_NET_BIND_SERVICE"; None: unchanged
    private_tmp: bool = False
    read_only: tuple[str, ...] = ()  # absolute; a leading "-": may be missing
    read_write: tuple[str, ...] = ()  # the same, within read_only
    inaccessible: tuple[str, ...] = ()  # the same
    network: str = "host"  # "none": a loopback of its own, nothing else
    credentials: dict[str, str] = NOTHING  # names, and the files that they are read from
    system_calls: tuple[str, ...] = ()  # the calls that it may make; a leading "~": may not
    group_limits: str = ""  # the group of tasks whose limits it shares; "": none
    where: str = ""  # "FILE:LINE" of its table, for people

    @property
    def helper(self) -> bool:
        """Whether it is a part of the supervisor itself (`@scribe`): no gate, freeze or stop of tasks applies to it."""
        return self.name.startswith("@")

    @property
    def blocks(self) -> bool:
        """Whether it is a start-up task for whose success all other tasks wait."""
        return self.kind is Kind.STARTUP and self.mode is Mode.BLOCKING

    @property
    def outlasts(self) -> bool:
        """Whether it is a start-up task for whose end a shutdown waits."""
        return self.kind is Kind.STARTUP and self.mode is Mode.FOREGROUND

    @property
    def notifies(self) -> bool:
        """Whether it gets a NOTIFY_SOCKET."""
        return self.ready == "notify" or self.watchdog is not None

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The probes of the task."""
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
class Pool:
    """One `[pool.NAME]`: slots that tasks share."""

    name: str
    slots: int
    where: str = ""


NO_POOLS: dict[str, Pool] = {}


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
    catch_up_parallel: int | None = None  # runs at the same time that catch up; None: as many as processors
    sample: float = 15.0  # seconds between two samples of what runs use; 0: none are taken


@immutable
class ConfigFreeze:
    """One `freeze = true` of the config: its scope and its line."""

    scope: str  # "" everything, "@NAME" a group, "NAME" a task
    where: str  # "FILE:LINE"


@immutable
class Config:
    """A complete config without an error."""

    path: str
    settings: Settings
    tasks: dict[str, Task]
    groups: dict[str, Group]
    freezes: tuple[ConfigFreeze, ...] = ()
    watched: tuple[tuple[str, str], ...] = ()  # directories, and globs of the names whose change may concern the config
    warnings: tuple[str, ...] = ()  # for people: what has less effect than expected
    pools: dict[str, Pool] = NO_POOLS


@immutable
class MachineError:
    """An error of the machine: the config is correct, but it names something that is not there now."""

    text: str  # for people, with file and line
    tasks: tuple[str, ...] = ()  # those that cannot start without it
    setting: str = ""  # the key of [supervisor] that names it


IDENTITY = (
    "kind", "command", "python", "directory", "user", "group", "groups", "umask", "environment",
    "environment_file", "inherit_environment", "stdin", "ready", "watchdog", "log", "limits",
    "no_new_privileges", "capabilities",
    "private_tmp", "read_only", "read_write", "inaccessible", "network", "credentials", "system_calls",
)  # fmt: skip
"""The keys that a running process was made from. Only a change of one of these needs a restart.

- Of `log`, only the descriptors of the process count (`Log.descriptors`). The scribe handles the rest.
- Of `limits`, all but `runtime` counts.
- The group whose limits it shares counts, but not the values of those limits.
"""


@once
def identity(task: Task) -> str:
    """Return a short text that is equal for definitions that make the same process. Each run keeps it."""
    values = _made_from(task)
    values = [sorted(value.items()) if isinstance(value, dict) else value for value in values]
    return f"{crc32(repr(values).encode()):08x}"


def same_process(old: Task, new: Task) -> bool:
    """Return whether both definitions start the same process."""
    return _made_from(old) == _made_from(new)


def _made_from(task: Task) -> list[object]:
    limits = task.limits.of_the_process
    parts = {"log": task.log.descriptors, "limits": (limits, task.group_limits) if task.group_limits else limits}
    return [parts[key] if key in parts else getattr(task, key) for key in IDENTITY]
