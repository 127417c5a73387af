"""kill -9 of the supervisor before and after each named step of start, stop, freeze, reload, adoption and upgrade.

`dying` has the steps. The test plays a script of requests to a supervisor that dies at one step. The next supervisor
must find everything: nothing is lost, nothing is doubled, nothing frozen is started.
"""

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from e2e.lab import PATIENCE, Lab, alive, wait_for
from kill.dying import STEPS

from supervisor.control.client import UnreachableError

HERE = Path(__file__).parent

TASKS = """
[defaults]
log = { to = "none" }
stop = { grace = "1s" }
backoff = { initial = "10ms", jitter = 0 }
[task.steady]
command = "sh -c 'echo $$ >> {dir}/steady; exec sleep 1000'"
[task.after]
command = "sh -c 'echo $$ >> {dir}/after; exec sleep 1000'"
requires = ["steady"]
[task.stopped]
command = "sh -c 'echo $$ >> {dir}/stopped; trap : TERM; while :; do sleep 0.05; done'"
stop = { grace = "100ms" }
[task.changed]
command = "sh -c 'echo $$ >> {dir}/changed; exec sleep 1000'"
environment = { VERSION = "1" }
[task.frozen]
command = "sh -c 'echo $$ >> {dir}/frozen; exec sleep 1000'"
freeze = true
"""

SCRIPT = (
    ("stop", {"names": ["stopped"], "wait": True}),
    ("freeze", {"names": ["after"]}),
    ("start", {"names": ["frozen"], "wait": False}),
    ("reload", {}),
    ("restart", {"names": ["changed"], "wait": True}),
)

WHEN = ("before", "after")
UPGRADE = ("leave", "execute", "inherit")
ONCE = [step for step in STEPS if step not in ("adopt", "write", "rename", "send", *UPGRADE)]
FIRST = [f"{step}:{when}:1" for step in ONCE for when in WHEN]
FIRST += [f"{step}:{when}:{n}" for step in ("fork", "remember", "go") for when in WHEN for n in (3,)]
FIRST += [f"write:before:{n}" for n in (1, 3, 6, 12, 24)] + ["rename:before:1", "rename:before:2"]
COMING_UP = ("take", "journal", "listen", "adopt", "settled", "remember")
AGAIN = [f"{step}:{when}:1" for step in COMING_UP for when in WHEN]
UPGRADED = ["leave:before:1", "leave:after:1", "execute:before:1"]
UPGRADED += [
    f"upgraded/{step}:{when}:1" for step in ("take", "journal", "inherit", "adopt", "settled") for when in WHEN
]
AGAIN += ["adopt:before:2", "adopt:after:3", "write:before:2", "rename:before:1", "rename:after:1"]


def play(lab: Lab) -> None:
    """Play the script until the supervisor dies."""
    deadline = time.monotonic() + PATIENCE
    todo = list(SCRIPT)
    while todo and lab.process and lab.process.poll() is None and time.monotonic() < deadline:
        verb, args = todo[0]
        with suppress(UnreachableError, ConnectionError):
            if verb != "stop" or lab.tasks()["after"]["state"] == "running":
                if verb == "reload":
                    lab.write(TASKS.replace("{dir}", str(lab.dir)).replace('VERSION = "1"', 'VERSION = "2"'))
                lab.ask(verb, **args)
                todo.pop(0)


def noted(lab: Lab, name: str) -> list[int]:
    path = lab.dir / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def dies(lab: Lab, step: str) -> bool:
    """Starts one that dies at this step, and plays the script to it. False when it never came to that step."""
    lab.start(wait=False, command=[sys.executable, str(HERE / "dying.py"), "-c", str(lab.path)], env={"DIE_AT": step})
    play(lab)
    assert lab.process
    reached = lab.process.poll() is not None
    lab.end(signal.SIGKILL)
    return reached


def living(lab: Lab, name: str) -> list[int]:
    """Return the living runs of a task."""
    return [pid for pid in noted(lab, name) if alive(pid)]


def check(lab: Lab) -> None:
    """Start the next supervisor, and check everything that it must find."""
    before = living(lab, "steady")
    assert len(before) <= 1
    lab.start()
    wait_for(lambda: lab.tasks()["steady"]["state"] == "running", "it is up")
    assert noted(lab, "frozen") == [], "started while frozen"
    for name in ("steady", "after", "changed", "stopped"):
        wait_for(lambda name=name: len(living(lab, name)) <= 1, f"{name} is not doubled")
    if before:
        assert [lab.tasks()["steady"]["pid"]] == before, "what lived is what runs"
        assert alive(before[0])


@pytest.mark.parametrize("step", FIRST)
def test_a_first_supervisor_dies(lab: Lab, step: str) -> None:
    lab.write(TASKS.replace("{dir}", str(lab.dir)))
    assert dies(lab, step), f"never came to {step}"
    check(lab)


@pytest.mark.parametrize("step", AGAIN)
def test_a_supervisor_dies_during_its_takeover(lab: Lab, step: str) -> None:
    lab.start(TASKS.replace("{dir}", str(lab.dir)))
    lab.up("steady", "after", "changed")
    lab.hang_up()
    lab.end(signal.SIGKILL)
    assert dies(lab, step), f"never came to {step}"
    check(lab)
    assert len(noted(lab, "steady")) == 1, "never started a second time"


@pytest.mark.parametrize("step", UPGRADED)
def test_a_supervisor_dies_during_an_upgrade(lab: Lab, step: str) -> None:
    """At its last steps in the old program, or at the first ones in the new program."""
    dying = [sys.executable, str(HERE / "dying.py"), "-c", str(lab.path)]
    lab.start(TASKS.replace("{dir}", str(lab.dir)), command=dying, env={"DIE_AT": step})
    lab.up("steady", "after", "changed")
    lab.hang_up()
    with suppress(UnreachableError):
        lab.ask("upgrade")
    assert lab.expect_exit() == -signal.SIGKILL
    check(lab)
    assert len(noted(lab, "steady")) == 1, "never started a second time"
