"""Reload: all or nothing, with a report, and only what changed. And other changes of the config file."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import SUPERVISOR, Lab

A = '[task.a]\ncommand = "sleep 1000"\n'
B = '[task.b]\ncommand = "sleep 1000"\n'


def test_only_what_changed_is_restarted(lab: Lab) -> None:
    rest = '[task.c]\ncommand = "sleep 1000"\n[task.d]\ncommand = "sleep 1000"\n'
    lab.start(A + B + rest)
    old = lab.up("a", "b", "c", "d")
    lab.write(
        A
        + B.replace("1000", "1001")
        + rest.replace("[task.d]", '[task.d]\nrestart = "on-failure"').replace("[task.c]", "[task.e]")
    )
    expected = "added: e\nremoved: c\nchanged: d (restart)\nrestarted: b (command)\nunchanged: 1 task"
    assert lab.ctl("reload", "--dry-run").out == expected + " (dry run)\n"
    assert {name: task["pid"] for name, task in lab.tasks().items()} == old
    assert lab.ctl("reload").out == expected + "\n"
    lab.until("reload")
    lab.until(name="b", to="stopping")
    lab.until(name="e", to="running")
    new = lab.up("a", "d", "e")
    assert "c" not in lab.tasks()
    assert (new["a"], new["d"]) == (old["a"], old["d"])
    lab._seen = 0
    assert lab.until(name="b", to="running", pid=old["b"])
    assert lab.until(name="b", to="running")["pid"] != old["b"]
    assert lab.ctl("reload").out == "unchanged: 4 tasks\n"


def test_the_json_of_a_reload(lab: Lab) -> None:
    lab.start(A)
    lab.write(B, 'socket_mode = "0600"')
    answer = lab.ctl("reload", "--dry-run", "--json").json
    assert answer == {
        "dry_run": True,
        "added": ["b"],
        "removed": ["a"],
        "changed": {},
        "restarted": {},
        "unchanged": [],
        "at_next_start": ["socket_mode"],
        "warnings": [],
    }
    assert "supervisor.socket_mode" in lab.ctl("reload").out


def test_sighup_reloads(lab: Lab) -> None:
    lab.start(A)
    pid = lab.up("a")["a"]
    lab.write(A + B)
    os.kill(lab.pid, signal.SIGHUP)
    assert lab.until("reload")["by"] == "SIGHUP"
    assert lab.up("b")
    assert lab.tasks()["a"]["pid"] == pid


def broken(path: Path) -> None:
    path.write_text(path.read_text().replace("command", "comand"))


def half(path: Path) -> None:
    path.write_text(path.read_text()[:-8])


def removed(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def huge(path: Path) -> None:
    path.write_text("# " + "x" * 10_000_000 + "\n[")


def binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00[")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [broken, half, removed, directory, huge, binary, link_to_itself, fifo])
def test_a_bad_config_changes_nothing_and_is_in_status(lab: Lab, spoil: Callable[[Path], None]) -> None:
    lab.start(A)
    pid = lab.up("a")["a"]
    spoil(lab.path)
    answer = lab.ctl("reload", code=1)
    assert "the config has errors, nothing was changed" in answer.err
    assert str(lab.path) in answer.err
    status = lab.ctl("status").out
    assert "the config has errors; the one loaded at" in status
    assert lab.ask("status")["answer"]["supervisor"]["config"]["error"]
    assert lab.tasks()["a"]["pid"] == pid
    if lab.path.is_dir():
        lab.path.rmdir()
    lab.write(A + B)
    assert "added: b" in lab.ctl("reload").out
    assert lab.ask("status")["answer"]["supervisor"]["config"]["error"] is None
    assert lab.tasks()["a"]["pid"] == pid


def test_a_bad_config_that_is_only_saved_is_reported(lab: Lab) -> None:
    lab.start(A, "freeze = true")
    lab.path.write_text("[nonsense")
    assert str(lab.path) in lab.until("config-error")["why"]
    assert lab.tasks()["a"]["state"] == "held"  # a file that cannot be read thaws nothing


def test_every_error_at_once_and_exit_78(lab: Lab) -> None:
    lab.write('[task.a]\ncomand = "x"\nreplicas = -1\n[task.b]\ncommand = "/no/such/program"\nafter = ["c"]')
    lab.start(wait=False)
    assert lab.expect_exit() == 78
    for word in ("comand", "replicas", "/no/such/program", '"c"'):
        assert word in lab.stderr, word
    check = lab.ctl("check", str(lab.path), code=1)
    assert len(check.err.splitlines()) == 5
    assert all(line.startswith(f"{lab.path}:") for line in check.err.splitlines())
    told = lab.ctl("check", str(lab.path), "--json", code=1).json
    assert told["ok"] is False
    assert [line for line in told["errors"] if line.endswith("[machine]")] == told["machine"]
    assert len(told["machine"]) == 1
    lab.start(wait=False, command=[*SUPERVISOR, "--check", "-c", str(lab.path)])
    assert lab.expect_exit() == 78


def test_a_directory_that_cannot_be_created_is_reported_by_check_and_start(lab: Lab) -> None:
    lab.path.write_text(f'[supervisor]\nruntime_dir = "{lab.run}"\nstate_dir = "/proc/s"\nlog_dir = "{lab.dir}"\n')
    assert 'state_dir: "/proc/s" cannot be used' in lab.ctl("check", str(lab.path), code=1).err
    lab.start(wait=False, command=[*SUPERVISOR, "--check", "-c", str(lab.path)])
    assert lab.expect_exit() == 78
    assert "supervisor: state_dir: " in lab.stderr
    lab.start()
    assert "warning: config: " in lab.stderr
    assert "supervisor: state_dir: cannot create the directory /proc/s" in lab.stderr


def test_check_of_a_good_config(lab: Lab) -> None:
    lab.write(A)
    assert lab.ctl("check", str(lab.path)).out == f"{lab.path}: ok, 1 task\n"
    assert lab.ctl("check", str(lab.path), "--json").json == {
        "ok": True,
        "path": str(lab.path),
        "tasks": ["a"],
        "errors": [],
        "machine": [],
        "warnings": [],
        "schedules": {},
    }
    lab.start(wait=False, command=[*SUPERVISOR, "--check"])  # finds ./supervisor.toml
    assert lab.expect_exit() == 0
    assert "supervisor.toml: ok, 1 task" in lab.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--version"], 0, "supervisor "),
        (["--help"], 0, "example"),
        (["--nonsense"], 2, "unknown argument"),
        (["-c"], 2, "needs a FILE"),
        (["-c", "missing.toml"], 78, "missing.toml"),
        ([], 78, "name one with -c FILE"),
    ],
)
def test_the_command_line_of_the_supervisor(lab: Lab, words: list[str], code: int, says: str) -> None:
    lab.start(wait=False, command=[*SUPERVISOR, *words])
    assert lab.expect_exit() == code
    assert says in lab.stdout + lab.stderr


def test_scale(lab: Lab) -> None:
    lab.start(A.replace("command", "replicas = 2\ncommand") + B)
    old = lab.up("a:1", "a:2")
    assert sorted(lab.ctl("scale", "a=4", "b=2").out.split(": ")[0::2])
    new = lab.tasks()
    assert {"a:1", "a:2", "a:3", "a:4", "b:1", "b:2"} == set(new)
    assert {name: new[name]["pid"] for name in old} == old
    assert lab.ctl("scale", "a=1").out == "a:2: removed\na:3: removed\na:4: removed\n"
    assert {"a", "b:1", "b:2"} == set(lab.tasks())
    assert lab.tasks()["a"]["pid"] == old["a:1"]
    assert "nothing to start or stop" in lab.ctl("scale", "a=1").out
    assert "unchanged: 2 tasks" in lab.ctl("reload").out
    assert {"a", "b:1", "b:2"} == set(lab.tasks())
    for wrong in ("a", "a=x", "a=-1", "a=1001", "a=²"):
        assert "N from 0 to 1000" in lab.ctl("scale", wrong, code=2).err
    assert "did you mean" in lab.ctl("scale", "aa=1", code=4).err


def test_scale_refuses_a_triggered_task(lab: Lab) -> None:
    lab.start(A + '[task.job]\ncommand = "true"\nkind = "triggered"\nmax_parallel = 2\n')
    lab.up("a")
    said = lab.ctl("scale", "a=3", "job=3", code=1).err
    assert "cannot scale job: it is a triggered task; change its max_parallel" in said
    assert list(lab.tasks()) == ["a", "job"], "neither is scaled"


def test_the_variables_of_scaled_instances(lab: Lab) -> None:
    lab.start("[task.a]\ncommand = \"sh -c 'echo $SUPERVISOR_INSTANCE >> who; exec sleep 1000'\"\nreplicas = 3")
    lab.up("a:1", "a:2", "a:3")
    assert sorted((lab.dir / "who").read_text().split()) == ["1", "2", "3"]
