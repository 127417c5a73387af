"""Something that is missing on the machine at a start affects only the task that needs it, until it exists."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import SUPERVISOR, Lab, wait_for
from test_e2e_balancer import Balancer, free_port

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

OTHER = '[task.other]\ncommand = "sleep 1000"\n'
SOON = 'backoff = { initial = "50ms", max = "200ms" }\n'


def program(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".new").write_text("#!/bin/sh\nexec sleep 1000\n")
    path.with_suffix(".new").chmod(0o755)
    path.with_suffix(".new").rename(path)


def module(path: Path) -> None:
    path.mkdir()
    (path / "late.py").write_text("def main(stop):\n    stop.wait()\n")


SLEEP = 'command = "sleep 1000"'

CASES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "a command": ('command = "late/tool"', "exec late/tool: No such file", lambda lab: program(lab / "late/tool")),
    "a command of PATH": (
        'command = "late-tool"\nenvironment = { PATH = "/bin:LAB/late" }',
        "exec late-tool: No such file",
        lambda lab: program(lab / "late/late-tool"),
    ),
    "a directory": (f'{SLEEP}\ndirectory = "late"', "chdir LAB/late: No such file", lambda lab: (lab / "late").mkdir()),
    "a directory of a relative program": (
        'command = "./tool"\ndirectory = "late"',
        "chdir LAB/late: No such file",
        lambda lab: program(lab / "late/tool"),
    ),
    "an environment file": (
        f'{SLEEP}\nenvironment_file = ["late"]',
        "read environment_file LAB/late: No such file",
        lambda lab: (lab / "late").touch(),
    ),
    "a module": (
        'python = "late:main"\ndirectory = "late"',
        "chdir LAB/late: No such file",
        lambda lab: module(lab / "late"),
    ),
}

AS_ROOT: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "a place": (f'{SLEEP}\nread_only = ["late"]', "LAB/late", lambda lab: (lab / "late").mkdir()),
    "a credential": (f'{SLEEP}\ncredentials = {{ key = "late" }}', "LAB/late", lambda lab: (lab / "late").touch()),
}


def start_and_wait(lab: Lab, lines: str, why: str, **how: object) -> None:
    """Starts a supervisor over a task that cannot start now, and over another one."""
    text = lines.replace("LAB", str(lab.dir))
    lab.start(f"[task.late]\n{text}\n{SOON}{OTHER}", **how)
    lab.up("other")
    wait_for(lambda: lab.tasks()["late"]["failures"] >= 2, "it is tried again")
    reason = lab.tasks()["late"]["last_exit"]["reason"]
    assert reason.startswith("cannot start: "), reason
    assert why.replace("LAB", str(lab.dir)) in reason
    assert reason in lab.ctl("why", "late").out
    wait_for(
        lambda: lab.ctl("status", code=3).out.count("cannot start: ") == 1,
        "between two attempts, status has the reason once",
    )


@pytest.mark.parametrize(("lines", "why", "make"), CASES.values(), ids=CASES)
def test_only_the_task_that_needs_it_waits(lab: Lab, lines: str, why: str, make: Callable[[Path], object]) -> None:
    start_and_wait(lab, lines, why)
    assert "warning: config: " in lab.stderr
    make(lab.dir)
    wait_for(lambda: lab.tasks()["late"]["state"] == "running", "it has started")


@needs_root
@pytest.mark.parametrize(("lines", "why", "make"), AS_ROOT.values(), ids=AS_ROOT)
def test_a_key_that_needs_root(lab: Lab, lines: str, why: str, make: Callable[[Path], object]) -> None:
    start_and_wait(lab, lines, why)
    make(lab.dir)
    wait_for(lambda: lab.tasks()["late"]["state"] == "running", "it has started")


@needs_root
@pytest.mark.parametrize(
    ("key", "file", "line", "why"),
    [
        ("user", "passwd", "late-user:x:65533:65534::/:/bin/sh", "no user 'late-user'"),
        ("group", "group", "late-group:x:65533:", "late-group"),
    ],
)
def test_a_missing_user_and_a_missing_group(lab: Lab, key: str, file: str, line: str, why: str) -> None:
    """The user names of this supervisor come from its own file, in its own mount namespace."""
    names = lab.dir / file
    shutil.copy(f"/etc/{file}", names)
    enter = f'mount --bind {names} /etc/{file} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", enter, "sh", *SUPERVISOR, "-c", str(lab.path)]
    start_and_wait(lab, f'{SLEEP}\n{key} = "late-{key}"', why, command=command)
    with names.open("a") as end:
        end.write(f"{line}\n")
    wait_for(lambda: lab.tasks()["late"]["state"] == "running", "it has started")
    status = Path(f"/proc/{lab.tasks()['late']['pid']}/status").read_text()
    assert ("Uid:\t65533" if key == "user" else "Gid:\t65533") in status


def test_a_start_up_task_whose_program_is_missing(lab: Lab) -> None:
    """All other tasks wait for it, and /ready names it. It has never run, so `restart = "never"` does not apply."""
    balancer = Balancer(free_port())
    tasks = f'[task.migrate]\nkind = "startup"\ncommand = ["late/tool"]\n{SOON}{OTHER}'
    lab.start(tasks, f'health_listen = "127.0.0.1:{balancer.port}"')
    wait_for(lambda: lab.tasks()["migrate"]["failures"] >= 2, "it is tried again")
    wait_for(lambda: balancer.status() == 503)
    assert "start-up task migrate has not succeeded: cannot start: exec late/tool" in balancer.get("/ready")[1]
    assert lab.tasks()["other"]["state"] == "held"
    (lab.dir / "late").mkdir()
    (lab.dir / "late/tool").symlink_to("/bin/true")
    lab.up("other")
    wait_for(lambda: balancer.status() == 200)


def test_a_program_that_vanishes_under_a_running_task(lab: Lab) -> None:
    """The next supervisor adopts them, and a reload of another task is not refused for it."""
    (lab.dir / "late").mkdir()
    tasks = f'[task.web]\ncommand = "sleep 1000"\ndirectory = "late"\n{SOON}{OTHER}'
    lab.start(tasks)
    pids = lab.up("web", "other")
    lab.end(signal.SIGKILL)
    (lab.dir / "late").rename(lab.dir / "gone")
    lab.start()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == pids

    lab.write(tasks.replace("[task.other]\n", '[task.other]\nenvironment = { A = "b" }\n'))
    what = f'task "web": directory: "{lab.dir}/late" does not exist'
    for words in (["reload", "--dry-run"], ["reload"]):
        answer = lab.ctl(*words)
        assert answer.err.startswith("warning: ")
        assert what in answer.err
        assert "restarted: other (environment)" in answer.out
    assert lab.ctl("check", str(lab.path), code=1).err.rstrip().endswith("[machine]")

    lab.write(tasks.replace("[task.web]\n", '[task.web]\nenvironment = { A = "b" }\n'))
    for words in (["reload", "--dry-run"], ["reload"]):
        assert what in lab.ctl(*words, code=1).err
    assert lab.tasks()["web"]["pid"] == pids["web"]
    assert what in lab.ask("status")["answer"]["supervisor"]["config"]["error"]
    (lab.dir / "gone").rename(lab.dir / "late")
    assert "restarted: web (environment)" in lab.ctl("reload").out


def test_a_changed_definition_that_cannot_start_stops_no_living_task(lab: Lab) -> None:
    """As at a reload: the last good config stays in force."""
    lab.start(OTHER)
    pids = lab.up("other")
    lab.end(signal.SIGKILL)
    lab.write(OTHER.replace("sleep", "no-such-sleep"))
    lab.start()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == pids
    told = lab.ask("status")["answer"]["supervisor"]["config"]["error"]
    assert '"no-such-sleep" is not found in PATH' in told


def test_an_upgrade_is_not_refused_for_a_missing_program(lab: Lab) -> None:
    """An upgrade changes no task: the new version would find the same machine."""
    lab.start(f'[task.late]\ncommand = "late/tool"\n{SOON}{OTHER}')
    pid = lab.up("other")["other"]
    lab.ctl("upgrade")
    assert lab.tasks()["other"]["pid"] == pid


def test_a_missing_socket_group(lab: Lab) -> None:
    """Then only the owner and root may control; the tasks run."""
    lab.start(OTHER, 'socket_group = "no-such-group"')
    lab.up("other")
    assert 'socket_group: there is no group "no-such-group"' in lab.stderr
    lab.write(OTHER + '[task.new]\ncommand = "sleep 1000"\n', 'socket_group = "no-such-group"')
    assert "added: new" in lab.ctl("reload").out


@needs_root
def test_a_disk_that_came_up_read_only(lab: Lab) -> None:
    """The tasks run. Output and history are written as soon as the disk is writable."""
    disk = lab.dir / "disk"
    disk.mkdir()
    enter = f'mount --bind {disk} {disk} && mount -o remount,bind,ro {disk} && exec "$@"'
    text = lab.text(
        f'[task.web]\ncommand = ["sh", "-c", "echo hello; exec sleep 1000"]\nlog = {{ to = "file" }}\n{SOON}'
    )
    lab.path.write_text(text.replace(f"{lab.dir}/state", f"{disk}/state").replace(f"{lab.dir}/log", f"{disk}/log"))
    lab.start(command=["unshare", "-m", "sh", "-c", enter, "sh", *SUPERVISOR, "-c", str(lab.path)])
    lab.up("web")
    for key in ("state_dir", "log_dir"):
        assert f"supervisor: {key}: cannot create the directory {disk}/" in lab.stderr
    inside = ["nsenter", "-t", str(lab.pid), "-m", "mount", "-o", "remount,bind,rw", str(disk)]
    subprocess.run(inside, check=True)
    lab.ctl("restart", "web")
    wait_for(lambda: (disk / "log/web.log").exists() and "hello" in (disk / "log/web.log").read_text())
    wait_for((disk / "state/history.db").exists, "the history is written")


def test_a_missing_interpreter_is_named(lab: Lab) -> None:
    """The interpreter in the first line of a script may be missing as well; that shows only at the start."""
    script = lab.dir / "script"
    script.write_text(f"#!{lab.dir}/late/python\nimport time\ntime.sleep(1000)\n")
    script.chmod(0o755)
    start_and_wait(lab, 'command = "./script"', "the interpreter in its first line does not exist")
    (lab.dir / "late").mkdir()
    (lab.dir / "late/python").symlink_to(sys.executable)
    wait_for(lambda: lab.tasks()["late"]["state"] == "running", "it has started")


def test_a_log_whose_directory_is_missing(lab: Lab) -> None:
    """No task stops for its log. Output that cannot be written is counted and shown; then the file is created."""
    (lab.dir / "late").touch()  # a file in the place of a directory
    say = '["sh", "-c", "while :; do echo hello; sleep 0.1; done"]'
    lab.start(f'[task.web]\ncommand = {say}\nlog = {{ to = "late/web.log" }}\n{OTHER}')
    lab.up("web", "other")
    assert f'task "web": log.to: "{lab.dir}/late" is not a directory' in lab.stderr
    assert "Not a directory" in wait_for(lambda: lab.tasks()["web"]["lost_output"])["why"]
    (lab.dir / "late").unlink()
    log = lab.dir / "late/web.log"
    wait_for(lambda: log.exists() and log.read_text().count("hello") > 2, "the file is made")
    assert "are missing here: Not a directory" in log.read_text()
