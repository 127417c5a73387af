"""Every key of the config: its type, its default, one line of documentation. Read this to know what may be written.

The tables are data. `load` walks them, a test compares their defaults with the definitions, and the
reference for users is made from them. A key that has `instead` is part of the contract, is checked in full, and
is then refused, because this version does not have its machinery yet.
"""

from __future__ import annotations

import os

from supervisor.config.command import COMMAND, PYTHON
from supervisor.config.context import (
    CAPABILITIES_TYPE,
    CREDENTIALS,
    GROUP_OF_SYSTEM,
    SYSTEM_CALLS,
    group,
    needs_root,
    place,
)
from supervisor.config.cron import SCHEDULE, TIMEZONE
from supervisor.config.errors import Wrong
from supervisor.config.key import Key, Type, keys, table
from supervisor.config.limits import CPU_AFFINITY, IO_PRIORITY, at_least, below_hard, own_oom_score_adj
from supervisor.config.places import (
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
from supervisor.config.probe import HEADERS, HTTP, LISTEN, STATUS, TCP, TEXT, build, one_kind
from supervisor.config.quantity import DURATION, TIME, integer, number, octal, size
from supervisor.config.values import BOOLEAN, NAME, NAMES, choice, exit_status, listed, member, names, stop_signal
from supervisor.config.wording import show
from supervisor.config.world import Scope
from supervisor.core.definition import Backoff, History, Kind, Limits, Log, Probe, Restart, StopPolicy

_BY_HAND = 'available: kind = "triggered" and supctl run'

BACKOFF = keys(
    Key("initial", DURATION, 0.1, "the wait before the first restart"),
    Key("factor", number(1, 1000), 2.0, "each further wait is this many times the one before"),
    Key("max", DURATION, 60.0, "no wait is longer"),
    Key("jitter", number(0, 1), 0.1, "a random share of the wait, added or taken away"),
    Key("reset_after", DURATION, 10.0, "a run that lives this long starts the row afresh"),
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
    Key("signal", Type("signal", stop_signal), "SIGTERM", "the signal that asks for the end"),
    Key("grace", DURATION, 10.0, "the time until SIGKILL"),
    Key("to", choice("main", "group", "all"), "group", "the leader, its process group, or every process"),
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
    Key("max_size", size(least=4096), 10 << 20, "a larger file is rotated"),
    Key("keep", integer(0, 100_000), 10, "rotated files that are kept"),
    Key("compress", BOOLEAN, True, "whether rotated files are compressed"),
)

HISTORY = keys(
    Key("keep", integer(0, 1_000_000), 1000, "so many runs; 0: none"),
    Key("max_age", TIME, 90 * 86400.0, "and none that ended longer ago"),
)

READY_PROBE = keys(
    Key("http", HTTP, None, "a URL that must answer, or unix:PATH:/REQUEST"),
    Key("tcp", TCP, None, "HOST:PORT that must accept, or unix:PATH"),
    Key("command", COMMAND, None, "a command that must succeed"),
    Key("every", TIME, 1.0, "the time from an answer to the next question, ± 10 %"),
    Key("timeout", TIME, 2.0, "an answer that takes longer is a failure"),
    Key("successes", integer(1, 1000), 1, "this many good answers in a row make it ready, or well again"),
    Key("initial_delay", DURATION, 0.0, "the time before the first question"),
    Key("status", STATUS, (200, 399), "http: the statuses that are good"),
    Key("contains", TEXT, None, "http: what the body must contain"),
    Key("headers", HEADERS, None, "http: sent with the question"),
)

HEALTH_PROBE = READY_PROBE | keys(
    Key("every", TIME, 10.0, "the time from an answer to the next question, ± 10 %"),
    Key("failures", integer(1, 1000), 3, "this many bad answers in a row make it unwell"),
    Key("restart", BOOLEAN, True, "whether it is restarted when it is unwell"),
)

GROUP_LIMITS = keys(
    Key("memory", size(), None, "bytes of memory of the run; beyond them all of it is killed"),
    Key("cpu", number(0.01, 10_000), None, "processors that the run may keep busy"),
    Key("cpu_weight", integer(1, 10_000), None, "its share of busy processors; usual is 100"),
    Key("processes", integer(1, 4_194_304), None, "processes and threads of the run"),
    Key("io_weight", integer(1, 10_000), None, "its share of a busy disk; usual is 100"),
    Key("best_effort", BOOLEAN, False, "whether a limit that this machine cannot enforce may be left out"),
)

LIMITS = GROUP_LIMITS | keys(
    Key("open_files", below_hard("NOFILE", integer(8, 1_073_741_816)), None, "open files of a process"),
    Key("runtime", TIME, None, "the longest life of a run; then it is stopped, and has failed"),
    Key("core", below_hard("CORE", size(zero=True)), None, "bytes of a core dump"),
    Key("file_size", below_hard("FSIZE", size()), None, "bytes of a file that a process writes"),
    Key("stack", below_hard("STACK", size()), None, "bytes of the stack of a process"),
    Key("locked_memory", below_hard("MEMLOCK", size(zero=True)), None, "bytes that a process keeps from being swapped"),
    Key("cpu_time", below_hard("CPU", TIME), None, "the time that a process may compute; then it gets SIGXCPU"),
    Key("nice", at_least(lambda: os.getpriority(os.PRIO_PROCESS, 0), integer(-20, 19)), None, "the niceness"),
    Key("cpu_affinity", CPU_AFFINITY, (), "the processors that it may run on; default: all"),
    Key("io_priority", IO_PRIORITY, None, "its turn at the disk: 0 (first) to 7, or when nobody else wants it"),
    Key(
        "oom_score_adj", at_least(own_oom_score_adj, integer(-1000, 1000)), None, "how soon it dies when memory is out"
    ),
)

WATCH = keys(
    Key("paths", listed(path, "paths", '["inbox/*.csv"]', empty=False), None, "files or globs"),
    Key("settle", DURATION, None, "the time that a file must rest"),
)

RETRY = keys(
    Key("attempts", integer(1, 1000), None, "tries of a run"),
    Key("backoff", table(BACKOFF), None, "the waits between them"),
)


def _ready(value: object, scope: Scope) -> str | Probe:
    """What makes a task ready: that its program runs, that it says so, or a good answer."""
    if isinstance(value, dict):
        found = _READY.parse(value, scope)
        one_kind(found)
        return build(found, every=1.0, failures=0)
    if not isinstance(value, str):
        raise Wrong(f'{show(value)} is not a kind of readiness; allowed: "started", "notify", or a probe')
    return str(_WORDS.parse(value, scope))


def _sample(value: object, scope: Scope) -> float:
    """A duration of a second or more, or 0."""
    seconds: float = DURATION.parse(value, scope)
    if 0 < seconds < 1:
        raise Wrong(f'{show(value)} is too often; allowed: 0 (none), or "1s" and more')
    return seconds


def _health(value: object, scope: Scope) -> Probe:
    """A question that is put again and again."""
    found = _HEALTH.parse(value, scope)
    one_kind(found)
    return build(found)


_READY = table(READY_PROBE, one_of=("http", "tcp", "command"))
_WORDS = choice("started", "notify")
_HEALTH = table(HEALTH_PROBE, one_of=("http", "tcp", "command"))

_PLACES = listed(place, "paths", '["/srv", "-/mnt/data"]')


def _as_root(inner: Type) -> Type:
    """A key that needs root, whatever it says beside its default."""
    return needs_root(inner, "no such key", False, (), {}, "host")


TASK = keys(
    Key("kind", member(Kind), Kind.CONTINUOUS, "kept running, run by a trigger, or run once before the others"),
    Key("command", COMMAND, (), "what is run: a list of words, or a string split as a shell does; no shell runs"),
    Key("python", PYTHON, None, "instead of command: a callable, called in the forked child"),
    Key("directory", DIRECTORY, None, "where it runs; default: where the supervisor runs"),
    Key("user", USER, None, "as whom it runs; default: as the supervisor"),
    Key("group", _as_root(GROUP_OF_SYSTEM), None, "its group of the system; default: that of the user"),
    Key("groups", _as_root(listed(group, "groups of the system", '["adm"]')), (), "more groups of the system"),
    Key("umask", octal("022"), None, "the permission bits that new files lack; default: the supervisor's"),
    Key("environment", ENVIRONMENT, {}, "added to the supervisor's own"),
    Key(
        "environment_file",
        listed(environment_file, "paths", '["/etc/mailer.env"]'),
        (),
        'files of KEY=VALUE lines; a leading "-" means: may be missing',
    ),
    Key("inherit_environment", BOOLEAN, True, "whether it gets the supervisor's own environment"),
    Key("stdin", choice("null"), "null", "what it reads"),
    Key("autostart", BOOLEAN, True, "wanted up when the supervisor starts; a triggered task never is"),
    Key("replicas", integer(0, 1000), 1, "instances; each has SUPERVISOR_INSTANCE=1…n"),
    Key("freeze", BOOLEAN, False, "this task's own switch"),
    Key("after", NAMES, (), "start only once these are ready"),
    Key("requires", NAMES, (), "like after; and goes down with them, and comes back with them"),
    Key("restart", member(Restart), Restart.ALWAYS, 'triggered and startup tasks: "never"'),
    Key(
        "success_exit",
        listed(exit_status, "exit codes and signals", '[0, "SIGTERM"]'),
        (0,),
        "exit codes, and signal names, that count as success",
    ),
    Key("backoff", table(BACKOFF), Backoff(), "the waits before restarts"),
    Key("give_up", table(GIVE_UP, needed=("failures", "within")), None, "when to stop restarting; default: never"),
    Key(
        "on_give_up",
        choice("stay", "stop-group", "freeze", "shutdown"),
        "stay",
        "what else happens when a task is given up",
    ),
    Key("stop", table(STOP), StopPolicy(), "how a run is asked to end"),
    Key("start_timeout", TIME, 90.0, "the time to become ready; then it counts as failed"),
    Key("ready", Type('"started" | "notify" | probe', _ready, READY_PROBE), "started", "what makes it ready"),
    Key("health", Type("probe", _health, HEALTH_PROBE), None, "a question put to it again and again"),
    Key("watchdog", TIME, None, "it must send sd_notify WATCHDOG=1 this often"),
    Key("dump_signal", Type("signal", stop_signal), None, "sent when it hangs, before it is stopped; default: none"),
    Key("essential", BOOLEAN, False, "the supervisor's own /ready needs it to be well"),
    Key("limits", table(LIMITS), Limits(), "what it may use"),
    Key(
        "no_new_privileges",
        BOOLEAN,
        False,
        "no program that it runs gains any (sudo); default: true with user or system_calls",
    ),
    Key(
        "capabilities",
        needs_root(CAPABILITIES_TYPE, "no such key"),
        None,
        "exactly these; default: all for root, none for others",
    ),
    Key("private_tmp", _as_root(BOOLEAN), False, "a /tmp and a /var/tmp of each run's own, in memory"),
    Key("read_only", _as_root(_PLACES), (), "places that it cannot write to"),
    Key("read_write", _as_root(_PLACES), (), "places within read_only that it can"),
    Key("inaccessible", _as_root(_PLACES), (), "places that it cannot see"),
    Key("network", _as_root(choice("host", "none")), "host", "none: a loopback of its own, nothing else"),
    Key("credentials", _as_root(CREDENTIALS), {}, "files that only it can read, in $CREDENTIALS_DIRECTORY"),
    Key("system_calls", SYSTEM_CALLS, (), "what it may call; a ~ before what it may not"),
    Key("schedule", SCHEDULE, None, "cron expressions at which it runs", _BY_HAND),
    Key("timezone", TIMEZONE, None, "the zone of the schedule; default: the host's", _BY_HAND),
    Key("every", TIME, None, "the time from the end of a run to the start of the next", _BY_HAND),
    Key("jitter", DURATION, None, "a random delay of up to this, per firing", _BY_HAND),
    Key("overlap", choice("skip", "queue", "replace", "allow"), None, "a firing while a run is on", _BY_HAND),
    Key("catch_up", choice("none", "one", "all"), None, "firings missed while down or frozen", _BY_HAND),
    Key("watch", table(WATCH, needed=("paths",)), None, "runs when matching files appear or change", _BY_HAND),
    Key("retry", table(RETRY), None, "tries per run", 'available: restart = "on-failure" with backoff and give_up'),
    Key("log", table(LOG), Log(), "where its output goes"),
    Key("history", table(HISTORY), History(), "what is kept of its runs"),
)

GROUP = keys(
    Key("tasks", names('["web", "import-*"]'), (), "members: names or globs"),
    Key("freeze", BOOLEAN, False, "the switch of its members"),
    Key("limits", table(GROUP_LIMITS), Limits(), "what all its members may use together"),
)

SUPERVISOR = keys(
    Key("name", NAME, None, "shown in status and process titles; default: the host name"),
    Key("freeze", BOOLEAN, False, "the switch: true forbids every new process"),
    Key("stop_grace", DURATION, 300.0, "budget of the whole stop; what is left then is killed"),
    Key("runtime_dir", PATH, None, "the socket and the records; default: /run/supervisor, or in $XDG_RUNTIME_DIR"),
    Key("state_dir", PATH, None, "run history; default: /var/lib/supervisor, or in $XDG_STATE_HOME"),
    Key("log_dir", PATH, None, "output of the tasks; default: /var/log/supervisor, or in $XDG_STATE_HOME"),
    Key("log_level", choice("debug", "info", "warning", "error"), "info", "what the supervisor itself logs"),
    Key("socket_group", SYSTEM_GROUP, None, "who besides root may control; default: only the owner"),
    Key("socket_mode", octal("0660"), 0o660, "permissions of the socket"),
    Key("sample", Type("duration", _sample), 15.0, "the time between two samples of what runs use; 0: none"),
    Key(
        "auto_freeze",
        table(AUTO_FREEZE, needed=("failures", "within")),
        None,
        "so many failures of all tasks together freeze everything; default: never",
    ),
    Key("notify_command", COMMAND, (), "gets a JSON object on stdin when something happened that people must know"),
    Key("health_listen", LISTEN, None, "where /live, /ready and /health answer a load balancer; default: nowhere"),
    Key("drain_delay", DURATION, 0.0, "the time between not ready and the first stop signal of a shutdown"),
)

TOP = keys(
    Key(
        "include", listed(pattern, "paths", '["tasks.d/*.toml"]'), (), "files that may hold [task.*] and [group.*] only"
    ),
    Key("supervisor", table(SUPERVISOR), None, "the supervisor itself"),
    Key("defaults", table(TASK), None, "any key of a task; a task's own key wins"),
    Key("group", Type("tables [group.NAME]", lambda value, _: value, GROUP), None, "tasks that are handled together"),
    Key("task", Type("tables [task.NAME]", lambda value, _: value, TASK), None, "what is run"),
)
