"""Retries, while the supervisor, @timekeeper and the machine die at every step.

The truth is what really ran: each firing whose runs fail must have the runs number 1, 2 and 3, each once, and one end.
"""

from collections import defaultdict

import pytest
from sim.deaths import EACH, dying_at_each_call
from sim.scenario import Scenario
from sim.test_sim_firings import told
from sim.world import Being

from supervisor.core.events import Status

TASK = "task job kind=triggered schedule=*/4_*_*_*_*_* retry=3/0.3 catch_up=all overlap=queue"
FAILS = Being(lives=0.2, status=Status(1))
ENOUGH = 12


def begun(line: str = TASK) -> Scenario:
    """A schedule that fires each four seconds; each of its runs fails after 200 ms."""
    story = Scenario()
    story.world.will["job:1"].extend([FAILS] * 300)
    for one in (line, "start", "at 3900ms"):
        story.do(one)
    return story


def go_on(story: Scenario) -> None:
    """Come up again, if something died, and run for a while."""
    if story.parent is None:
        story.do("start")
    story.do(f"after {ENOUGH}s")


def check(story: Scenario, *, cut_off: int = 0) -> None:
    """Each firing that is over had exactly three runs.

    Args:
        story: what happened.
        cut_off: at most so many attempts were used up by the death of the machine, perhaps before their run began.
    """
    attempts = defaultdict(list)
    for one in story.world.tries:
        attempts[one.firing].append((one.attempt, one.interrupted))
    over = story.world.firings._db.execute("SELECT id, attempt, reason, run, before FROM over").fetchall()
    assert len(over) >= ENOUGH / 4 - 1, over
    stuck = [row for row in story.world.firings.firings() if row[0].due < story.world.wall_time - 5]
    assert not stuck, f"not over: {stuck}"
    lost = 0
    for firing, attempt, reason, run, before in over:
        ran = [number for number, _ in attempts[firing]]
        assert len(attempts[firing]) == len(set(attempts[firing])), f"{firing}: doubled: {attempts[firing]}"
        assert attempt == 3, f"{firing}: {attempt}, {reason}"
        assert run
        assert reason in ("exit 1", "ended unseen, exit status unknown") or reason.startswith("interrupted"), reason
        lost += 3 - len(set(ran))
        assert len(before.split()) >= len(set(ran)) - 1, f"{firing}: {before}"
    assert lost <= cut_off, f"{lost} attempts without a run: {dict(attempts)}"


def test_each_firing_has_three_runs() -> None:
    story = begun()
    go_on(story)
    check(story)
    first = [one for one in story.world.tries if one.firing == story.world.tries[0].firing]
    assert [one.trigger for one in first] == ["schedule", "retry", "retry"]


@pytest.mark.parametrize("delay", ["0.3", "0"])
def test_the_supervisor_dies_at_each_call_of_two_seconds(delay: str) -> None:
    """Without a delay, the next run is asked for in the same turn in which the end of the one before is closed."""
    task = TASK.replace("retry=3/0.3", f"retry=3/{delay}")
    for story in dying_at_each_call(lambda: begun(task), "after 2500ms"):
        go_on(story)
        check(story)


@pytest.mark.parametrize("also", ["", "crash"])
def test_timekeeper_dies_at_each_moment(also: str) -> None:
    """The ends of runs, the waits and the next runs are all within these two seconds."""
    for moment in range(0, 2000, 100 * EACH):
        for fine in (0.0, 0.5, 1.5):
            story = begun()
            story.do(f"after {moment + fine}ms")
            story.do("@timekeeper dies of SIGKILL")
            if also:
                story.do(also)
            go_on(story)
            check(story)


def test_timekeeper_dies_while_it_writes_down_the_end_of_a_run() -> None:
    """Half a millisecond is less than each of its steps."""
    for moment in range(0, 40, EACH):
        story = begun()
        story.do(f"after {290 + moment * 0.5}ms")
        story.do("@timekeeper dies of SIGKILL")
        go_on(story)
        check(story)


def test_the_machine_dies_at_each_moment() -> None:
    """An attempt that the machine cut off is used up. It may not have begun yet: it was about to."""
    resumed = 0
    for moment in range(0, 2500, 50):
        story = begun()
        story.do(f"after {moment}ms")
        story.do("power fails")
        story.world.will["job:1"].extend([FAILS] * 300)
        go_on(story)
        check(story, cut_off=1)
        resumed += any(one.interrupted for one in story.world.tries)
    assert resumed > 5


@pytest.mark.parametrize("end", [[], ["after 500ms", "crash"]])
def test_a_shutdown_at_each_moment_uses_no_attempt(end: list[str]) -> None:
    resumed = 0
    for moment in range(0, 2000, 40):
        story = begun()
        for line in (f"after {moment}ms", "SIGTERM", *(end or ["after 2s"])):
            story.do(line)
        go_on(story)
        check(story)
        again = [one for one in story.world.tries if one.interrupted]
        resumed += len(again)
        for one in again:
            assert [other.attempt for other in story.world.tries if other.firing == one.firing].count(one.attempt) == 2
    assert resumed > 10


def test_the_disk_is_full_for_a_while() -> None:
    story = begun()
    for line in ("after 300ms", "firings full", "after 5s", "firings free"):
        story.do(line)
    go_on(story)
    check(story)


def test_a_freeze_holds_the_next_attempt() -> None:
    story = begun()
    story.do("after 350ms")
    assert story.world.tries
    story.do("supctl freeze")
    before = len(story.world.tries)
    story.do("after 10s")
    assert len(story.world.tries) == before
    story.do("supctl thaw")
    go_on(story)
    check(story)


def test_the_clock_is_set_back_and_the_next_attempt_is_soon() -> None:
    story = begun()
    for line in ("after 350ms", "wall jumps -86400", "after 70s"):
        story.do(line)
    first = story.world.tries[0].firing
    assert [one.attempt for one in story.world.tries if one.firing == first] == [1, 2, 3]


def test_a_task_that_leaves_the_config_loses_the_firing_that_waits() -> None:
    story = begun(TASK.replace("retry=3/0.3", "retry=3/5"))
    for line in ("after 1s", "remove job", "task other", "supctl reload", "after 1s"):
        story.do(line)
    assert any("its task is no longer a triggered task of the config" in line for line in story.world.log)
    assert story.world.firings.firings() == []


def test_a_schedule_that_changes_keeps_the_firing_that_waits_for_its_next_attempt() -> None:
    story = told([
        "task job kind=triggered schedule=*/4_*_*_*_*_* retry=2/5", "job will exit 1 after 100ms",
        "job will exit 0 after 100ms", "start", "at 5s",
        "task job kind=triggered schedule=0_0_1_1_* retry=2/5", "supctl reload", "after 10s",
    ])  # fmt: skip
    assert [one.attempt for one in story.world.tries] == [1, 2]
