"""How a run ended while no supervisor lived: the spawner outlives its parent and holds the pidfd of each run."""

import os
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, alive, wait_for

from supervisor.host.pidfd import kernel_tells

pytestmark = pytest.mark.skipif(not kernel_tells(), reason="needs PIDFD_GET_INFO with the exit status, Linux 6.15")

ENDS = 'command = ["sh", "-c", "until [ -e {dir}/go ]; do sleep 0.01; done; {act}"]'


def tasks(lab: Lab, **acts: str) -> str:
    """Tasks that do something as soon as they are let go, and are not restarted."""
    lines = (f'[task.{name}]\nrestart = "never"\n{ENDS.format(dir=lab.dir, act=act)}\n' for name, act in acts.items())
    return "\n".join(lines)


def spawners(lab: Lab) -> list[int]:
    return [int(path.name) for path in (lab.run / "notify_holders").iterdir()]


def end_meanwhile(lab: Lab, pids: dict[str, int]) -> None:
    """These runs end while there is no supervisor."""
    (lab.dir / "go").touch()
    for pid in pids.values():
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "it has ended and was reaped")


def reasons(lab: Lab, *names: str) -> list[str]:
    wait_for(lambda: all(lab.tasks()[name]["last_exit"] for name in names), "their ends are known")
    now = lab.tasks()
    return [now[name]["last_exit"]["reason"] for name in names]


def test_the_next_supervisor_knows_how_runs_ended(lab: Lab) -> None:
    lab.start(tasks(lab, three="exit 3", well="exit 0", killed="kill -9 $$"))
    pids = lab.up("three", "well", "killed")
    lab.end(signal.SIGKILL)
    (spawner,) = spawners(lab)
    end_meanwhile(lab, pids)
    lab.start()
    assert reasons(lab, "three", "well", "killed") == ["exit 3", "exit 0", "killed by SIGKILL"]
    wait_for(lambda: not alive(spawner), "the old spawner ends when the next supervisor has it all")


def test_pidfds_of_adopted_runs_are_held_too(lab: Lab) -> None:
    lab.start(tasks(lab, three="exit 3"))
    pids = lab.up("three")
    for _ in range(2):
        lab.end(signal.SIGKILL)
        lab.start()
        assert lab.tasks()["three"]["pid"] == pids["three"]
    lab.end(signal.SIGKILL)
    end_meanwhile(lab, pids)
    lab.start()
    assert reasons(lab, "three") == ["exit 3"]


def test_a_new_spawner_holds_the_pidfds_of_existing_runs(lab: Lab) -> None:
    lab.start(tasks(lab, three="exit 3") + '[task.other]\nautostart = false\ncommand = "sleep 1000"\n')
    pids = lab.up("three")
    (spawner,) = spawners(lab)
    os.kill(spawner, signal.SIGKILL)
    lab.ctl("start", "other")
    wait_for(lambda: [one for one in spawners(lab) if one != spawner], "there is a new one")
    lab.end(signal.SIGKILL)
    end_meanwhile(lab, pids)
    lab.start()
    assert reasons(lab, "three") == ["exit 3"]


def test_the_outcome_is_unknown_if_parent_and_spawner_are_killed(lab: Lab) -> None:
    lab.start(tasks(lab, three="exit 3"))
    pids = lab.up("three")
    (spawner,) = spawners(lab)
    lab.end(signal.SIGKILL)
    os.kill(spawner, signal.SIGKILL)
    end_meanwhile(lab, pids)
    lab.start()
    assert reasons(lab, "three") == ["ended unseen, exit status unknown"]


def test_pidfds_outlive_a_supervisor_that_dies_at_its_start(lab: Lab) -> None:
    lab.start(tasks(lab, three="exit 3"))
    pids = lab.up("three")
    lab.end(signal.SIGKILL)
    end_meanwhile(lab, pids)
    dying = [sys.executable, str(Path(__file__).parents[1] / "kill" / "dying.py"), "-c", str(lab.path)]
    lab.start(wait=False, command=dying, env={"DIE_AT": "settled:before:1"})
    assert lab.expect_exit() == -signal.SIGKILL
    lab.start()
    assert reasons(lab, "three") == ["exit 3"]
