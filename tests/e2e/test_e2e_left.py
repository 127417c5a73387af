"""Nothing is left behind: grandchildren of every kind, with cgroups and without.

With cgroups where this machine has them for us; without them wherever it runs (SUPERVISOR_CGROUPS=no).
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
    assert ("killed what was left: " in answer.out) == (kind in ("stubborn", "storm")), answer.out
    assert not lab.tasks()["parent"]["pid"]


@pytest.mark.parametrize("kind", UNMARKED)
def test_a_stop_leaves_nothing_without_a_mark(lab: Lab, mode: str, kind: str):
    lab.start(task(lab, kind))
    lab.up("parent")
    run = lab.tasks()["parent"]["run"]
    [made] = lab.relatives()
    assert made not in marked(lab, run)
    assert f"killed what was left: sleep (pid {made})" in lab.ctl("stop", "parent").out
    assert not alive(made)


@pytest.mark.parametrize("kind", ["unmarked-group", "unmarked-orphan", *TRACED])
def test_a_crash_leaves_nothing_without_a_mark(lab: Lab, mode: str, kind: str):
    """It is known by its session, its output or its environment; nobody has looked before."""
    lab.start(task(lab, kind))
    pid = lab.up("parent")["parent"]
    [made] = lab.relatives()
    os.kill(pid, signal.SIGKILL)
    lab.until(name="parent", to="stopping")
    lab.until(name="parent", to="starting")
    assert not alive(made)
    lab.relatives()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_waits_for_what_a_crash_leaves(lab: Lab, mode: str, kind: str):
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


def test_one_that_ends_by_itself_takes_its_rest_along(lab: Lab, mode: str):
    lab.start(task(lab, "daemon", "bare", then="exit", more='restart = "never"\n'))
    made = lab.relatives()
    ended = lab.until(name="parent", to="stopped")
    assert ended["exit"]["reason"] == "exit 0"
    assert not [one for one in made if alive(one)]


@pytest.mark.parametrize("kind", TRACED)
def test_one_that_ends_by_itself_takes_along_who_has_no_mark(lab: Lab, mode: str, kind: str):
    lab.start(task(lab, kind, then="exit", more='restart = "never"\n'))
    [made] = lab.relatives()
    lab.until(name="parent", to="stopped")
    assert not alive(made)


@pytest.mark.parametrize("kind", TRACED)
def test_the_next_supervisor_knows_who_has_no_mark(lab: Lab, mode: str, kind: str):
    """Neither its supervisor nor its leader live any more, and it is a child of neither the next one."""
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


def test_who_reads_an_output_or_has_a_parent_is_no_orphan_of_the_run(lab: Lab, mode: str):
    """A reader of the FIFO, as a person may be; and a writer that is somebody else's child."""
    lab.start('[task.web]\ncommand = "sleep 1000"\nlog = { to = "file" }\n')
    lab.up("web")
    [fifo] = (lab.run / "output").glob("web*.out")
    with subprocess.Popen(["cat"], stdin=os.open(fifo, os.O_RDWR), stdout=subprocess.DEVNULL) as stranger:
        assert lab.ctl("stop", "web").out.startswith("web: stopped")
        assert stranger.poll() is None
        stranger.kill()


def test_all_get_the_stop_signal_when_all_shall(lab: Lab, mode: str):
    """Nobody is killed, though only the main process and its group would have had it by default."""
    lab.start(task(lab, "group", "setsid", "bare").replace('"300ms"', '"20s", to = "all"'))
    lab.up("parent")
    made = lab.relatives()
    assert "killed what" not in lab.ctl("stop", "parent").out
    assert not [one for one in made if alive(one)]


@pytest.mark.parametrize("kind", ["daemon", "stubborn", "storm"])
def test_the_next_supervisor_knows_what_is_left_of_a_run(lab: Lab, mode: str, kind: str):
    """Both its supervisor and its leader are gone: the rest is still the run, and is ended before anything starts."""
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


def test_a_python_task_and_what_it_forks(lab: Lab, mode: str):
    """It has no environment of its own in /proc, as it never executes a program: the mark is there all the same."""
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
    assert "killed what was left" in lab.ctl("stop", "py").out
    assert marked(lab, run) == []


def test_an_orphan_is_no_task(lab: Lab, mode: str):
    """It comes to the supervisor when its parent ends; nothing is told of it, and it is reaped."""
    lab.start(task(lab, "daemon"))
    pid = lab.up("parent")["parent"]
    [orphan] = lab.relatives()
    os.kill(orphan, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{orphan}").exists(), "it is reaped")
    assert lab.tasks()["parent"]["pid"] == pid
    assert Counter(event.get("to") for event in lab.events)["running"] == 1


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_no_cgroup_outlives_its_supervisor(lab: Lab):
    """Those of a supervisor that was killed are removed by the next one, as soon as nothing lives in them."""
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
