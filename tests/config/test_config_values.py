"""Values that may be written, and the resulting definitions."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.config import duration_of, timing
from supervisor.config.schema import BACKOFF, GROUP, LIMITS, LOG, STOP, SUPERVISOR, TASK
from supervisor.config.task import FOREVER
from supervisor.core.definition import (
    Backoff,
    Config,
    GiveUp,
    Group,
    Kind,
    Limits,
    Log,
    Mode,
    Overlap,
    Probe,
    Restart,
    Retry,
    Settings,
    StopPolicy,
    Task,
    Timing,
)
from supervisor.core.immutable import names_of, plain

Good = Callable[..., Config]


def http(url: str, **others: object) -> dict[str, object]:
    """The values of an http probe, with the defaults."""
    return {"http": url, "status": (200, 399), "contains": None, "headers": {}, **others}


VALUES = [
    # what is written                                   field of Task           what it becomes
    ('kind = "startup"', "kind", Kind.STARTUP),
    ('kind = "triggered"', "kind", Kind.TRIGGERED),
    ("", "directory", None),
    ('directory = "bin"', "directory", "DIR/bin"),
    ('directory = "/tmp"', "directory", "/tmp"),
    ('directory = "./bin/.."', "directory", "DIR/./bin/.."),
    ('directory = "${NOWHERE:-/}"', "directory", "/"),
    ('group = "daemon"', "group", "daemon"),
    ('groups = ["daemon", "root"]', "groups", ("daemon", "root")),
    ("limits = { open_files = 10, core = 0, nice = -5 }", "limits", Limits(open_files=10, core=0, nice=-5)),
    ('limits = { cpu_affinity = "0", io_priority = "idle" }', "limits", Limits(cpu_affinity=(0,), io_priority="idle")),
    ("limits = { cpu_affinity = [0, 0], io_priority = 0 }", "limits", Limits(cpu_affinity=(0,), io_priority=0)),
    ("", "no_new_privileges", False),
    ('user = "root"', "no_new_privileges", True),
    ('user = "root"\nno_new_privileges = false', "no_new_privileges", False),
    ('system_calls = ["read", "~@clock"]', "no_new_privileges", True),
    ('system_calls = ["read", "~@clock"]', "system_calls", ("read", "~@clock")),
    ("", "capabilities", None),
    ("capabilities = []", "capabilities", ()),
    ('capabilities = ["chown", "CAP_KILL", "CHOWN"]', "capabilities", ("CAP_CHOWN", "CAP_KILL")),
    ('read_only = ["/", "bin", "-no"]', "read_only", ("/", "DIR/bin", "-DIR/no")),
    ('network = "none"', "network", "none"),
    ('credentials = { "a-b.c" = "c.toml" }', "credentials", {"a-b.c": "DIR/c.toml"}),
    ('umask = "022"', "umask", 0o22),
    ('umask = "0"', "umask", 0),
    ('environment = { A = "x", B = "" }', "environment", {"A": "x", "B": ""}),
    ('environment_file = ["-/no/such.env"]', "environment_file", ("-/no/such.env",)),
    ('environment_file = ["c.toml", "-c.toml"]', "environment_file", ("DIR/c.toml", "-DIR/c.toml")),
    ('stdin = "null"', "stdin", "null"),
    ("autostart = false", "autostart", False),
    ("replicas = 0", "replicas", 0),
    ("replicas = 1000", "replicas", 1000),
    ("freeze = true", "freeze", True),
    ('restart = "on-failure"', "restart", Restart.ON_FAILURE),
    ("", "restart", Restart.ALWAYS),
    ('kind = "startup"', "restart", Restart.NEVER),
    ('kind = "triggered"', "restart", Restart.NEVER),
    ('kind = "triggered"', "autostart", False),
    ('kind = "startup"', "autostart", True),
    ('kind = "triggered"\nautostart = false', "autostart", False),
    ('kind = "startup"', "mode", Mode.BLOCKING),
    ('kind = "startup"\nmode = "blocking"', "mode", Mode.BLOCKING),
    ('kind = "startup"\nmode = "background"', "mode", Mode.BACKGROUND),
    ('kind = "startup"\nmode = "foreground"', "mode", Mode.FOREGROUND),
    ('kind = "startup"\nrestart = "on-failure"', "restart", Restart.ON_FAILURE),
    ('kind = "triggered"\nautostart = true', "autostart", True),
    ("every = 1\nretry = { attempts = 3 }", "retry", Retry(3, Backoff(initial=1.0))),
    ("every = 1\nretry = { attempts = 1, backoff = { max = 5 } }", "retry", Retry(1, Backoff(initial=1.0, max=5.0))),
    ('kind = "startup"\nretry = { attempts = 3 }', "give_up", GiveUp(3, FOREVER)),
    ('kind = "startup"\nretry = { attempts = 3 }', "restart", Restart.ON_FAILURE),
    ('kind = "startup"\nretry = { attempts = 3 }', "backoff", Backoff(initial=1.0, reset_after=FOREVER)),
    ('success_exit = [0, 255, "TERM", "SIGINT"]', "success_exit", (0, 255, "SIGTERM", "SIGINT")),
    ("success_exit = []", "success_exit", ()),
    ('backoff = { initial = "1s" }', "backoff", Backoff(initial=1.0)),
    ("backoff = {factor=1, max=5, jitter=0, reset_after=0}", "backoff", Backoff(0.1, 1.0, 5.0, 0.0, 0.0)),
    ('give_up = { failures = 5, within = "1m" }', "give_up", GiveUp(5, 60.0)),
    ('on_give_up = "stay"', "on_give_up", "stay"),
    ('stop.signal = "QUIT"', "stop", StopPolicy(signal="SIGQUIT")),
    ('stop = { signal = "SIGKILL", to = "main" }', "stop", StopPolicy("SIGKILL", 10.0, "main")),
    ('start_timeout = "2m"', "start_timeout", 120.0),
    ('ready = "started"', "ready", "started"),
    ('ready = "notify"', "ready", "notify"),
    ('ready = { tcp = "h:1" }', "ready", Probe("tcp", {"tcp": "h:1"}, every=1.0, failures=0)),
    ('ready = { command = "run -x" }', "ready", Probe("command", {"command": ("run", "-x")}, every=1.0, failures=0)),
    (
        'health = { http = "http://${WHO}:80${SUPERVISOR_INSTANCE}/", every = "1m", timeout = 1, restart = false }',
        "health",
        Probe("http", http("http://world:80${SUPERVISOR_INSTANCE}/"), every=60.0, timeout=1.0, restart=False),
    ),
    (
        'health = { http = "unix:web.sock:/x", status = "200-204", contains = "ok", headers = { A = "${WHO}" } }',
        "health",
        Probe("http", http("unix:DIR/web.sock:/x", status=(200, 204), contains="ok", headers={"A": "world"})),
    ),
    ('health = { tcp = "unix:/run/x" }', "health", Probe("tcp", {"tcp": "unix:/run/x"})),
    ('watchdog = "30s"', "watchdog", 30.0),
    ('dump_signal = "QUIT"', "dump_signal", "SIGQUIT"),
    ("essential = true", "essential", True),
    ('log = { to = "none", stderr = "none" }', "log", Log("none", "none")),
    ('log.to = "inherit"', "log", Log("inherit")),
    ('log.to = "journal"', "log", Log("journal")),
    (
        'log = { format = "json", max_size = "1M", keep = 0, compress = false }',
        "log",
        Log(format="json", max_size=1 << 20, keep=0, compress=False),
    ),
    ('log.to = "./web.txt"', "log", Log("DIR/web.txt")),
    ('log.to = "${HOME}/web.txt"', "log", Log("/home/me/web.txt")),
]


@pytest.mark.parametrize(("line", "key", "expected"), VALUES)
def test_value(good: Good, place: os.PathLike[str], line: str, key: str, expected: object) -> None:
    task = good(f'[task.web]\ncommand = "run"\n{line}').tasks["web"]
    assert repr(getattr(task, key)).replace(str(place), "DIR") == repr(expected)


DURATIONS = [
    ('"250ms"', 0.25), ('"10s"', 10), ('"5m"', 300), ('"1h30m"', 5400), ('"2d"', 172800), ('"1.5s"', 1.5),
    ('"1d1h1m1s1ms"', 90061.001), ('"0s"', 0), ("0", 0), ("3", 3), ("0.5", 0.5), ('"3650d"', 315360000),
    ('"90m"', 5400),
]  # fmt: skip


@pytest.mark.parametrize(("written", "seconds"), DURATIONS)
def test_duration(good: Good, written: str, seconds: float) -> None:
    found = good(f'[task.web]\ncommand = "run"\nstop.grace = {written}').tasks["web"].stop.grace
    assert found == seconds
    assert isinstance(found, float)


@pytest.mark.parametrize(("typed", "seconds"), [("30m", 1800.0), ("90", 90.0), ("1.5", 1.5), ("250ms", 0.25)])
def test_duration_of_a_command_line(typed: str, seconds: float) -> None:
    assert duration_of(typed) == seconds


@pytest.mark.parametrize("typed", ["", "0", "0s", "-1", "x", "nan", "inf", "1e3", "4000d", "9" * 400, "٣s", "٣"])
def test_not_a_duration_of_a_command_line(typed: str) -> None:
    with pytest.raises(ValueError, match="; allowed: "):
        duration_of(typed)


def test_a_duration_of_a_command_line_is_shown_as_it_was_typed() -> None:
    with pytest.raises(ValueError, match=r"^0 is zero"):
        duration_of("0")


COMMANDS = [
    ('"run"', ("run",)),
    ('"run  a\\tb\\n c "', ("run", "a", "b", "c")),
    ("'''run 'a b' \"c d\" e\\ f'''", ("run", "a b", "c d", "e f")),
    ("""'run "|" a;b'""", ("run", "|", "a;b")),
    ('["run", "|", ">", ""]', ("run", "|", ">", "")),
    ('"run # no comment"', ("run", "#", "no", "comment")),
    ('"bin/run x"', ("bin/run", "x")),
    ('"run --queue=${WHO}"', ("run", "--queue=world")),
]


@pytest.mark.parametrize(("written", "words"), COMMANDS)
def test_command(good: Good, written: str, words: tuple[str, ...]) -> None:
    assert good(f"[task.web]\ncommand = {written}").tasks["web"].command == words


@pytest.mark.parametrize("written", ["mailer:main", "mailer.worker:main", "a.b.c:Class.method", "_x:_y"])
def test_python(good: Good, place: Path, written: str) -> None:
    (place / "mailer").mkdir()
    (place / "_x.py").touch()
    task = good(f'[task.web]\npython = "{written}"').tasks["web"]
    assert (task.python, task.command) == (written, ())


def test_a_task_of_two_lines_is_all_defaults(good: Good) -> None:
    assert good('[task.web]\ncommand = "run"').tasks == {"web": Task("web", command=("run",), where="c.toml:1")}


def test_equal_values_are_one_object(good: Good) -> None:
    tasks = good("".join(f'[task.t{i}]\ncommand = "run"\nstop.grace = 5\n' for i in range(3))).tasks
    assert tasks["t0"].stop is tasks["t1"].stop is tasks["t2"].stop
    assert tasks["t0"].backoff is tasks["t1"].backoff
    assert tasks["t0"].command[0] is tasks["t1"].command[0]


@pytest.mark.parametrize("text", ["[supervisor]\n", "[task]\n", "[group]\n", "include = []"])
def test_no_tasks_is_legal(good: Good, text: str) -> None:
    assert good(text).tasks == {}


def test_names(good: Good) -> None:
    names = ["web", "0", "_x", "a.b-c_D", "x" * 64]
    assert list(good("".join(f'[task."{name}"]\ncommand = "run"\n' for name in names)).tasks) == names


@pytest.mark.parametrize(
    ("table", "definition"),
    [
        (TASK, Task),
        (BACKOFF, Backoff),
        (STOP, StopPolicy),
        (LOG, Log),
        (LIMITS, Limits),
        (GROUP, Group),
        (SUPERVISOR, Settings),
    ],
)
def test_the_schema_agrees_with_the_definitions(table: dict[str, object], definition: type) -> None:
    """Each available key is a field with the same default. Each field is a key, except fields found elsewhere."""
    available = {key for key in table if not table[key].instead} - (set(timing.KEYS) if definition is Task else set())
    elsewhere = {"name", "where", "group_limits", "timing"}
    assert available | elsewhere == set(names_of(definition)) | elsewhere
    needed = {"name": None, "command": (), "tasks": ()} | dict.fromkeys(("runtime_dir", "state_dir", "log_dir"))
    made = definition(**{name: needed[name] for name in names_of(definition) if name in needed})
    assert {key: table[key].default for key in available} == {key: getattr(made, key) for key in available}


def test_the_keys_of_a_triggered_task_agree_with_its_timing() -> None:
    assert set(timing.KEYS) == set(names_of(Timing))
    shown = {key: TASK[key].default for key in timing.KEYS}
    assert shown | {"schedule": (), "timezone": ""} == plain(Timing())


def test_a_triggered_task_has_as_many_instances_as_runs_at_once(good: Good) -> None:
    task = good('[task.a]\ncommand = "run"\nschedule = "@daily"\noverlap = "allow"').tasks["a"]
    assert (task.kind, task.timing.max_parallel, task.replicas) == (Kind.TRIGGERED, 10, 10)
    task = good('[task.a]\ncommand = "run"\nevery = "30s"').tasks["a"]
    assert (task.timing.every, task.timing.overlap, task.replicas) == (30.0, Overlap.SKIP, 1)


def test_every_key_has_a_doc() -> None:
    for table in (TASK, BACKOFF, STOP, LOG, LIMITS, GROUP, SUPERVISOR):
        assert all(key.doc and "\n" not in key.doc and key.type.words for key in table.values())
