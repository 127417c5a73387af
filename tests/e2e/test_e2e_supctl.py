"""supctl: exit codes 0 to 5, JSON as documented, and text for people."""

import json
import os
import signal
import subprocess

import pytest
from lab import PATIENCE, SUPCTL, Lab, Terminal, wait_for

from supervisor import verbs
from supervisor.cli.main import run

TASKS = """
[group.etl]
tasks = ["import"]
[task.web]
command = "sleep 1000"
replicas = 2
[task.db]
command = "sleep 1000"
[task.import]
kind = "triggered"
command = ["sh", "-c", 'echo "$DAY $*"; test $1 = good', "sh"]
log = { to = "./import.log", format = "raw" }
"""

SUPERVISOR_SHAPE = {
    "name": str,
    "pid": int,
    "version": str,
    "since": str,
    "state": str,
    "frozen": list,
    "holds": list,
    "config": dict,
    "helpers": list,
}
FREEZE_SHAPE = {"scope": str, "source": str, "by": str, "since": str, "until": (str, None), "reason": (str, None)}
CONFIG_SHAPE = {"path": str, "loaded": str, "error": (str, None)}
TASK_SHAPE = {
    "name": str,
    "task": str,
    "instance": int,
    "group": (str, None),
    "kind": str,
    "state": str,
    "wanted": bool,
    "pid": (int, None),
    "run": (str, None),
    "since": str,
    "uptime_s": (float, int, None),
    "restarts": int,
    "failures": int,
    "health": (str, None),
    "ready": bool,
    "says": (str, None),
    "paused": (dict, None),
    "why": str,
    "next": (dict, None),
    "last_exit": (dict, None),
    "cpu_percent": (float, None),
    "memory_bytes": (int, None),
    "processes": (int, None),
    "progress": (dict, None),
    "waiting": int,
    "lost_output": (dict, None),
}
NEXT_SHAPE = {"at": str, "what": str}
EXIT_SHAPE = {
    "at": str,
    "code": (int, None),
    "signal": (str, None),
    "core_dumped": bool,
    "reason": str,
    "duration_s": (float, int),
}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def check(value: dict, shape: dict) -> None:
    """The same keys, and each of an allowed type; null only where it is allowed."""
    assert list(value) == list(shape)
    for key, kinds in shape.items():
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        types = tuple(type(None) if kind is None else kind for kind in allowed)
        assert type(value[key]) in types, (key, value[key])


def test_status_json_has_the_documented_shape(lab: Lab) -> None:
    lab.start(
        TASKS
        + """
        [task.crash]
        command = "sh -c 'kill -SEGV $$'"
        backoff = { initial = "1m" }
        """
    )
    lab.until(name="crash", to="backoff")
    lab.up("web:1", "web:2", "db")
    lab.ctl("freeze", "db", "--for", "1h", "--reason", "tests")
    status = lab.ctl("status", "--json", code=3).json
    assert list(status) == ["supervisor", "tasks", "without_instances"]
    check(status["supervisor"], SUPERVISOR_SHAPE)
    check(status["supervisor"]["config"], CONFIG_SHAPE)
    check(status["supervisor"]["frozen"][0], FREEZE_SHAPE)
    by_name = {task["name"]: task for task in status["tasks"]}
    assert list(by_name) == ["web:1", "web:2", "db", "import", "crash"]
    for task in by_name.values():
        check(task, TASK_SHAPE)
    check(by_name["crash"]["next"], NEXT_SHAPE)
    check(by_name["crash"]["last_exit"], EXIT_SHAPE)
    assert by_name["crash"]["last_exit"]["signal"] == "SIGSEGV"
    assert by_name["crash"]["pid"] is None
    assert by_name["import"]["group"] == "etl"
    assert by_name["db"]["last_exit"] is None
    assert by_name["db"]["next"] is None
    assert json.dumps(status).count("Z") >= 8


WORDS = [
    (["status"], 0, "NAME"),
    (["status", "w*", "@etl", "db"], 0, "import"),
    (["status", "wbe"], 4, "supctl: no task 'wbe'; did you mean 'web'?"),
    (["status", "@elt"], 4, "no group '@elt'; did you mean '@etl'?"),
    (["status", "x*"], 4, "no task matches 'x*'"),
    (["start", "web"], 0, "web:1: running (pid "),
    (["start"], 2, "which tasks? Give a NAME, or --all"),
    (["stop", "nothing"], 4, "no task 'nothing'; see `supctl status`"),
    (["run", "db"], 1, "db is continuous, not triggered; use `supctl start`"),
    (["events", "--since", "zzz"], 2, "--since takes the cursor of an event, such as "),
    (["run", "import", "--env", "oops"], 2, "--env takes NAME=VALUE"),
    (["run", "import", "--", "bad"], 0, "import: run "),
    (["run", "import", "--wait", "--", "bad"], 1, "exit 1 after"),
    (["run", "import", "--wait", "--", "good"], 0, "exit 0 after"),
    (["signal", "NOPE", "db"], 2, "no signal 'NOPE'; see `kill -l`"),
    (["signal", "HUP", "import"], 1, "import: not running"),
    (["signal", "0", "db"], 2, "no signal '0'"),
    (["show", "nothing"], 4, "no task 'nothing'"),
    (["show", "db/99"], 4, "no run 'db/99'"),
    (["why", "db"], 0, "db is running since"),
    (["version"], 0, "supervisor "),
    (["statsu"], 2, "no verb 'statsu'; did you mean 'status'?"),
    (["qqq"], 2, "no verb 'qqq'; see `supctl --help`"),
    ([], 2, "required: VERB"),
    (["status", "--", "x"], 2, "status takes no words after --"),
    (["status", "--interval", "0"], 2, "--interval"),
    (["freeze", "--reason", "x" * 1001], 2, "at most 1000 characters"),
    (["status", "--socket", "/nowhere"], 5, "no supervisor at /nowhere: it is not running"),
    (["--socket", "/nowhere", "status"], 5, "no supervisor at /nowhere: it is not running"),
    (["--socket", "/nowhere", "version"], 0, "supervisor not reached"),
]


def test_messages_and_exit_codes(lab: Lab) -> None:
    """One supervisor for the whole table; each line leaves it as it was."""
    lab.start(TASKS)
    lab.up("web:1", "web:2", "db")
    for words, code, says in WORDS:
        answer = lab.ctl(*words, code=None)
        assert answer.code == code, (words, answer)
        assert says in (answer.out if code in (0, 3) or says in answer.out else answer.err), (words, answer)
        wait_for(lambda: lab.tasks()["import"]["state"] == "stopped")


def test_run_passes_variables_and_words(lab: Lab) -> None:
    lab.start(TASKS)
    odd = ["good", "two words", "--wait", "ünïcode", "$HOME", "*"]
    lab.ctl("run", "import", "--wait", "--env", "DAY=1=2", "--env", "OTHER=x", "--", *odd)
    log = lab.dir / "import.log"
    wait_for(lambda: log.exists() and log.read_text() == "1=2 " + " ".join(odd) + "\n")
    raw = subprocess.run(
        [*SUPCTL, "run", "import", "--wait", "--", "good", b"caf\xe9"],
        check=True, capture_output=True, env={**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)},
    )  # fmt: skip
    assert b"exit 0" in raw.stdout
    wait_for(lambda: log.read_bytes().endswith(b"good caf\xe9\n"))


def test_run_reports_a_failed_start_a_hold_and_a_run_in_progress(lab: Lab) -> None:
    (lab.dir / "there").mkdir()
    lab.start(
        """
        [task.gone]
        kind = "triggered"
        command = "true"
        directory = "there"
        [task.long]
        kind = "triggered"
        command = "sleep 1000"
        """
    )
    (lab.dir / "there").rmdir()
    assert "cannot start: chdir" in lab.ctl("run", "gone", code=1).out
    assert "long: run long:1/1@" in lab.ctl("run", "long").out
    assert "was skipped: run long:1/1@" in lab.ctl("run", "long", code=1).err
    lab.ctl("stop", "long")
    lab.ctl("freeze")
    held = lab.ctl("run", "long", "--json", code=3).json
    assert held["instances"][0]["outcome"] == "held"
    lab.ctl("thaw")
    lab.until(name="long", to="running", trigger="manual")


def test_signal_reaches_the_main_process(lab: Lab) -> None:
    lab.start(
        """
        [task.one]
        command = ["sh", "-c", "trap 'echo got it > mark' USR1; echo up > ready; while :; do sleep 0.02; done"]
        """
    )
    pid = lab.up("one")["one"]
    wait_for((lab.dir / "ready").exists)
    assert lab.ctl("signal", "usr1", "one").out == f"one: SIGUSR1 sent to pid {pid}\n"
    wait_for((lab.dir / "mark").exists)
    assert lab.until("signal")["names"] == ["one"]


def test_show_and_why(lab: Lab) -> None:
    lab.start('[task.web]\ncommand = "sleep 1000"\nenvironment = { SECRET = "hunter2" }')
    pid = lab.up("web")["web"]
    shown = lab.ctl("show", "web")
    assert f"has pid {pid}" in shown.out
    assert 'command              ["sleep", "1000"]' in shown.out
    assert "hunter2" not in shown.out + lab.ctl("show", "web", "--json").out
    assert 'SECRET = "hunter2"' in lab.ctl("show", "web", "--reveal").out
    assert "hunter2" not in lab.stderr + str(lab.events)
    assert f"as defined in {lab.path}:" in shown.out
    (one,) = lab.ctl("show", "web/1", "--json").json["instances"]
    check({key: one[key] for key in TASK_SHAPE}, TASK_SHAPE)
    assert one["definition"]["stop"] == {"signal": "SIGTERM", "grace": 10.0, "to": "group"}
    (why,) = lab.ctl("why", "web", "--json").json["instances"]
    assert why["why"] == one["explanation"] or why["name"] == "web"


@pytest.mark.parametrize("key", ["health", "ready"])
def test_show_masks_the_headers_of_a_probe(lab: Lab, key: str) -> None:
    """Their values come from the environment, as all secrets do."""
    probe = '{ http = "unix:none.sock", headers = { Authorization = "Bearer ${TOK}", X-One = "1" } }'
    lab.start(f'[task.web]\ncommand = "sleep 1000"\n{key} = {probe}', env={"TOK": "hunter2"})
    shown = lab.ctl("show", "web").out
    assert 'headers = { Authorization = "…", X-One = "…" }' in shown
    assert "hunter2" not in shown + lab.ctl("show", "web", "--json").out
    assert 'headers = { Authorization = "Bearer hunter2", X-One = "1" }' in lab.ctl("show", "web", "--reveal").out


def test_events(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    lab.up("a")
    wait_for(lambda: lab.ctl("events").out.count("@scribe") >= 4)
    every = [json.loads(line) for line in lab.ctl("events").out.splitlines()]
    events = [event for event in every if not event.get("task", "").startswith("@")]
    assert [event["event"] for event in events] == ["state", "ready", "state"]
    assert list(events[0]) == [
        "cursor", "at", "event", "name", "task", "instance", "run", "trigger", "pid", "from", "to", "why", "exit",
    ]  # fmt: skip
    assert events[0]["pid"] is None
    assert lab.ctl("events", "--since", every[-1]["cursor"]).out == ""
    assert lab.ctl("events", "--since", every[0]["cursor"]).out.count("\n") == len(every) - 1
    gap = json.loads(lab.ctl("events", "--since", "another.7").out.splitlines()[0])
    assert gap["event"] == "gap"
    with subprocess.Popen(
        [*SUPCTL, "events", "-f", "--since", every[-1]["cursor"]],
        stdout=subprocess.PIPE, env={**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)},
    ) as follower:  # fmt: skip
        assert follower.stdout
        lab.ctl("stop", "a")
        told = [json.loads(follower.stdout.readline()) for _ in range(4)]
        assert sorted(event.get("to") or event["outcome"] for event in told) == ["asked", "done", "stopped", "stopping"]
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE) == 130
    piped = subprocess.run(["sh", "-c", '"$@" | head -1', "sh", *SUPCTL, "events"], check=True, capture_output=True,
                           env={**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)})  # fmt: skip
    assert piped.stdout.count(b"\n") == 1
    assert piped.stderr == b""


def test_start_of_a_task_that_crashes_and_stop_of_a_stopped_task(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\nautostart = false')
    assert lab.ctl("stop", "a").out == "a: was not running\n"
    assert lab.ctl("start", "a", "--no-wait", "--json").json["instances"][0]["ok"] is True
    lab.until(name="a", to="running")
    assert "a: stopped (killed by SIGTERM after" in lab.ctl("stop", "a").out
    assert "stopped by" in lab.ctl("why", "a").out
    restarted = lab.ctl("restart", "a", "--json").json["instances"][0]
    assert list(restarted) == ["name", "outcome", "ok", "text", "run"]


def test_restart_makes_a_new_process(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\n[task.b]\ncommand = "sleep 1000"')
    old = lab.up("a", "b")
    lab.ctl("restart", "a")
    now = lab.tasks()
    assert now["a"]["pid"] not in (None, old["a"])
    assert now["b"]["pid"] == old["b"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_no_permission_and_not_running_have_different_messages(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"', 'socket_mode = "0600"')
    lab.dir.chmod(0o755)
    drop = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    loaded = "import supervisor.control.client; from supervisor.cli.main import main, parser; "
    loaded += "parser('status').parse_args(['status'])"  # all of it, while the interpreter's files may be read
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
    done = subprocess.run(
        [SUPCTL[0], "-c", f"{loaded}; {drop}; main()", "status"], check=False, capture_output=True, text=True, env=env
    )
    assert done.returncode == 5
    assert "no permission to talk to the supervisor at" in done.stderr


@pytest.mark.parametrize("verb", sorted(verbs.NAMES))
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run([verb, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert f"example:\n  supctl {verb}" in out
    assert "usage: supctl" in out


# -- on a terminal ----------------------------------------------------------------------------------------------------


def test_watch_shows_it_again(lab: Lab) -> None:
    lab.start(TASKS)
    lab.up("web:1", "web:2", "db")
    terminal = Terminal(lab, "status", "--watch", "--interval", "0.1")
    terminal.until(b"db")
    terminal.text = b""
    lab.ctl("stop", "db")
    terminal.until(b"stopped by")
    assert terminal.text.count(b"\033[H") >= 1
    assert terminal.end(signal.SIGINT) == 130


def test_a_wait_of_more_than_a_second_shows_what_it_waits_for(lab: Lab) -> None:
    lab.start(
        """
        [task.slow]
        command = ["sh", "-c", "trap '' TERM; echo up > ready; while :; do sleep 0.05; done"]
        stop = { grace = "1600ms" }
        """
    )
    lab.up("slow")
    wait_for((lab.dir / "ready").exists)
    terminal = Terminal(lab, "stop", "slow")
    terminal.until(b"stop: 1 s, waits for slow stopping (stop requested by ")
    terminal.until(b"slow: stopped (killed by SIGKILL")
    assert terminal.end() == 0


def test_colour_only_on_a_terminal_and_only_if_wanted(lab: Lab) -> None:
    lab.start(TASKS)
    lab.up("web:1", "web:2", "db")
    assert "\033" not in lab.ctl("status", env={"NO_COLOR": ""}).out
    terminal = Terminal(lab, "status")
    terminal.until(b"\033[32mrunning")
    assert terminal.end() == 0
    lab.env["NO_COLOR"] = "1"
    terminal = Terminal(lab, "status")
    terminal.until(b"import")
    assert b"\033[" not in terminal.text
    terminal.end()


# -- completion -------------------------------------------------------------------------------------------------------


def test_completion_in_bash(lab: Lab) -> None:
    """A real bash sources the script and completes words."""
    script = lab.dir / "completion.bash"
    script.write_text(lab.ctl("completion", "bash").out)
    ask = f"""
        source {script}
        complete_it() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_supctl; echo "${{COMPREPLY[*]}}"
        }}
        complete_it supctl st
        complete_it supctl pau
        complete_it supctl freeze --
        complete_it supctl --
    """
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    words = [line.split() for line in done.stdout.splitlines()]
    assert set(words[0]) == {"status", "start", "stop"}
    assert words[1] == ["pause"]
    assert {"--reason", "--for", "--json", "--socket"} <= set(words[2])
    assert "--socket" in words[3]


def test_completion_for_zsh_names_every_verb(lab: Lab) -> None:
    script = lab.ctl("completion", "zsh").out
    assert script.startswith("#compdef supctl")
    for verb in verbs.NAMES:
        assert verb in script
    assert "--reason" in script


def test_completion_without_shtab_names_the_missing_package(lab: Lab) -> None:
    (lab.dir / "shtab.py").write_text("raise ImportError")
    answer = lab.ctl("completion", "bash", code=1, env={"PYTHONPATH": f"{lab.dir}:{lab.env.get('PYTHONPATH', '')}"})
    assert "pip install 'supctl[completion]'" in answer.err
    assert answer.out == ""


def test_a_refused_request_changes_nothing(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    before = lab.up("a")
    for verb in ("stop", "restart", "start"):
        refused = lab.ask(verb, names=["a"], wait="x")
        assert refused["error"] == "'wait' must be true or false"
    assert lab.ask("scale", scales=["a=2"], wait="x")["exit"] == 2
    assert lab.ask("scale")["exit"] == 2
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before


def test_a_supervisor_that_is_stopped_by_a_signal_is_reported(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    os.kill(lab.pid, signal.SIGSTOP)
    try:
        said = lab.ctl("status", code=5)
    finally:
        os.kill(lab.pid, signal.SIGCONT)
    assert said.err == f"supctl: the supervisor (pid {lab.pid}) is stopped and does not answer; kill -CONT {lab.pid}\n"


def test_a_full_stdout_and_wrong_numbers_are_errors(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    lab.up("a")
    for words, what in (("logs a -n -5", "number"), ("runs -n 0", "count"), ("logs a -n x", "number")):
        assert f"invalid {what} value" in lab.ctl(*words.split(), code=2).err
    with open("/dev/full", "w") as full:
        said = subprocess.run(
            [*SUPCTL, "status"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)},
        )  # fmt: skip
    assert (said.returncode, said.stderr) == (1, "supctl: cannot write: No space left on device\n")
