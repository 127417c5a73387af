"""No process is left behind: descendants of every kind, with and without cgroups.

The tests with cgroups need a machine that has them for us; the others set SUPERVISOR_CGROUPS=no.
"""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from lab import WHY_NOT, Lab, alive, wait_for

from supervisor.host import cgroup, mark

KINDS = ("group", "setsid", "daemon", "bare", "stubborn", "storm")
TRACED = ("unmarked-output", "unmarked-environment")
UNMARKED = ("unmarked-group", "unmarked-setsid", "unmarked-orphan", *TRACED)


def task(lab: Lab, *kinds: str, then: str = "stay", more: str = "") -> str:
    words = lab.make(*kinds, then=then)
    return f'[task.parent]\ncommand = {words!r}\nstop = {{ grace = "300ms" }}\nlog = {{ to = "file" }}\n{more}'


def marked(lab: Lab, run: str) -> list[int]:
    """Every living process with the mark of a run, however it came to be."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if mark.of(pid) == mark.number(run, str(lab.run)) and alive(pid)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_leaves_nothing(lab: Lab, mode: str, kind: str):
    lab.start(task(lab, kind))
    lab.up("parent")
    run = lab.tasks()["parent"]["run"]
    made = lab.relatives()
    assert len(marked(lab, run)) > 1
    answer = lab.ctl("stop", "parent")
    assert marked(lab, run) == []
    assert not [one for one in made if alive(one)]
    assert ("killed the remaining processes: " in answer.out) == (kind in ("stubborn", "storm")), answer.out
    assert not lab.tasks()["parent"]["pid"]


@pytest.mark.parametrize("kind", UNMARKED)
def test_a_stop_leaves_nothing_without_a_mark(lab: Lab, mode: str, kind: str):
    lab.start(task(lab, kind))
    lab.up("parent")
    run = lab.tasks()["parent"]["run"]
    [made] = lab.relatives()
    assert made not in marked(lab, run)
    assert f"killed the remaining processes: sleep (pid {made})" in lab.ctl("stop", "parent").out
    assert not alive(made)


@pytest.mark.parametrize("kind", ["unmarked-group", "unmarked-orphan", *TRACED])
def test_a_crash_leaves_nothing_without_a_mark(lab: Lab, mode: str, kind: str):
    """The process is found by its session, its output or its environment. The supervisor never saw it before."""
    lab.start(task(lab, kind))
    pid = lab.up("parent")["parent"]
    [made] = lab.relatives()
    os.kill(pid, signal.SIGKILL)
    lab.until(name="parent", to="stopping")
    lab.until(name="parent", to="starting")
    assert not alive(made)
    lab.relatives()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_waits_for_processes_that_a_crash_leaves(lab: Lab, mode: str, kind: str):
    lab.start(task(lab, kind))
    pid = lab.up("parent")["parent"]
    run = lab.tasks()["parent"]["run"]
    made = lab.relatives()
    os.kill(pid, signal.SIGKILL)
    lab.until(name="parent", to="stopping")
    started = lab.until(name="parent", to="starting")
    assert started["run"] != run
    assert marked(lab, run) == []
    assert not [one for one in made if alive(one)]
    lab.relatives()


def test_a_run_that_ends_by_itself_leaves_no_process(lab: Lab, mode: str):
    lab.start(task(lab, "daemon", "bare", then="exit", more='restart = "never"\n'))
    made = lab.relatives()
    ended = lab.until(name="parent", to="stopped")
    assert ended["exit"]["reason"] == "exit 0"
    assert not [one for one in made if alive(one)]


@pytest.mark.parametrize("kind", TRACED)
def test_a_run_that_ends_by_itself_leaves_no_process_without_a_mark(lab: Lab, mode: str, kind: str):
    lab.start(task(lab, kind, then="exit", more='restart = "never"\n'))
    [made] = lab.relatives()
    lab.until(name="parent", to="stopped")
    assert not alive(made)


@pytest.mark.parametrize("kind", TRACED)
def test_the_next_supervisor_finds_a_process_without_a_mark(lab: Lab, mode: str, kind: str):
    """Its supervisor and its main process are dead, and it is not a child of the next supervisor."""
    lab.start(task(lab, kind))
    pid = lab.up("parent")["parent"]
    run = lab.tasks()["parent"]["run"]
    [made] = lab.relatives()
    lab.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    lab.start()
    assert lab.until(name="parent", to="starting")["run"] != run
    assert not alive(made)


def test_a_reader_of_the_output_or_a_child_of_another_process_is_left_alone(lab: Lab, mode: str):
    """A reader of the FIFO (a person, for example), and a writer that is a child of another process."""
    lab.start('[task.web]\ncommand = "sleep 1000"\nlog = { to = "file" }\n')
    lab.up("web")
    [fifo] = (lab.run / "output").glob("web*.out")
    with subprocess.Popen(["cat"], stdin=os.open(fifo, os.O_RDWR), stdout=subprocess.DEVNULL) as stranger:
        assert lab.ctl("stop", "web").out.startswith("web: stopped")
        assert stranger.poll() is None
        stranger.kill()


def test_stop_to_all_signals_every_process(lab: Lab, mode: str):
    """With stop.to = "all". By default only the main process and its group get it. Nothing has to be killed."""
    lab.start(task(lab, "group", "setsid", "bare").replace('"300ms"', '"20s", to = "all"'))
    lab.up("parent")
    made = lab.relatives()
    assert "killed the remaining" not in lab.ctl("stop", "parent").out
    assert not [one for one in made if alive(one)]


@pytest.mark.parametrize("kind", ["daemon", "stubborn", "storm"])
def test_the_next_supervisor_finds_the_remaining_processes_of_a_run(lab: Lab, mode: str, kind: str):
    """Supervisor and main process are dead. The remaining processes are still the run, and end before it restarts."""
    lab.start(task(lab, kind))
    pid = lab.up("parent")["parent"]
    run = lab.tasks()["parent"]["run"]
    made = lab.relatives()
    lab.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    assert marked(lab, run)
    lab.start()
    started = lab.until(name="parent", to="starting")
    assert started["run"] != run
    assert marked(lab, run) == []
    assert not [one for one in made if alive(one)]


def test_a_python_task_and_its_children_have_the_mark(lab: Lab, mode: str):
    """It executes no program, so /proc shows no environment of its own. It has the mark all the same."""
    (lab.dir / "forker.py").write_text(
        "import os\n"
        "def main(stop):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        open('forked', 'w').close()\n"
        "        while True: stop.wait(1)\n"
        "    stop.wait()\n"
    )
    lab.start(f'[task.py]\npython = "forker:main"\ndirectory = "{lab.dir}"\nstop = {{ grace = "200ms" }}\n')
    lab.up("py")
    run = lab.tasks()["py"]["run"]
    wait_for((lab.dir / "forked").exists)
    assert len(marked(lab, run)) == 2
    assert "killed the remaining processes" in lab.ctl("stop", "py").out
    assert marked(lab, run) == []


def test_an_inherited_orphan_is_reaped_silently(lab: Lab, mode: str):
    """An orphan becomes a child of the supervisor. It is reaped, and nothing is reported."""
    lab.start(task(lab, "daemon"))
    pid = lab.up("parent")["parent"]
    [orphan] = lab.relatives()
    os.kill(orphan, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{orphan}").exists(), "it is reaped")
    assert lab.tasks()["parent"]["pid"] == pid
    assert Counter(event.get("to") for event in lab.events)["running"] == 1


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_cgroups_of_a_killed_supervisor_are_removed(lab: Lab):
    """The next supervisor removes the cgroups of a killed one, as soon as they are empty."""
    lab.env[cgroup.NEVER] = "yes"
    home = Path(cgroup.home())

    def trees(pid: int) -> list[Path]:
        return list(home.glob(f"supervisor-{pid}-*"))

    lab.start('[task.web]\ncommand = "sleep 1000"\n')
    lab.up("web")
    first = lab.pid
    assert len(trees(first)) == 1
    lab.end(signal.SIGKILL)
    lab.start()
    assert lab.tasks()["web"]["pid"]
    lab.ctl("stop", "web")
    wait_for(lambda: not trees(first), "the tree of the first is removed with the last run in it")
    second = lab.pid
    assert lab.end() == 0
    assert trees(second) == []
