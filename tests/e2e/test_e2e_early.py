"""The first moments of a supervisor: a signal that comes before it is ready, and no free process."""

import signal
import sys

import pytest
from lab import Lab, alive, wait_for

EARLY = """
import os, signal, sys
from supervisor.spawn import spawning
from supervisor.program import main as app
begin = spawning.Spawning.__init__
def early(self):
    os.kill(os.getpid(), signal.{name})
    begin(self)
spawning.Spawning.__init__ = early
app.main()
"""

NO_FORK = """
import os, sys
from supervisor.spawn import spawning
from supervisor.program import main as app
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
def test_sigterm_before_it_is_ready_adopts_stops_and_ends(lab: Lab, name: str) -> None:
    """It does not only end: the tasks of an earlier supervisor would have no supervisor."""
    lab.start(TASK)
    web = lab.up("web")["web"]
    lab.end(signal.SIGKILL)
    start(lab, EARLY.format(name=name), wait=False)
    assert lab.expect_exit() == 0
    assert not alive(web)


def test_sighup_before_it_is_ready_reloads_as_soon_as_it_is(lab: Lab) -> None:
    start(lab, EARLY.format(name="SIGHUP"))
    assert lab.up("web")
    wait_for(lambda: "reloaded by SIGHUP" in lab.stderr, "the reload")


def test_a_start_without_a_free_process_is_tried_again(lab: Lab) -> None:
    """The spawner is forked later. The config is read by a child as well, so that is tried several times."""
    start(lab, NO_FORK.format(count=1))
    assert lab.up("web")


def test_a_start_that_never_gets_a_process_ends_with_the_reason(lab: Lab) -> None:
    """It reports the reason and ends. The tasks go on, and the service manager tries again."""
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
