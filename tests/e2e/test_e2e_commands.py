"""Commands of the supervisor leave nothing behind: a probe ends with all its processes, whoever dies first."""

import signal

import pytest
from lab import WHY_NOT, Lab, alive, wait_for

KINDS = ("group", "setsid", "daemon", "bare", "stubborn")


def task(lab: Lab, *kinds: str, then: str = "stay", timeout: str = "1h") -> str:
    """One that is well, or would be, if its probe did not make relatives."""
    probe = f'command = {lab.make(*kinds, then=then)!r}, every = "1h", timeout = "{timeout}", failures = 1'
    return f'[task.web]\ncommand = "sleep 1000"\nhealth = {{ {probe}, restart = false }}\n'


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if alive(pid)]


def test_a_probe_that_hangs_ends_with_all_its_processes(lab: Lab, mode: str) -> None:
    lab.start(task(lab, *KINDS, "unmarked-setsid", timeout="2s"))
    made = lab.relatives()
    lab.until("health", name="web", health="unwell")
    wait_for(lambda: not living(made), "nothing of it is left")


def test_a_successful_probe_leaves_no_process(lab: Lab, mode: str) -> None:
    lab.start(task(lab, *KINDS, then="exit"))
    made = lab.relatives()
    wait_for(lambda: lab.tasks()["web"]["health"] == "ok", "it is well")
    wait_for(lambda: not living(made), "nothing of it is left")


def test_a_probe_ends_with_its_run(lab: Lab, mode: str) -> None:
    lab.start(task(lab, *KINDS))
    made = lab.relatives()
    lab.ctl("stop", "web")
    wait_for(lambda: not living(made), "nothing of it is left")


def test_a_shutdown_leaves_nothing_of_a_probe(lab: Lab, mode: str) -> None:
    lab.start(task(lab, *KINDS))
    made = lab.relatives()
    assert lab.end() == 0
    assert not living(made)


def test_the_next_supervisor_ends_the_processes_of_a_probe(lab: Lab, mode: str) -> None:
    lab.start(task(lab, *KINDS))
    pid = lab.up("web")["web"]
    made = lab.relatives()
    lab.end(signal.SIGKILL)
    lab.start(task(lab))
    assert not living(made)
    assert "a probe of run web:1/1@" in lab.stderr
    assert lab.tasks()["web"]["pid"] == pid


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_the_next_supervisor_ends_processes_in_a_cgroup_without_a_run(lab: Lab, journal: str) -> None:
    """The process dropped its mark and has no environment. Its parent ends with the supervisor."""
    lab.start(task(lab, "unmarked-output"))
    pid = lab.up("web")["web"]
    [made] = lab.relatives()
    lab.end(signal.SIGKILL)
    if journal == "lost":
        (lab.run / "journal").unlink()
    lab.start(task(lab))
    assert f"killed sleep (pid {made})" in lab.stderr
    wait_for(lambda: not alive(made), "it is gone")
    wait_for(lambda: lab.tasks()["web"]["state"] == "running", "it runs, or runs again")
    assert (lab.tasks()["web"]["pid"] == pid) == (journal == "kept")


def test_an_upgrade_leaves_nothing_of_a_probe(lab: Lab, mode: str) -> None:
    """With cgroups also no process that could not be attributed afterwards."""
    lab.start(task(lab, *KINDS, *["unmarked-output"] * (mode == "yes")))
    pid = lab.up("web")["web"]
    made = lab.relatives()
    lab.hang_up()
    lab.ctl("upgrade")
    wait_for(lambda: not living(made), "nothing of it is left")
    lab.follow()
    assert lab.tasks()["web"]["pid"] == pid
