"""`supctl run` and `supctl cancel` with the real programs: input, times, keys, and clients that are cut off."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from lab import PATIENCE, SUPCTL, Lab, wait_for

TASKS = """
[task.reads]
kind = "triggered"
command = ["sh", "-c", "wc -c > {dir}/count; wc -c < /dev/stdin >> {dir}/count; echo $SUPERVISOR_TRIGGER $A $* > {dir}/said", "sh"]
[task.waits]
kind = "triggered"
command = ["sh", "-c", "while ! [ -e {dir}/end ]; do sleep 0.02; done; exit 3"]
timezone = "Europe/Berlin"
schedule = "0 0 1 1 *"
"""  # noqa: E501


def begin(lab: Lab) -> Lab:
    return lab.start(TASKS.replace("{dir}", str(lab.dir)))


def supctl(lab: Lab, *words: str, **popen: object) -> "subprocess.Popen[str]":
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*SUPCTL, *words], env=env, **{**pipes, **popen})  # type: ignore[call-overload,no-any-return]


def run_of(lab: Lab, *words: str, code: int = 0) -> dict[str, str]:
    (one,) = lab.ctl("run", *words, "--json", code=code).json["instances"]
    return dict(one)


def end(lab: Lab) -> None:
    (lab.dir / "end").touch()


def test_a_run_reads_a_file_and_has_words_and_variables(lab: Lab) -> None:
    begin(lab)
    given = lab.dir / "given"
    given.write_bytes(os.urandom(3 << 20))
    lab.ctl("run", "reads", "--wait", "--stdin", str(given), "--env", "A=1 2", "--", "x", "y z")
    assert (lab.dir / "count").read_text().split() == [str(3 << 20), str(3 << 20)]
    assert (lab.dir / "said").read_text() == "manual 1 2 x y z\n"
    (kept,) = (lab.dir / "state" / "inputs").iterdir()
    assert kept.read_bytes() == given.read_bytes()


def test_a_run_reads_the_stdin_of_supctl(lab: Lab) -> None:
    begin(lab)
    asking = supctl(lab, "run", "reads", "--wait", "--stdin", "-", stdin=subprocess.PIPE)
    assert asking.communicate("12345", timeout=PATIENCE)[1] == ""
    assert asking.returncode == 0
    assert (lab.dir / "count").read_text().split() == ["5", "5"]
    lab.ctl("run", "reads", "--wait")
    assert (lab.dir / "count").read_text().split() == ["0", "0"]


def test_an_input_that_cannot_be_is_refused_at_once(lab: Lab) -> None:
    begin(lab)
    os.mkfifo(lab.dir / "fifo")
    with (lab.dir / "huge").open("wb") as file:
        file.truncate(1 << 30)
    for name, words in (
        ("nothing", "cannot read {}: No such file or directory"),
        (".", "{} is a directory"),
        ("fifo", "nobody writes to the FIFO {}"),
        ("huge", "{} has more than 64 MiB"),
    ):
        path = str(lab.dir / name)
        answer = lab.ctl("run", "reads", "--stdin", path, code=2)
        assert words.format(path) in answer.err
    with Path("/dev/zero").open("rb") as zeros:
        asking = supctl(lab, "run", "reads", "--stdin", "-", stdin=zeros)
        assert "more than 64 MiB" in asking.communicate(timeout=PATIENCE)[1]
    assert not (lab.dir / "count").exists()
    assert not lab.ctl("schedule", "--json").json["tasks"][0]["waiting"]


def test_a_request_without_its_descriptor_is_refused(lab: Lab) -> None:
    begin(lab)
    assert "no descriptor came with the request" in str(lab.ask("run", names=["reads"], stdin="x"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--at", "2020-01-01T10:00"], "is in the past, by "),
        (["--at", "2030-10-27T02:30"], "comes twice in Europe/Berlin; write 2030-10-27T02:30:00+02:00 or "),
        (["--at", "2030-03-31T02:30"], "does not exist in Europe/Berlin"),
        (["--at", "soon"], "is no time; allowed: "),
        (["--at", "2199-01-01T00:00"], "more than ten years away"),
        (["--in", "30"], "has no unit; write 30s"),
        (["--in", "-5s"], "expected one argument"),
        (["--id", "x" * 257], "--id takes 1 to 256 bytes; this one has 257"),
        (["--id", ""], "--id takes 1 to 256 bytes; this one has 0"),
        (["--in", "5s", "--at", "18:00"], "not allowed with argument"),
        (["--", *2 * ["x" * 120_000]], "words and variables take"),
    ],
)
def test_wrong_usage_exits_2_and_makes_no_firing(lab: Lab, words: list[str], says: str) -> None:
    begin(lab)
    assert says in lab.ctl("run", "waits", *words, code=2).err
    assert lab.tasks()["waits"]["state"] == "stopped"


def test_reply_to_is_refused(lab: Lab) -> None:
    begin(lab)
    assert "not available yet in this version" in lab.ctl("run", "waits", "--reply-to", "x", code=1).err


def test_a_run_at_a_local_time_is_kept_over_a_restart(lab: Lab) -> None:
    begin(lab)
    answer = run_of(lab, "waits", "--at", "2030-07-01T12:00")
    assert answer["text"] == "runs at 2030-07-01T10:00:00.000Z"
    lab.hang_up()
    lab.end()
    lab.start()
    shown = wait_for(lambda: (found := lab.ctl("schedule", "waits", "-n", "9").out) and "manual" in found and found)
    assert "2030-07-01" in shown
    assert "taken back" in lab.ctl("cancel", answer["firing"]).out
    assert "was skipped: cancelled by root" in lab.ctl("cancel", answer["firing"], code=1).err


def test_a_client_that_was_killed_waits_again_by_its_key(lab: Lab) -> None:
    begin(lab)
    asking = supctl(lab, "run", "waits", "--wait", "--id", "caf\udce9")
    lab.until(name="waits", to="running")
    asking.send_signal(signal.SIGKILL)
    asking.communicate(timeout=PATIENCE)
    again = supctl(lab, "run", "waits", "--wait", "--id", "caf\udce9")
    end(lab)
    out, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 1
    assert "waits: run waits:1/1@" in out
    assert "exit 3" in out
    over = run_of(lab, "waits", "--wait", "--id", "caf\udce9", code=1)
    assert (over["outcome"], over["firing"]) == ("failed", out.rpartition("firing ")[2].strip())


@pytest.mark.parametrize("how", ["upgrade", "kill"])
def test_a_client_that_waits_gets_the_end_over_an_upgrade_and_a_death(lab: Lab, how: str) -> None:
    begin(lab)
    asking = supctl(lab, "run", "waits", "--wait")
    lab.until(name="waits", to="running")
    lab.hang_up()
    if how == "upgrade":
        lab.ctl("upgrade")
        lab.follow()
    else:
        asking.send_signal(signal.SIGSTOP)  # it would give up before the next supervisor is up
        lab.end(signal.SIGKILL)
        lab.start()
        asking.send_signal(signal.SIGCONT)
    end(lab)
    out, err = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, err) == (1, "")
    assert "waits: run waits:1/1@" in out


def test_a_client_of_a_dead_supervisor_is_told_how_to_wait_again(lab: Lab) -> None:
    begin(lab)
    asking = supctl(lab, "run", "waits", "--wait")
    lab.until(name="waits", to="running")
    lab.hang_up()
    lab.end(signal.SIGKILL)
    _, err = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 5
    firing = err.rpartition("`supctl ticket ")[2].partition("`")[0]
    lab.start()
    end(lab)
    assert "exit 3" in lab.ctl("ticket", firing, code=1).out


def test_cancel_ends_a_run(lab: Lab) -> None:
    begin(lab)
    run = run_of(lab, "waits")["run"]
    lab.ctl("cancel", run)
    assert lab.tasks()["waits"]["state"] == "stopped"
    assert "cancelled by root" in lab.ctl("runs", "waits", "--json").out
    assert "is over since" in lab.ctl("cancel", run, code=1).err
    assert "is known (any more)" in lab.ctl("cancel", "waits:1/99@nope", code=4).err
    assert "is known (any more)" in lab.ctl("cancel", "caf\udce9/\udcff", code=4).err


def test_a_run_is_skipped_while_another_is_on(lab: Lab) -> None:
    begin(lab)
    run = run_of(lab, "waits")["run"]
    assert f"run {run} was still on" in lab.ctl("run", "waits", code=1).err


def test_a_schedule_is_not_disturbed_by_inputs_that_nobody_reads(lab: Lab) -> None:
    """@timekeeper removes what belongs to no firing, once it is old."""
    begin(lab)
    (lab.dir / "given").write_text("x")
    lab.ctl("run", "reads", "--wait", "--stdin", str(lab.dir / "given"))
    folder = lab.dir / "state" / "inputs"
    for name, age in (("old", 7200), ("new", 0)):
        (folder / name).touch()
        seconds = (folder / name).stat().st_mtime - age
        os.utime(folder / name, (seconds, seconds))
    lab.ctl("run", "reads", "--wait", "--stdin", str(lab.dir / "given"))
    wait_for(lambda: not (folder / "old").exists(), "it is removed")
    assert (folder / "new").exists()
    assert len(list(folder.iterdir())) == 3


def test_a_request_that_makes_no_firing_leaves_no_input(lab: Lab) -> None:
    lab.start(TASKS.replace("{dir}", str(lab.dir)) + "max_waiting = 1\n")
    (lab.dir / "given").write_text("x")
    words = ("waits", "--in", "1d", "--stdin", str(lab.dir / "given"))
    first = run_of(lab, *words, "--id", "a")
    for _ in range(4):
        assert "1 firings by hand wait already (max_waiting)" in lab.ctl("run", *words, code=1).err
    lab.ctl("cancel", first["firing"])
    second = run_of(lab, *words[:3], "--id", "b")
    for _ in range(3):
        lab.ctl("run", "waits", "--id", "a", "--stdin", str(lab.dir / "given"), code=1)
    folder = lab.dir / "state" / "inputs"
    names = {first["firing"].replace("/", ".")}
    wait_for(lambda: {path.name for path in folder.iterdir()} == names, f"only {names} are left")
    assert second["firing"] != first["firing"]
