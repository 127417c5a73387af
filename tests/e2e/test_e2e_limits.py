"""Limits that no controller enforces are measured each second.

A run beyond them is stopped. Also the cgroups of groups with limits. `tests/vm` tests a kernel with all controllers.
"""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, alive, wait_for

from supervisor.host import cgroup, cgroup_controllers

EATS = """
import os, sys, time
mine = bytearray(30 << 20)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    theirs = bytearray(60 << 20)
time.sleep(1000)
"""
"""Most of it in a process that has left the group and the parent."""

UNMARKED_EATS = """
import os, resource, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    resource.setrlimit(10, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    theirs = bytearray(96 << 20)
time.sleep(1000)
"""
"""All of it in one that has taken off the mark of its run as well: it is known by its environment."""

FORKS = "import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        break\ntime.sleep(1000)\n"

no_controllers = pytest.mark.skipif(
    bool({"memory", "pids"} & cgroup_controllers.of_the_kernel()),
    reason="the kernel of this machine enforces it: tests/vm",
)


@pytest.fixture(params=["yes", "no"], ids=["cgroups", "marks"])
def measured(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    """A lab with cgroups of its own, and one without."""
    lab.env[cgroup.NEVER] = request.param
    return lab


def task(name: str, program: str, limits: str) -> str:
    command = json.dumps([sys.executable, "-S", "-c", program])
    return f"[task.{name}]\ncommand = {command}\nlimits = {limits}\nrestart = 'never'\n"


@no_controllers
def test_memory_and_processes_are_measured(measured: Lab) -> None:
    text = task("eats", EATS, "{ memory = '64M' }") + task("forks", FORKS, "{ processes = 9 }")
    text += task("modest", EATS, "{ memory = '512M', processes = 9 }")
    measured.start(text, "sample = 0")
    reasons = {name: measured.until(name=name, to="stopping")["why"] for name in ("eats", "forks")}
    assert reasons["eats"].startswith("memory limit 64M, measured 9")
    assert reasons["forks"] == "processes limit 9, counted 21 (approximate, each second)"
    last = wait_for(lambda: measured.tasks()["eats"]["last_exit"])
    assert last["reason"] == f"{reasons['eats']}; killed by SIGTERM"
    assert measured.tasks()["modest"]["state"] == "running"
    assert "eats: the kernel cannot enforce limits.memory here" in measured.stderr + measured.stdout
    assert "approximate" in measured.ctl("check", str(measured.path)).err


@no_controllers
def test_memory_of_a_process_without_a_mark_is_measured(measured: Lab) -> None:
    measured.start(task("eats", UNMARKED_EATS, "{ memory = '64M' }"), "sample = 0")
    assert measured.until(name="eats", to="stopping")["why"].startswith("memory limit 64M, measured")


@no_controllers
def test_a_breach_without_a_supervisor_stops_the_run_after_the_next_start(measured: Lab) -> None:
    """@scribe goes on and records the breach."""
    go = measured.dir / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n"
    measured.start(task("eats", waits + EATS, "{ memory = '64M' }"))
    pid = measured.up("eats")["eats"]
    measured.end(signal.SIGKILL)
    go.touch()
    wait_for((measured.run / "breaches" / "breaches.json").exists)
    measured.start()
    last = wait_for(lambda: measured.tasks()["eats"]["last_exit"])
    assert last["reason"].startswith("memory limit 64M")
    assert not Path(f"/proc/{pid}").exists()


def test_no_process_of_a_run_outlives_limits_runtime(measured: Lab) -> None:
    """Whatever signals it ignores, and wherever its processes went."""
    pids, ready = measured.dir / "pids", measured.dir / "ready"
    relatives = Path(__file__).parents[1] / "relatives.py"
    words = [sys.executable, "-S", str(relatives), str(pids), str(ready), "stay", "stubborn", "setsid", "daemon"]
    keys = 'limits = { runtime = "2s" }\nstop = { grace = "200ms" }\nrestart = "never"\n'
    measured.start(f"[task.web]\ncommand = {json.dumps(words)}\n{keys}")
    assert measured.until(name="web", to="stopping")["why"] == "runtime: it has run for 2 s"
    assert "runtime: it has run for 2 s" in measured.until(name="web", to="failed")["exit"]["reason"]
    assert len(pids.read_text().split()) == 3
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


GROUP = """
[group.etl]
tasks = ["a", "b"]
limits = { cpu = 1, memory = "1G", best_effort = true }
[task.a]
command = "sleep 1000"
[task.b]
command = "sleep 1000"
replicas = 2
[task.other]
command = "sleep 1000"
"""


def inside(pid: int) -> str:
    """The path of the cgroup of a process."""
    text = Path(f"/proc/{pid}/cgroup").read_text()
    return next(line[3:] for line in text.splitlines() if line.startswith("0::"))


def test_the_runs_of_a_limited_group_are_in_one_cgroup(lab: Lab) -> None:
    """Also after a crash: two cgroups would allow twice as much.

    A changed limit restarts nothing; a new member restarts.
    """
    try:
        home = cgroup.plant(os.getpid(), 1)
        os.rmdir(home)
    except cgroup.NoCgroupError as why:
        pytest.skip(str(why))
    lab.start(GROUP)
    pids = lab.up("a", "b:1", "b:2", "other")
    places = {name: inside(pid).rpartition("/")[0] for name, pid in pids.items()}
    assert len({places[name] for name in ("a", "b:1", "b:2")}) == 1
    assert places["a"] == f"{places['other']}/@etl"
    lab.end(signal.SIGKILL)
    lab.start()
    lab.ctl("restart", "b:1")
    assert inside(lab.tasks()["b:1"]["pid"]).rpartition("/")[0] == places["a"], "with those that live"
    lab.write(GROUP.replace('"1G"', '"2G"'))
    assert lab.ctl("reload").out.splitlines()[0] == "changed: @etl (limits)"
    assert lab.tasks()["a"]["pid"] == pids["a"]
    lab.write(GROUP.replace('["a", "b"]', '["*"]'))
    assert "restarted: other (group_limits)" in lab.ctl("reload").out
    wait_for(lambda: (one := lab.tasks()["other"])["pid"] not in (None, pids["other"]) and one["state"] == "running")
    assert inside(lab.tasks()["other"]["pid"]).rpartition("/")[0] == places["a"]
    lab.ctl("stop", "--all")
    found = [path for path, _, _ in os.walk(cgroup.home()) if path.endswith(places["a"])]
    wait_for(lambda: not any(Path(path).exists() for path in found), "it goes with its last run")


def test_a_group_limit_that_is_not_available_is_an_error(lab: Lab) -> None:
    """The check reports it. At a start the tasks wait with the reason; they never run without their limit."""
    lab.env[cgroup.NEVER] = "no"
    lab.write(GROUP.replace(", best_effort = true", "") + '[task.free]\ncommand = "sleep 1000"\n')
    what = 'group "etl": limits.cpu: the cgroup controller cpu is not available: '
    assert what in lab.ctl("check", str(lab.path), code=1).err
    lab.start()
    lab.up("free")
    assert what in lab.stderr
    limited = ("a", "b:1", "b:2")
    wait_for(lambda: all(lab.tasks()[name]["failures"] >= 2 for name in limited), "they are tried again")
    assert all("group etl: limits." in lab.tasks()[name]["last_exit"]["reason"] for name in limited)
