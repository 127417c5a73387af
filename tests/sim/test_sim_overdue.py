"""The supervisor dies at each step while a task becomes overdue, and while it succeeds. Each is told, and none is lost.

Each is told once, unless the supervisor dies in the middle of the write of the journal: then it may be told twice.
"""

from collections.abc import Iterator

import pytest
from sim.invariants import Invariants
from sim.scenario import Scenario

CONFIG = ("supervisor notify", "task job kind=triggered expect=10", "job will exit 0 after 1s", "start")


def dying_at_each_call(*lines: str, then: str, torn: int = 0) -> Iterator[Scenario]:
    """The stories in which the supervisor dies at its first, second … call after `lines`, and the next one goes on."""
    for calls in range(1, 200):
        story = Scenario()
        for line in (*CONFIG, *lines, f"writes tear at {torn}%", f"crash in {calls} calls", *then.split("; ")):
            story.do(line)
        over = story.parent is not None
        if over:
            story.host.fuse = None
        else:
            story.do("start")
        story.do("at 60s")
        Invariants(story).check()
        yield story
        if over:
            return
    pytest.fail("the supervisor never got through")


def told(story: Scenario) -> list[str]:
    """What people were told. An alert that was sent twice has the same id."""
    found = {notice["id"]: notice for message in story.world.told for notice in message["notices"]}
    return [notice["what"] for notice in found.values()]


@pytest.mark.parametrize("torn", range(0, 100, 20))
def test_an_overdue_task_is_told_whenever_the_supervisor_dies(torn: int) -> None:
    found = [told(story) for story in dying_at_each_call("at 9s", then="at 11s", torn=torn)]
    assert {*map(frozenset, found)} == {frozenset({"overdue"})}
    assert len([one for one in found if one != ["overdue"]]) <= 1, "twice only if it dies in the write"


def test_a_success_is_not_lost_whenever_the_supervisor_dies() -> None:
    for story in dying_at_each_call("at 5s supctl run job", then="at 7s"):
        since = story.parent.context.fleet.last_runs.records()["job"].since if story.parent else None
        ran = [one["ended"] for one in story.world.spooled if one["task"] == "job" and one.get("success")]
        assert since is not None
        assert not ran or since == ran[-1]
        assert told(story) == ["overdue"]


def test_the_end_of_it_is_told_whenever_the_supervisor_dies() -> None:
    twice = 0
    for story in dying_at_each_call("at 15s supctl run job", then="at 16.5s"):
        found = told(story)
        ran = any(one.get("success") for one in story.world.spooled if one["task"] == "job")  # not if it died too early
        assert list(dict.fromkeys(found)) == ["overdue", *["recovered"] * ran]
        twice += len(found) != (3 if ran else 1)
    assert twice <= 1, "twice only if it dies in the write"


@pytest.mark.parametrize("moment", range(20))
def test_timekeeper_dies_at_each_moment(moment: int) -> None:
    story = Scenario()
    for line in (*CONFIG, "at 5s supctl run job --wait", f"at {6000 + moment}ms", "@timekeeper dies of SIGKILL"):
        story.do(line)
    for line in ("at 8s power fails", "at 1s start", "at 6s"):
        story.do(line)
    Invariants(story).check()
    record = story.parent.context.fleet.last_runs.records()["job"] if story.parent else None
    assert record
    assert (record.succeeded, record.overdue) == (True, False)
    story.do("at 9s")
    assert told(story) == ["overdue"]
