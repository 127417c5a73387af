"""Commands of the supervisor's own leave nothing behind: a probe ends with all that it began, whoever dies first."""

from lab import Lab, alive, wait_for

KINDS = ("group", "setsid", "daemon", "bare", "stubborn")


def task(lab: Lab, *kinds: str, then: str = "stay", timeout: str = "1h") -> str:
    """One that is well, or would be, if its probe did not make relatives."""
    probe = f'command = {lab.make(*kinds, then=then)!r}, every = "1h", timeout = "{timeout}", failures = 1'
    return f'[task.web]\ncommand = "sleep 1000"\nhealth = {{ {probe}, restart = false }}\n'


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if alive(pid)]


def test_a_probe_that_hangs_ends_with_all_that_it_began(lab: Lab, mode: str) -> None:
    lab.start(task(lab, *KINDS, "unmarked-setsid", timeout="2s"))
    made = lab.relatives()
    lab.until("health", name="web", health="unwell")
    wait_for(lambda: not living(made), "nothing of it is left")


def test_a_probe_that_was_answered_well_leaves_nothing(lab: Lab, mode: str) -> None:
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
