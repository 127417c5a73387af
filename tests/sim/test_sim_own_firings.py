"""`on` and `autostart`, while the supervisor and @timekeeper die at every step: each cause makes exactly one firing."""

from collections import Counter

import pytest
from sim.deaths import EACH, dying_at_each_call
from sim.scenario import Scenario
from sim.test_sim_firings import told
from sim.world import Being

from supervisor.core.events import Status

TASKS = (
    "task web initial=0.5",
    "task tell kind=triggered on=web.failed overlap=queue",
    "task hello kind=triggered autostart=yes",
)


def begun(*lines: str) -> Scenario:
    """A continuous task that fails each second. Each failure fires another one; nothing fires twice."""
    story = Scenario()
    story.world.will["web:1"].extend([Being(lives=0.5, status=Status(3))] * 400)
    story.world.will["tell:1"].extend([Being(lives=0.1, status=Status(0))] * 400)
    story.world.will["hello:1"].extend([Being(lives=0.1, status=Status(0))] * 400)
    for line in (*TASKS, *lines):
        story.do(line)
    return story


def go_on(story: Scenario) -> None:
    """Come up again, if something died, run for a while, and let the last failure be told."""
    if story.parent is None:
        story.do("start")
    for line in ("after 5s", "supctl stop web", "after 3s"):
        story.do(line)


def failures(story: Scenario) -> set[str]:
    """The runs that have failed, as the history was told since the last orderly start."""
    return {one["run"] for one in story.world.spooled if one.get("task") == "web" and not one["stopped"]}


def check(story: Scenario, *, starts: int = 1, before: frozenset[str] = frozenset()) -> None:
    """Each failure was told once, and each start has said hello."""
    failed = failures(story) | before
    assert failed
    told_of = [one.firing.removeprefix("tell/on/") for one in story.world.tries if one.firing.startswith("tell/")]
    assert max(Counter(told_of).values()) == 1, told_of
    assert set(told_of) >= failed, f"not told: {failed - set(told_of)}"
    hello = [one.firing for one in story.world.tries if one.firing.startswith("hello/")]
    assert len(hello) == len(set(hello)) == starts, hello


def test_each_failure_fires_once() -> None:
    story = begun()
    story.do("start")
    go_on(story)
    check(story)


def test_the_supervisor_dies_at_each_call_of_its_first_seconds() -> None:
    for story in dying_at_each_call(lambda: begun("start"), "after 2s"):
        go_on(story)
        check(story)


@pytest.mark.parametrize("also", ["", "crash"])
def test_timekeeper_dies_at_each_moment(also: str) -> None:
    for moment in [*range(30), *range(490, 520)][::EACH]:
        story = begun()
        for line in (
            "start",
            f"after {moment * 0.5 if moment < 30 else moment}ms",
            "@timekeeper dies of SIGKILL",
            also,
        ):
            story.do(line)
        go_on(story)
        check(story)


def test_the_disk_is_full_for_a_while() -> None:
    story = begun()
    for line in ("firings full", "start", "after 5s", "firings free", "after 2s"):
        story.do(line)
    go_on(story)
    check(story)


def test_a_shutdown_keeps_what_was_not_told() -> None:
    """The run that the shutdown stops has not failed."""
    for moment in range(0, 1200, 50 * EACH):
        story = begun()
        for line in ("start", "after 200ms", "firings full", f"after {moment}ms"):
            story.do(line)
        before = frozenset(failures(story))
        for line in ("SIGTERM", "after 2s", "firings free"):
            story.do(line)
        go_on(story)
        check(story, starts=2, before=before)


def test_the_death_of_the_machine_during_a_run_is_a_failure() -> None:
    story = told([
        "task job kind=triggered", "task tell kind=triggered on=job.failed", "start", "supctl run job", "at 1s",
        "power fails", "start", "after 2s",
    ])  # fmt: skip
    assert [one.firing.split("/")[0] for one in story.world.tries] == ["job", "tell"]
