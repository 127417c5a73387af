"""The first moments of a supervisor: a signal that comes before anybody could obey, and no process to be had."""

import signal
import sys

import pytest
from lab import Lab, alive, wait_for

EARLY = """
import os, signal, sys
from supervisor.host import spawner
from supervisor import app
begin = spawner.Spawner.__init__
def early(self):
    os.kill(os.getpid(), signal.{name})
    begin(self)
spawner.Spawner.__init__ = early
app.main()
"""

NO_FORK = """
import os, sys
from supervisor.host import spawner
from supervisor import app
fork, left = os.fork, [{count}]
def refuse():
    left[0] -= 1
    if left[0] >= 0:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()
os.fork = refuse
app.main()
"""

TASK = '[task.web]\ncommand = "sleep 1000"\n'


def start(lab: Lab, code: str, *, wait: bool = True) -> None:
    lab.start(TASK, wait=wait, command=[sys.executable, "-c", code, "-c", str(lab.path)])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_who_is_to_end_before_it_is_up_adopts_stops_and_ends(lab: Lab, name: str) -> None:
    """Not just ends: the tasks of an earlier one would be left to nobody."""
    lab.start(TASK)
    web = lab.up("web")["web"]
    lab.end(signal.SIGKILL)
    start(lab, EARLY.format(name=name), wait=False)
    assert lab.expect_exit() == 0
    assert not alive(web)


def test_a_reload_before_it_is_up_is_done_then(lab: Lab) -> None:
    start(lab, EARLY.format(name="SIGHUP"))
    assert lab.up("web")
    wait_for(lambda: "reloaded by SIGHUP" in lab.stderr, "the reload")


def test_no_process_is_to_be_had_at_first(lab: Lab) -> None:
    """The spawner is made later; the config is read by a child as well, which is worth a few tries."""
    start(lab, NO_FORK.format(count=1))
    assert lab.up("web")


def test_no_process_is_to_be_had_at_all(lab: Lab) -> None:
    """It says so and ends; the tasks go on, and whoever has started it tries again."""
    lab.start(TASK)
    web = lab.up("web")["web"]
    lab.end(signal.SIGKILL)
    start(lab, NO_FORK.format(count=1000000), wait=False)
    assert lab.expect_exit() == 1
    assert "Resource temporarily unavailable" in lab.stderr
    assert "Traceback" not in lab.stderr
    assert alive(web)
    lab.start()
    assert lab.tasks()["web"]["pid"] == web
