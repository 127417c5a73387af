"""kill -9 of the supervisor and of @timekeeper while a schedule fires each second: no firing is lost or doubled.

Each run appends its due time to a file, so the file shows what really ran. The store shows what was skipped, and why.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from e2e.lab import Lab, wait_for
from kill.test_kill_at_every_step import HERE

TASKS = """
[task.tick]
command = ["sh", "-c", "echo $SUPERVISOR_DUE >> {dir}/ran; sleep 0.2"]
schedule = "* * * * * *"
overlap = "allow"
max_parallel = 3
catch_up = "all"
"""


def ran(lab: Lab) -> list[int]:
    """The due times of the runs, in seconds since 1970."""
    path = lab.dir / "ran"
    lines = path.read_text().split() if path.exists() else []
    return [round(datetime.fromisoformat(line).timestamp()) for line in lines]


def over(lab: Lab) -> dict[int, str]:
    """How each firing has ended, by its due time."""
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(f"file:{lab.dir}/state/firings.db?mode=ro&immutable=0", uri=True)
        rows = connection.execute("SELECT due, run, reason FROM over").fetchall()
        connection.close()
        return {round(due): ("ran" if run else "skipped") + f": {reason}" for due, run, reason in rows}
    return {}


def waiting(lab: Lab) -> set[int]:
    """The due times of the firings that wait for the next start."""
    with sqlite3.connect(f"file:{lab.dir}/state/firings.db?mode=ro", uri=True) as connection:
        found = {round(due) for (due,) in connection.execute("SELECT due FROM firings WHERE run IS NULL")}
    connection.close()
    return found


def stopped(lab: Lab) -> dict[int, str]:
    """End it in order, and return how each firing has ended."""
    lab.hang_up()
    assert lab.end() == 0, lab.stderr
    return over(lab)


def check(lab: Lab) -> None:
    """Every second from the first to the last has ended once."""
    lab.start()
    enough = len(ran(lab)) + 3
    wait_for(lambda: len(ran(lab)) >= enough, "it fires again")
    ended, lines = stopped(lab), ran(lab)
    assert len(lines) == len(set(lines)), f"doubled: {sorted(lines)}"
    missing = set(range(min(ended), max(ended) + 1)) - set(ended) - waiting(lab)
    assert not missing, f"lost: {missing}; {ended}"
    for due, how in ended.items():
        cut_off = how.startswith("ran: interrupted")  # by the shutdown here, perhaps before it wrote its line
        assert how.startswith("skipped") or cut_off or due in lines, f"{due}: {how}, but it did not run"
    assert sum(how.startswith("ran: interrupted") for how in ended.values()) <= 3, ended


STEPS = [f"send:{when}:{n}" for when in ("before", "after") for n in (1, 2, 3, 5)]
STEPS += [f"{step}:{when}:{n}" for step in ("fork", "go", "remember") for when in ("before", "after") for n in (4,)]


@pytest.mark.parametrize("step", STEPS)
def test_the_supervisor_dies_at_a_step(lab: Lab, step: str) -> None:
    lab.write(TASKS.replace("{dir}", str(lab.dir)))
    lab.start(wait=False, command=[sys.executable, str(HERE / "dying.py"), "-c", str(lab.path)], env={"DIE_AT": step})
    assert lab.process
    assert lab.expect_exit() == -signal.SIGKILL, f"never came to {step}"
    check(lab)


BY_HAND = """
[task.job]
kind = "triggered"
command = ["sh", "-c", "echo $KEY >> {dir}/ran; sleep 0.1"]
overlap = "queue"
"""

STEPS_BY_HAND = [f"send:{when}:{n}" for when in ("before", "after") for n in (2, 3, 4)]
STEPS_BY_HAND += [f"{step}:{when}:3" for step in ("fork", "go") for when in ("before", "after")]
STEPS_BY_HAND += [f"remember:{when}:{n}" for when in ("before", "after") for n in (8, 9, 10, 11, 12)]


def asked(lab: Lab, key: str) -> int:
    """Ask for a run of this key, and return the exit code of supctl."""
    return lab.ctl("run", "job", "--wait", "--id", key, "--env", f"KEY={key}", code=None).code


@pytest.mark.parametrize("step", STEPS_BY_HAND)
def test_the_supervisor_dies_at_a_step_of_a_run_by_hand(lab: Lab, step: str) -> None:
    """A client that asks again with its key gets one run for each key, whether or not it was answered before."""
    lab.write(BY_HAND.replace("{dir}", str(lab.dir)))
    lab.start(wait=False, command=[sys.executable, str(HERE / "dying.py"), "-c", str(lab.path)], env={"DIE_AT": step})
    assert lab.process
    keys = ["k0"]
    while lab.process.poll() is None and len(keys) < 20:
        keys += [f"k{len(keys)}"] if asked(lab, keys[-1]) == 0 else []
    assert lab.expect_exit() == -signal.SIGKILL, f"never came to {step}"
    lab.start()
    for key in keys:
        asked(lab, key)
    assert sorted((lab.dir / "ran").read_text().split()) == sorted(keys)


def test_both_die_between_a_skip_and_its_commit(lab: Lab) -> None:
    """The history has the skip already. So the firing never runs, although nothing is in its way any more."""
    held = '["sh", "-c", "echo $KEY >> {dir}/ran; while ! [ -e {dir}/end ]; do sleep 0.02; done"]'
    lab.start(f'[task.job]\nkind = "triggered"\ncommand = {held}\n'.replace("{dir}", str(lab.dir)))
    lab.ctl("run", "job", "--env", "KEY=first")
    later = lab.ctl("run", "job", "--in", "1s", "--env", "KEY=later", "--json").json["instances"][0]["firing"]
    pid = wait_for(lambda: lab.helper("timekeeper"), "@timekeeper is there")
    os.kill(pid, signal.SIGSTOP)
    lab.until("skipped", task="job")
    lab.hang_up()
    lab.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    (lab.dir / "end").touch()
    lab.start()
    assert "was skipped: run job:1/1@" in lab.ctl("ticket", later, code=1).out
    assert lab.ctl("run", "job", "--wait", "--env", "KEY=third").code == 0
    assert (lab.dir / "ran").read_text().split() == ["first", "third"]
    assert len(lab.ctl("runs", "job", "--skipped", "--json").json["runs"]) == 1


def test_timekeeper_dies_while_clients_ask(lab: Lab) -> None:
    lab.start(BY_HAND.replace("{dir}", str(lab.dir)))
    chance = random.Random(3)
    for number in range(12):
        pid = wait_for(lambda: lab.helper("timekeeper"), "@timekeeper is there")
        if number % 2:
            signal.sigtimedwait([], chance.random() * 0.05)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert asked(lab, f"k{number}") == 0
    assert (lab.dir / "ran").read_text().split() == [f"k{number}" for number in range(12)]


@pytest.mark.parametrize("seed", [1, 2])
def test_both_die_at_random(lab: Lab, seed: int) -> None:
    """The moments are drawn. With a burst of firings in between, each of the steps is hit by some of them."""
    chance = random.Random(seed)
    lab.start(TASKS.replace("{dir}", str(lab.dir)))
    for _ in range(8):
        before = len(ran(lab))
        wait_for(lambda before=before: len(ran(lab)) > before, "it fires")
        signal.sigtimedwait([], chance.random() * 1.2)  # so that the kill is at any moment of a second
        if chance.random() < 0.5 and (pid := lab.helper("timekeeper")):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            lab.hang_up()
            lab.end(signal.SIGKILL)
            lab.start()
    lab.hang_up()
    lab.end(signal.SIGKILL)
    check(lab)


RETRIED = """
[task.tick]
command = ["sh", "-c", "echo $SUPERVISOR_DUE/$SUPERVISOR_ATTEMPT >> {dir}/ran; sleep 0.1; exit 1"]
schedule = "*/2 * * * * *"
overlap = "queue"
catch_up = "all"
retry = { attempts = 3, backoff = { initial = "200ms", jitter = 0 } }
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_each_attempt_is_one_run_whatever_dies(lab: Lab, seed: int) -> None:
    """Each run fails. So each firing that is over has had three runs, number 1, 2 and 3."""
    chance, file = random.Random(seed), lab.dir / "ran"
    lab.start(RETRIED.replace("{dir}", str(lab.dir)))

    def lines() -> list[str]:
        return file.read_text().split() if file.exists() else []

    for _ in range(5):
        before = len(lines())
        wait_for(lambda before=before: len(lines()) > before, "it fires")
        signal.sigtimedwait([], chance.random() * 0.8)
        if chance.random() < 0.5 and (pid := lab.helper("timekeeper")):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            lab.hang_up()
            lab.end(signal.SIGKILL)
            lab.start()
    for _ in range(7):  # so at least one more firing is over
        before = len(lines())
        wait_for(lambda before=before: len(lines()) > before, "it fires on")
    ended = stopped(lab)
    assert len(lines()) == len(set(lines())), f"doubled: {sorted(lines())}"
    attempts: dict[int, list[str]] = {}
    for due, number in (line.split("/") for line in sorted(lines())):
        attempts.setdefault(round(datetime.fromisoformat(due).timestamp()), []).append(number)
    assert ended
    assert {due: attempts[due] for due in ended} == {due: ["1", "2", "3"] for due in ended}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
@pytest.mark.parametrize("seed", [1, 2])
def test_both_die_at_random_while_the_disk_is_full_now_and_then(lab: Lab, seed: int) -> None:
    """The firings move to the runtime directory and back, and are killed on the way."""
    chance, disk = random.Random(seed), lab.dir / "state"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "lab", disk], check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        lab.start(TASKS.replace("{dir}", str(lab.dir)))
        for turn in range(10):
            before = len(ran(lab))
            wait_for(lambda before=before: len(ran(lab)) > before, "it fires")
            (fill if turn % 2 else empty)(disk)
            signal.sigtimedwait([], chance.random())  # so that the kill is at any moment of a move
            if chance.random() < 0.6 and (pid := lab.helper("timekeeper")):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            else:
                lab.hang_up()
                lab.end(signal.SIGKILL)
                lab.start()
        empty(disk)
        lab.hang_up()
        lab.end(signal.SIGKILL)
        lab.start()
        wait_for(lambda: not (lab.run / "firings-in-memory.db").exists(), "the firings are on the disk")
        lab.hang_up()
        lab.end(signal.SIGKILL)
        check(lab)
    finally:
        lab.hang_up()
        lab.end(signal.SIGKILL)
        subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def empty(disk: Path) -> None:
    (disk / "filler").unlink(missing_ok=True)
