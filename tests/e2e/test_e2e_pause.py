"""`supctl pause` and `resume`: all processes of a real run stop, wherever they went, and continue.

By the cgroup freezer where this machine has cgroups for us, else by SIGSTOP and SIGCONT.
"""

import os
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, wait_for

from supervisor.host import cgroup

COUNTS = """
import os, sys, time
def count(name):
    while True:
        with open(name, "a") as file:
            file.write(".")
        time.sleep(0.005)
def beside(name, *, away):
    if os.fork() == 0:
        if away:
            os.setsid()
            if os.fork():
                os._exit(0)
        count(name)
os.chdir(sys.argv[1])
beside("group", away=False)
beside("daemon", away=True)
count("main")
"""
"""Three processes that count as long as they run: the leader, one of its group, and one that has left it."""

WELL = """
import os, socket, time
made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
made.connect(os.environ["NOTIFY_SOCKET"])
while True:
    made.send(b"READY=1\\nWATCHDOG=1")
    time.sleep(0.02)
"""


@pytest.fixture(params=["yes", "no"], ids=["cgroups", "marks"])
def place(request: pytest.FixtureRequest, lab: Lab) -> Path:
    """Where they count."""
    lab.env[cgroup.NEVER] = request.param
    (lab.dir / "counts.py").write_text(COUNTS)
    return lab.dir / "count"


def begin(lab: Lab, place: Path) -> int:
    """The pid of the leader, once all three count."""
    place.mkdir()
    task = f'[task.web]\ncommand = ["{sys.executable}", "-S", "{lab.dir}/counts.py", "{place}"]\n'
    lab.start(task + '[task.done]\ncommand = "true"\nrestart = "never"\n')
    pid = lab.up("web")["web"]
    go_on(place)
    return pid


def counted(place: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in place.iterdir()}


def go_on(place: Path) -> None:
    """Returns when each of the three has counted on."""
    before = counted(place)
    wait_for(lambda: len(now := counted(place)) == 3 and all(now[key] > before.get(key, 0) for key in now))


def stands_still(lab: Lab, place: Path) -> bool:
    """Nothing has been counted while supctl was asked a few things, which takes twenty times as long as to count."""
    before = counted(place)
    for _ in range(3):
        lab.ctl("status", code=None)
    return counted(place) == before


def test_all_processes_of_a_run_stop_and_continue(lab: Lab, place: Path) -> None:
    pid = begin(lab, place)
    assert lab.ctl("pause", "web").out == f"web: paused (pid {pid})\n"
    assert stands_still(lab, place)
    told = lab.tasks()["web"]
    assert (told["state"], told["paused"]["by"]) == ("running", "root" if os.geteuid() == 0 else told["paused"]["by"])
    assert told["why"] == f"paused by {told['paused']['by']} since {told['paused']['since']}: supctl resume web"
    assert "supctl resume web" in lab.ctl("why", "web").out
    assert "was paused already" in lab.ctl("pause", "web").out
    assert lab.ctl("resume", "web").out == f"web: resumed (pid {pid})\n"
    go_on(place)
    assert lab.ctl("resume", "web").out == "web: was not paused\n"
    assert lab.tasks()["web"]["paused"] is None
    lab.until("paused", name="web")
    lab.until("audit", verb="pause", outcome="done")
    lab.until("resumed", name="web")
    assert lab.ctl("pause", "web", "done", code=1).out.splitlines()[1] == "done: stopped: it has no process"


def test_a_stop_of_a_paused_task(lab: Lab, place: Path) -> None:
    """All three processes get the signal, and none has to be killed."""
    begin(lab, place)
    lab.ctl("pause", "web")
    stopped = lab.ctl("stop", "web").out
    assert stopped.startswith("web: stopped (killed by SIGTERM")
    assert lab.tasks()["web"]["last_exit"]["duration_s"] < 9, "the grace is ten seconds"
    assert "killed the remaining processes" not in stopped


def test_a_pause_outlives_a_crash_of_the_supervisor(lab: Lab, place: Path) -> None:
    pid = begin(lab, place)
    lab.ctl("pause", "web")
    lab.end(signal.SIGKILL)
    lab.start()
    told = lab.tasks()["web"]
    assert (told["pid"], told["state"]) == (pid, "running")
    assert told["paused"]
    assert stands_still(lab, place)
    lab.ctl("resume", "web")
    go_on(place)
    lab.ctl("pause", "web")
    lab.ctl("stop", "web")


def test_no_watchdog_fires_for_a_paused_task(lab: Lab, place: Path) -> None:
    (lab.dir / "well.py").write_text(WELL)
    lab.start(
        f'[task.web]\ncommand = ["{sys.executable}", "-S", "{lab.dir}/well.py"]\nready = "notify"\nwatchdog = "1s"\n'
    )
    pid = lab.up("web")["web"]
    paused = lab.ask("pause", names=["web"], wait=True)
    assert paused["answer"]["instances"][0]["outcome"] == "paused"
    began = lab.tasks()["web"]["uptime_s"]
    wait_for(lambda: lab.tasks()["web"]["uptime_s"] > began + 1.5, "its time is over")
    lab.ctl("resume", "web")
    wait_for(lambda: lab.tasks()["web"]["uptime_s"] > began + 2.0, "the supervisor has looked")
    assert lab.tasks()["web"]["pid"] == pid
