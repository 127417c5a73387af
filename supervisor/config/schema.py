"""Every key of the config, with its type, its default and one line of documentation.

The tables are data. `load` walks them, a test compares their defaults with the definitions, and the reference for users
is made from them. A key that has `instead` is part of the contract. The check reads it in full and then refuses it,
because this version does not implement it yet.
"""

from __future__ import annotations

import os

from supervisor.config.command import COMMAND, PYTHON
from supervisor.config.cron import SCHEDULE, TIMEZONE
from supervisor.config.errors import Wrong
from supervisor.config.key import Key, Type, keys, table
from supervisor.config.kinds import type_of
from supervisor.config.limits import CPU_AFFINITY, IO_PRIORITY, at_least, below_hard, own_oom_score_adj
from supervisor.config.machine import Scope
from supervisor.config.messages import show
from supervisor.config.on import ON
from supervisor.config.paths import (
    DIRECTORY,
    ENVIRONMENT,
    LOG_TARGET,
    PATH,
    SYSTEM_GROUP,
    USER,
    environment_file,
    path,
    pattern,
)
from supervisor.config.probe import probe_keys, probe_of
from supervisor.config.quantity import DURATION, TIME, integer, number, octal, size
from supervisor.config.security import (
    CAPABILITIES_TYPE,
    CREDENTIALS,
    GROUP_OF_SYSTEM,
    SYSTEM_CALLS,
    group,
    needs_root,
    place,
)
from supervisor.config.timing import EVERY
from supervisor.config.values import BOOLEAN, NAME, NAMES, choice, exit_status, listed, member, names, stop_signal
from supervisor.core.definition import (
    Backoff,
    CatchUp,
    History,
    Kind,
    Limits,
    Log,
    Mode,
    Overlap,
    PoolShare,
    Probe,
    Restart,
    StopPolicy,
)
from supervisor.probes.interface import address

_BY_HAND = 'available: kind = "triggered" and supctl run'

BACKOFF = keys(
    Key("initial", DURATION, 0.1, "the delay before the first restart"),
    Key("factor", number(1, 1000), 2.0, "each further delay is this many times the one before"),
    Key("max", DURATION, 60.0, "the longest delay"),
    Key("jitter", number(0, 1), 0.1, "a random part of the delay that is added or subtracted"),
    Key("reset_after", DURATION, 10.0, "after a run of this length the next delay is initial again"),
)

GIVE_UP = keys(
    Key("failures", integer(1, 1_000_000), None, "this many failures"),
    Key("within", TIME, None, "within this time"),
)

AUTO_FREEZE = keys(
    Key("failures", integer(1, 100_000), None, "this many failed runs of all tasks together"),
    Key("within", TIME, None, "within this time"),
)

STOP = keys(
    Key("signal", Type("signal", stop_signal), "SIGTERM", "the signal that asks the run to end"),
    Key("grace", DURATION, 10.0, "the time from that signal to SIGKILL"),
    Key("to", choice("main", "group", "all"), "group", "who gets it: main process, process group, or all processes"),
)

LOG = keys(
    Key(
        "to",
        LOG_TARGET,
        "file",
        "a file in log_dir, nowhere, the supervisor's own output, systemd's journal, or a file of this path",
    ),
    Key("stderr", choice("merged", "separate", "none"), "merged", "into the same file, NAME.err.log, or nowhere"),
    Key(
        "format",
        choice("plain", "raw", "json"),
        "plain",
        "with time and stream, as the bytes are, or one object a line",
    ),
    Key("max_size", size(least=4096), 10 << 20, "a file that grows beyond this is rotated"),
    Key("keep", integer(0, 100_000), 10, "how many rotated files are kept"),
    Key("compress", BOOLEAN, True, "whether rotated files are compressed"),
)

HISTORY = keys(
    Key("keep", integer(0, 1_000_000), 1000, "how many runs are kept; 0: none"),
    Key("max_age", TIME, 90 * 86400.0, "a run that ended longer ago is removed"),
)

READY_PROBE = probe_keys(
    Key("every", TIME, 1.0, "the time from an answer to the next probe, ± 10 %"),
    Key("timeout", TIME, 2.0, "an answer that takes longer is a failure"),
    Key("successes", integer(1, 1000), 1, "this many good answers in a row make it ready, or well again"),
    Key("initial_delay", DURATION, 0.0, "the time before the first probe"),
)

HEALTH_PROBE = READY_PROBE | keys(
    Key("every", TIME, 10.0, "the time from an answer to the next probe, ± 10 %"),
    Key("failures", integer(1, 1000), 3, "this many bad answers in a row make it unwell"),
    Key("restart", BOOLEAN, True, "whether it is restarted when it is unwell"),
)

GROUP_LIMITS = keys(
    Key("memory", size(), None, "memory of the run in bytes; if it needs more, all its processes are killed"),
    Key("cpu", number(0.01, 10_000), None, "how many processors the run may keep busy"),
    Key("cpu_weight", integer(1, 10_000), None, "its weight when the processors are busy; the kernel's default is 100"),
    Key("processes", integer(1, 4_194_304), None, "how many processes and threads the run may have"),
    Key("io_weight", integer(1, 10_000), None, "its weight when a disk is busy; the kernel's default is 100"),
    Key("best_effort", BOOLEAN, False, "whether the task may start without a limit that this machine cannot enforce"),
)

LIMITS = GROUP_LIMITS | keys(
    Key("open_files", below_hard("NOFILE", integer(8, 1_073_741_816)), None, "how many files a process may have open"),
    Key("runtime", TIME, None, "the longest duration of a run; then it is stopped and counts as failed"),
    Key("core", below_hard("CORE", size(zero=True)), None, "largest core dump in bytes"),
    Key("file_size", below_hard("FSIZE", size()), None, "largest file in bytes that a process may write"),
    Key("stack", below_hard("STACK", size()), None, "largest stack of a process in bytes"),
    Key("locked_memory", below_hard("MEMLOCK", size(zero=True)), None, "how many bytes a process may lock into memory"),
    Key("cpu_time", below_hard("CPU", TIME), None, "the CPU time of a process; then it gets SIGXCPU"),
    Key("nice", at_least(lambda: os.getpriority(os.PRIO_PROCESS, 0), integer(-20, 19)), None, "the niceness"),
    Key("cpu_affinity", CPU_AFFINITY, (), "the processors that it may run on; default: all"),
    Key("io_priority", IO_PRIORITY, None, "its priority at the disk: 0 (first) to 7, or only when the disk is idle"),
    Key(
        "oom_score_adj",
        at_least(own_oom_score_adj, integer(-1000, 1000)),
        None,
        "how early the kernel kills it when memory runs out",
    ),
)

WATCH = keys(
    Key("paths", listed(path, "paths", '["inbox/*.csv"]', empty=False), None, "files or globs"),
    Key("settle", DURATION, None, "the time that a file must stay unchanged"),
)

RETRY_BACKOFF = keys(
    Key("initial", DURATION, 1.0, "the delay after the first attempt"),
    Key("factor", number(1, 1000), 2.0, "each further delay is this many times the one before"),
    Key("max", DURATION, 60.0, "the longest delay"),
    Key("jitter", number(0, 1), 0.1, "a random part of the delay that is added or subtracted"),
)

RETRY = keys(
    Key("attempts", integer(1, 1000), None, "how many runs a firing may have until one succeeds"),
    Key("backoff", table(RETRY_BACKOFF), None, "the delays between them"),
)


POOL_SHARE = keys(
    Key("name", NAME, None, "the pool"),
    Key("slots", integer(1, 1_000_000), 1, "how many slots each run needs"),
)

POOL = keys(
    Key("slots", integer(1, 1_000_000), None, "how many there are; a pool of one slot is a lock"),
)


def _pool_share(value: object, scope: Scope) -> PoolShare:
    """Return what a run needs of a pool: its name stands for one slot."""
    written = {"name": value} if isinstance(value, str) else value
    return scope.machine.share(PoolShare(**_SHARE.parse(written, scope)))


def _ready(value: object, scope: Scope) -> str | Probe:
    """Return what makes a task ready: its program runs, the task sends READY=1, or a probe gets a good answer."""
    if isinstance(value, dict):
        return probe_of(READY_PROBE, value, scope, every=1.0, failures=0)
    if not isinstance(value, str):
        raise Wrong(f'{show(value)} is not a way to become ready; allowed: "started", "notify", or a probe')
    return str(_WORDS.parse(value, scope))


def _sample(value: object, scope: Scope) -> float:
    """Return a duration of a second or more, or 0."""
    seconds: float = DURATION.parse(value, scope)
    if 0 < seconds < 1:
        raise Wrong(f'{show(value)} is too short; allowed: 0 (none), or "1s" and more')
    return seconds


def _health(value: object, scope: Scope) -> Probe:
    """Return the probe that the supervisor repeats."""
    return probe_of(HEALTH_PROBE, value, scope)


_WORDS = choice("started", "notify")
_SHARE = table(POOL_SHARE, needed=("name",))

_PLACES = listed(place, "paths", '["/srv", "-/mnt/data"]')


def _as_root(inner: Type) -> Type:
    """Return the type of a key for which every value except the default needs root."""
    return needs_root(inner, "no such key", False, (), {}, "host")


TASK = keys(
    Key("kind", member(Kind), Kind.CONTINUOUS, "kept running, run by a trigger, or run once before all others"),
    Key("mode", member(Mode), Mode.BLOCKING, "of a start-up task: all others wait, nobody waits, or a shutdown waits"),
    Key("command", COMMAND, (), "what is run: a list of words, or a string split as a shell does; no shell runs"),
    Key("python", PYTHON, None, "instead of command: a Python callable, called in the forked child"),
    Key("directory", DIRECTORY, None, "its working directory; default: that of the supervisor"),
    Key("user", USER, None, "the user it runs as; default: the user of the supervisor"),
    Key("group", _as_root(GROUP_OF_SYSTEM), None, "its Unix group; default: that of the user"),
    Key("groups", _as_root(listed(group, "Unix groups", '["adm"]')), (), "more Unix groups"),
    Key("umask", octal("022"), None, "the permission bits that new files lack; default: the supervisor's"),
    Key("environment", ENVIRONMENT, {}, "variables that are added to those of the supervisor"),
    Key(
        "environment_file",
        listed(environment_file, "paths", '["/etc/mailer.env"]'),
        (),
        'files of KEY=VALUE lines; a leading "-" means: may be missing',
    ),
    Key("inherit_environment", BOOLEAN, True, "whether it gets the environment of the supervisor too"),
    Key("stdin", choice("null"), "null", "what its standard input reads from"),
    Key("autostart", BOOLEAN, True, "whether it starts with the supervisor; default of a triggered task: false"),
    Key("replicas", integer(0, 1000), 1, "how many instances run; each has SUPERVISOR_INSTANCE=1…n"),
    Key("freeze", BOOLEAN, False, "true forbids new processes of this task"),
    Key("after", NAMES, (), "start only once these are ready"),
    Key("requires", NAMES, (), "like after; and the task stops and starts again together with them"),
    Key("restart", member(Restart), Restart.ALWAYS, 'when to restart it; triggered and startup tasks: "never"'),
    Key(
        "success_exit",
        listed(exit_status, "exit codes and signals", '[0, "SIGTERM"]'),
        (0,),
        "exit codes and signal names that count as success",
    ),
    Key("backoff", table(BACKOFF), Backoff(), "the delays before restarts"),
    Key("give_up", table(GIVE_UP, needed=("failures", "within")), None, "when to stop restarting; default: never"),
    Key(
        "on_give_up",
        choice("stay", "stop-group", "freeze", "shutdown"),
        "stay",
        "what else happens when the task gives up",
    ),
    Key("stop", table(STOP), StopPolicy(), "how a run is stopped"),
    Key("start_timeout", TIME, 90.0, "the time to become ready; then it counts as failed"),
    Key("ready", Type('"started" | "notify" | probe', _ready, READY_PROBE), "started", "what makes it ready"),
    Key("health", Type("probe", _health, HEALTH_PROBE), None, "a probe that is repeated while it runs"),
    Key("watchdog", TIME, None, "it must send WATCHDOG=1 (sd_notify) at least this often"),
    Key("dump_signal", Type("signal", stop_signal), None, "sent before a task that hangs is stopped; default: none"),
    Key("essential", BOOLEAN, False, "/ready of the supervisor reports ready only while this task is well"),
    Key("limits", table(LIMITS), Limits(), "limits of what it may use"),
    Key(
        "no_new_privileges",
        BOOLEAN,
        False,
        "no program that it runs gains privileges (sudo); default: true with user or system_calls",
    ),
    Key(
        "capabilities",
        needs_root(CAPABILITIES_TYPE, "no such key"),
        None,
        "the capabilities it has; default: all for root, none for others",
    ),
    Key("private_tmp", _as_root(BOOLEAN), False, "a /tmp and a /var/tmp of each run's own, in memory"),
    Key("read_only", _as_root(_PLACES), (), "paths that it cannot write to"),
    Key("read_write", _as_root(_PLACES), (), "paths below those of read_only that it can write to"),
    Key("inaccessible", _as_root(_PLACES), (), "paths that it cannot see"),
    Key("network", _as_root(choice("host", "none")), "host", "none: only a loopback interface of its own"),
    Key("credentials", _as_root(CREDENTIALS), {}, "files that only it can read, in $CREDENTIALS_DIRECTORY"),
    Key("system_calls", SYSTEM_CALLS, (), "the system calls it may make; a leading ~ forbids one"),
    Key("schedule", SCHEDULE, None, "cron expressions at which it runs"),
    Key("timezone", TIMEZONE, None, "the time zone of the schedule; default: that of the host"),
    Key("every", EVERY, None, "the time from the end of a run to the start of the next"),
    Key("jitter", DURATION, 0.0, "a delay of each firing, up to this; always the same for this host and task"),
    Key("overlap", member(Overlap), Overlap.SKIP, "what happens to a firing while max_parallel runs are on"),
    Key("max_parallel", integer(1, 1000), 1, 'runs at the same time; default with overlap = "allow": 10'),
    Key("max_waiting", integer(1, 100_000), 100, "firings that wait; further ones are skipped and counted"),
    Key("catch_up", member(CatchUp), CatchUp.ONE, "which firings run that were missed while down, frozen or paused"),
    Key("catch_up_within", TIME, 86400.0, "firings that were missed by more than this are skipped and counted"),
    Key("pool", Type("string or table", _pool_share, POOL_SHARE), None, "the pool that each run needs a slot of"),
    Key("dedupe", TIME, 3600.0, "how long the key of supctl run --id stands for the first firing with it"),
    Key("expect", TIME, None, "unwell when no run has succeeded for so long"),
    Key("watch", table(WATCH, needed=("paths",)), None, "runs when matching files appear or change", _BY_HAND),
    Key("on", ON, (), "ends of runs of other tasks that fire it"),
    Key("retry", table(RETRY, needed=("attempts",)), None, "attempts per firing"),
    Key("log", table(LOG), Log(), "where its output goes"),
    Key("history", table(HISTORY), History(), "how many of its runs are kept"),
)

GROUP = keys(
    Key("tasks", names('["web", "import-*"]'), (), "members: names or globs"),
    Key("freeze", BOOLEAN, False, "true forbids new processes of its members"),
    Key("limits", table(GROUP_LIMITS), Limits(), "what all its members may use together"),
)

SUPERVISOR = keys(
    Key("name", NAME, None, "shown in status and process titles; default: the host name"),
    Key("freeze", BOOLEAN, False, "the switch: true forbids every new process"),
    Key("stop_grace", DURATION, 300.0, "the time for the whole stop; then all that is left is killed"),
    Key("runtime_dir", PATH, None, "socket and journal; default: /run/supervisor, or in $XDG_RUNTIME_DIR"),
    Key("state_dir", PATH, None, "history, freezes and firings; default: /var/lib/supervisor, or in $XDG_STATE_HOME"),
    Key("log_dir", PATH, None, "output of the tasks; default: /var/log/supervisor, or in $XDG_STATE_HOME"),
    Key("log_level", choice("debug", "info", "warning", "error"), "info", "how much the supervisor itself logs"),
    Key("socket_group", SYSTEM_GROUP, None, "the group that may use supctl; default: only root and the owner"),
    Key("socket_mode", octal("0660"), 0o660, "permissions of the socket"),
    Key("sample", Type("duration", _sample), 15.0, "the time between two samples of what runs use; 0: none"),
    Key(
        "auto_freeze",
        table(AUTO_FREEZE, needed=("failures", "within")),
        None,
        "this many failures of all tasks together freeze everything; default: never",
    ),
    Key("catch_up_parallel", integer(1, 1000), None, "runs at the same time that catch up; default: the processors"),
    Key("notify_command", COMMAND, (), "a command that gets each alert as a JSON object on stdin"),
    Key(
        "health_listen",
        type_of("HOST:PORT | unix:PATH", address),
        None,
        "the address of /live, /ready and /health for a load balancer; default: none",
    ),
    Key("drain_delay", DURATION, 0.0, "the time from not ready to the first stop signal of a shutdown"),
)

TOP = keys(
    Key(
        "include", listed(pattern, "paths", '["tasks.d/*.toml"]'), (), "files that may hold [task.*] and [group.*] only"
    ),
    Key("supervisor", table(SUPERVISOR), None, "the supervisor itself"),
    Key("defaults", table(TASK), None, "any key of a task; a task's own key wins"),
    Key(
        "group",
        Type("tables [group.NAME]", lambda value, _: value, GROUP),
        None,
        "tasks that are started, stopped and frozen together",
    ),
    Key("pool", Type("tables [pool.NAME]", lambda value, _: value, POOL), None, "slots that tasks share"),
    Key("task", Type("tables [task.NAME]", lambda value, _: value, TASK), None, "what is run"),
)
