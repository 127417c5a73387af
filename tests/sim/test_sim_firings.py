"""Promise 10: the supervisor, @timekeeper and the machine die at every step; no firing is lost or doubled.

The truth is the clock: a schedule of each second is due at each second. Each of these times must be in one run, or in
one visible skip, whatever died meanwhile.
"""

import json
from collections import Counter
from typing import Any

import pytest
from sim.deaths import EACH, dying_at_each_call
from sim.scenario import Scenario
from sim.world import Being

from supervisor.core.events import Status
from supervisor.core.firing import Due
from supervisor.core.states import State
from supervisor.helpers import planner
from supervisor.triggers.schedule import Schedule

SECONDS = 12

STEADY = "task tick kind=triggered schedule=*_*_*_*_*_* catch_up=all max_parallel=3 overlap=allow"


def told(lines: list[str]) -> Scenario:
    story = Scenario()
    for line in lines:
        story.do(line)
    return story


def begun(task: str = STEADY) -> Scenario:
    """A schedule has fired for some seconds; each run takes 300 ms."""
    story = Scenario()
    for number in (1, 2, 3):
        story.world.will[f"tick:{number}"].extend([Being(lives=0.3, status=Status(0))] * 100)
    for line in (task, "start", "at 3s"):
        story.do(line)
    return story


def go_on(story: Scenario) -> None:
    """Come up again, if something died, and run for a while."""
    if story.parent is None:
        story.do("start")
    story.do(f"after {SECONDS}s")


def account(story: Scenario) -> tuple[dict[int, str], Counter[str]]:
    """How each due time ended, and how many runs each firing began."""
    rows = story.world.firings._db.execute("SELECT due, reason, run FROM over ORDER BY due")
    ended = {round(due): f"ran: {reason}" if run else reason for due, reason, run in rows}
    began = Counter(firing for firing, _, _ in story.world.ran)
    return ended, began


def check(story: Scenario, *, skips: bool = False) -> None:
    """Each second between the first and the last has one end, and no firing has begun twice."""
    ended, began = account(story)
    assert len(ended) >= SECONDS, ended
    missing = set(range(min(ended), max(ended) + 1)) - set(ended)
    assert not missing, f"lost: {sorted(missing)}; ended: {ended}"
    assert max(began.values()) == 1, f"doubled: {began}"
    ran = {int(firing.rpartition("/")[2]) for firing in began}
    untrue = {due: how for due, how in ended.items() if how.startswith("ran: exit") and due not in ran}
    assert not untrue, f"said to have run, but never began: {untrue}"
    unknown = {due: how for due, how in ended.items() if due not in ran and "interrupted" not in how}
    assert skips or not unknown, f"never began: {unknown}"
    if not skips:
        assert all(how.startswith("ran: ") for how in ended.values()), ended


def test_without_a_death_each_second_is_one_run() -> None:
    story = begun()
    go_on(story)
    check(story)


def test_the_supervisor_dies_at_each_call_of_two_seconds() -> None:
    for story in dying_at_each_call(begun, "after 2s"):
        go_on(story)
        check(story)


@pytest.mark.parametrize("also", ["", "crash", "power fails"])
def test_timekeeper_dies_at_each_moment(also: str) -> None:
    """Its steps take half a millisecond or one: receive, commit, answer."""
    for moment in range(0, 40, EACH):
        story = begun()
        story.do(f"after {990 + moment * 0.5}ms")
        story.do("@timekeeper dies of SIGKILL")
        if also:
            story.do(also)
        go_on(story)
        check(story)


def test_the_machine_dies_at_each_moment() -> None:
    """A run that was on is reported as interrupted, not repeated: nobody knows how far it came."""
    interrupted = 0
    for moment in range(0, 1000, 20):
        story = begun()
        story.do(f"after {moment}ms")
        story.do("power fails")
        for number in (1, 2, 3):
            story.world.will[f"tick:{number}"].extend([Being(lives=0.3, status=Status(0))] * 100)
        go_on(story)
        check(story)
        ended, _ = account(story)
        interrupted += any("interrupted" in how for how in ended.values())
    assert interrupted > 10


def test_a_shutdown_and_a_start_at_each_moment() -> None:
    for moment in range(0, 1000, 50 * EACH):
        story = begun()
        story.do(f"after {moment}ms")
        story.do("SIGTERM")
        story.do("after 2s")
        go_on(story)
        check(story)


def test_the_disk_is_full_for_a_while() -> None:
    story = begun()
    story.do("firings full")
    story.do("after 3s")
    story.do("firings free")
    go_on(story)
    check(story)


def test_the_runtime_directory_is_full_for_a_while() -> None:
    """No run begins then, and the loop sleeps although firings are due."""
    story = begun()
    story.do("journal full")
    story.do("after 5s")
    story.do("journal free")
    go_on(story)
    check(story)


@pytest.mark.parametrize("catch_up", ["one", "none"])
def test_what_was_missed_during_a_freeze_is_skipped_or_one_run(catch_up: str) -> None:
    story = begun(f"task tick kind=triggered schedule=*_*_*_*_*_* catch_up={catch_up}")
    story.do("supctl freeze")
    story.do("after 5s")
    story.do("supctl thaw")
    go_on(story)
    check(story, skips=True)
    ended, _ = account(story)
    assert sum("missed" in how for how in ended.values()) == (4 if catch_up == "one" else 5)


def test_the_clock_is_set_back_an_hour_and_nothing_fires_twice() -> None:
    story = begun()
    story.do("wall jumps -3600")
    story.do("after 59m")
    assert max(account(story)[1].values()) == 1
    story.do("after 2m")
    check(story)


def test_the_clock_is_set_forward_and_what_was_missed_is_caught_up() -> None:
    story = begun("task tick kind=triggered schedule=*_*_*_*_* catch_up=one")
    story.do("wall jumps 3600")
    story.do("after 5m")
    ended, began = account(story)
    assert sum(how.startswith("ran") for how in ended.values()) in (5, 6), ended
    assert max(began.values()) == 1


def test_what_is_too_old_takes_no_place_of_what_is_caught_up() -> None:
    """Three days down, and each quarter of an hour of the last one is run."""
    story = Scenario()
    story.world.will["tick:1"].extend([Being(lives=0.3, status=Status(0))] * 500)
    for line in (
        "task tick kind=triggered schedule=*/15_*_*_*_* catch_up=all",
        "start",
        "after 1h",
        "SIGTERM",
        "after 1s",
    ):
        story.do(line)
    story.do("wall jumps 259200")
    story.do("start")
    story.do("after 10m")
    rows = list(story.world.firings._db.execute("SELECT due, times, run FROM over ORDER BY due"))
    recent = story.world.wall_time - 86400
    assert all(run for due, _, run in rows if due > recent + 600)
    assert sum(1 for due, _, run in rows if run and due > recent) in (95, 96, 97)
    assert not any(run for due, _, run in rows if rows[0][0] + 3600 < due < recent - 600)
    assert sum(times for _, times, _ in rows) == (rows[-1][0] - rows[0][0]) / 900 + 1, "each is counted"


def test_a_clock_that_is_set_forward_by_a_year_does_not_keep_it_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Counter[str]()
    after = Schedule.after

    def counted(self: Schedule, moment: float) -> Due:
        asked["after"] += 1
        return after(self, moment)

    monkeypatch.setattr(Schedule, "after", counted)
    monkeypatch.setattr(planner, "COUNTED", 500)
    story = begun("task tick kind=triggered schedule=*_*_*_*_*_* catch_up_within=600")
    story.do("wall jumps 31536000")
    story.do("after 5s")
    assert asked["after"] < planner.CHUNK + 600 + 100
    assert "warning: tick: more than 500 due times were missed; not all are counted" in story.world.log
    now = story.world.wall_time
    assert sum(1 for firing, _, _ in story.world.ran if float(firing.rpartition("/")[2]) > now - 5) >= 4


def test_a_run_that_a_shutdown_cut_off_is_not_repeated_if_the_shutdown_is_killed() -> None:
    for moment in range(0, 1000, 100 * EACH):
        story = begun("task slow")
        story.world.will["slow:1"].append(Being(stops=None))
        story.do(STEADY)
        story.do("supctl reload")
        story.do(f"after {2000 + moment}ms")
        story.do("SIGTERM")
        story.do("after 500ms")
        story.do("crash")
        go_on(story)
        check(story)


def test_a_clock_that_was_a_year_ahead_during_a_start_does_not_silence_a_schedule() -> None:
    story = Scenario()
    for number in (1, 2, 3):
        story.world.will[f"tick:{number}"].extend([Being(lives=0.3, status=Status(0))] * 100)
    for line in (STEADY, "wall jumps 31536000", "start", "after 3s", "SIGTERM", "after 1s", "wall jumps -31536000"):
        story.do(line)
    before = len(story.world.ran)
    go_on(story)
    assert len(story.world.ran) >= before + SECONDS - 2
    assert any("clock that was far ahead" in line for line in story.world.log)


@pytest.mark.parametrize("schedule", ["0_0_*_*_*", "0_0_*_*_4", "0_0_19_11_*"])
def test_a_rare_firing_does_not_fire_again_after_the_clock_was_set_back(schedule: str) -> None:
    """The next one is days or a year away. (The story begins on a Wednesday.)"""
    story = Scenario()
    story.world.will["tick:1"].extend([Being(lives=0.3, status=Status(0))] * 9)
    for line in (
        f"task tick kind=triggered timezone=UTC schedule={schedule}", "start", "at 13h", "wall jumps -3600", "after 3h",
    ):  # fmt: skip
        story.do(line)
    assert len(story.world.ran) == 1
    assert not any("far ahead" in line for line in story.world.log)


def test_firings_that_wait_in_a_queue_stay_over_a_reload_and_a_death_of_timekeeper() -> None:
    story = Scenario()
    story.world.will["tick:1"].extend([Being(lives=100.0, status=Status(0))] * 20)
    for line in ("task tick kind=triggered schedule=*/20_*_*_*_*_* overlap=queue", "start", "at 5m"):
        story.do(line)
    waiting = len(story.parent.firing_runs.firings.waiting("tick"))
    assert waiting > 5
    for line in ("task other", "supctl reload", "@timekeeper dies of SIGKILL", "after 2s"):
        story.do(line)
    assert len(story.parent.firing_runs.firings.waiting("tick")) >= waiting
    assert not any("missed" in how for how in account(story)[0].values())


def test_the_counts_are_those_of_the_firings() -> None:
    story = begun("task tick kind=triggered schedule=*_*_*_*_*_* catch_up=one")
    story.do("supctl freeze")
    story.do("after 30s")
    story.do("supctl thaw")
    story.do("after 5s")
    counts = story.world.firings.counts(["tick"])["tick"]
    ended, _ = account(story)
    assert counts["ran"] + counts["skipped"] == len(ended)


@pytest.mark.parametrize("overlap", ["skip", "queue"])
@pytest.mark.parametrize("outage", ["crash", "stall 5s", "firings full"])
def test_after_a_short_outage_each_firing_runs_with_catch_up_all(overlap: str, outage: str) -> None:
    """Firings that became due one after another do not count as overlapping each other."""
    story = Scenario()
    story.world.will["tick:1"].extend([Being(lives=0.05, status=Status(0))] * 200)
    line = f"task tick kind=triggered schedule=*_*_*_*_*_* catch_up=all overlap={overlap}"
    for one in (line, "start", "at 3s", outage, "after 5s", "firings free"):
        story.do(one)
    go_on(story)
    check(story, skips=overlap == "skip")
    ended, _ = account(story)
    assert not any("missed" in how for how in ended.values()), ended
    assert all(how.startswith("ran") or "was still on" in how for how in ended.values()), ended


# -- what people are told ---------------------------------------------------------------------------------------------


def events(story: Scenario, *kinds: str) -> list[dict[str, Any]]:
    found = [json.loads(line)["event"] for line in story.parent.context.feed.since(None)]
    return [one for one in found if one["event"] in kinds]


def history_of(story: Scenario) -> set[str]:
    """The ids of the skipped firings that the history was told of."""
    return {record["firing"] for record in story.world.spooled if "skipped" in record}


@pytest.mark.parametrize("line", [
    "task tick kind=triggered schedule=*_*_*_*_*_* catch_up=none",
    "task tick kind=triggered schedule=*_*_*_*_*_* catch_up=one",
])  # fmt: skip
def test_the_history_has_each_skip_whenever_the_supervisor_dies(line: str) -> None:
    """A skip is in the history before it is final; one that was not final may have become a run."""
    calls = 0
    while True:
        calls += 2
        story = begun(line)
        story.world.will["tick:1"].clear()
        story.world.will["tick:1"].extend([Being(lives=2.5, status=Status(0))] * 100)
        story.do(f"crash in {calls} calls")
        story.do("after 2s")
        if story.parent is not None:
            break
        go_on(story)
        rows = story.world.firings._db.execute("SELECT id FROM over WHERE run IS NULL").fetchall()
        assert len(rows) > 3
        assert {identity for (identity,) in rows} <= history_of(story)
    assert calls > 20


@pytest.mark.parametrize("catch_up", ["one", "none"])
def test_a_long_freeze_is_told_in_two_events(catch_up: str) -> None:
    """The first missed firing has an event. The next run tells their number."""
    story = begun(f"task tick kind=triggered schedule=*_*_*_*_*_* catch_up={catch_up}")
    story.do("supctl freeze")
    story.do("after 60s")
    before = events(story, "missed", "skipped")
    story.do("supctl thaw")
    story.do("after 2s")
    (first,) = events(story, "missed", "skipped")
    assert first["event"] == ("missed" if catch_up == "one" else "skipped")
    assert before == [first]
    assert ("frozen" if catch_up == "one" else "missed") in first["why"]
    fired = next(one for one in events(story, "fired") if one["skipped"])
    assert fired["skipped"] == (59 if catch_up == "one" else 60)
    assert fired["missed"] == (60 if catch_up == "one" else 0)
    assert len(history_of(story)) == fired["skipped"]


def test_a_late_firing_is_missed_and_says_by_how_much() -> None:
    story = begun("task tick kind=triggered schedule=*/5_*_*_*_* catch_up=one")
    story.do("crash")
    story.do("after 10m")
    go_on(story)
    (missed,) = events(story, "missed")
    assert "s late" in missed["why"]
    assert missed["late_s"] > 60
    (fired,) = events(story, "fired")
    run = next(one for one in story.world.spooled if one.get("firing") == fired["firing"])
    assert run["late"] == pytest.approx(fired["late_s"], abs=0.01)
    assert run["due"] == pytest.approx(story.world.wall_time - SECONDS - run["late"], abs=5)
    assert (run["missed"], fired["missed"], fired["skipped"]) == (2, 2, 1)


@pytest.mark.parametrize("calls", [0, *range(1, 20)])
def test_a_firing_that_is_stopped_between_two_runs_is_over_in_the_history_too(calls: int) -> None:
    """Also if the supervisor dies meanwhile."""
    story = Scenario()
    story.world.will["tick:1"].append(Being(lives=0.1, status=Status(1)))
    for line in ("task tick kind=triggered schedule=*_*_*_*_* restart=on-failure initial=10", "start", "at 21s"):
        story.do(line)
    assert story.parent.context.fleet.instances["tick:1"].state == "backoff"
    for line in [f"crash in {calls} calls"] * bool(calls) + ["supctl stop tick"]:
        story.do(line)
    go_on(story)
    rows = story.world.firings._db.execute("SELECT id FROM over WHERE run IS NULL").fetchall()
    assert account(story)[0] or calls
    assert {identity for (identity,) in rows} <= history_of(story)


@pytest.mark.parametrize("end", ["crash", "SIGTERM"])
def test_firings_that_wait_their_turn_are_not_missed_because_of_a_restart(end: str) -> None:
    """They were on time, so they run in order, one run each, as if there had been no restart."""
    story = Scenario()
    story.world.will["tick:1"].extend([Being(lives=60.0, status=Status(0))] * 20)
    for line in ("task tick kind=triggered schedule=*/20_*_*_*_*_* overlap=queue", "start", "at 5m", "after 1s"):
        story.do(line)
    waiting = [one.firing.id for one in story.parent.firing_runs.firings.waiting("tick")]
    assert len(waiting) > 5
    for line in (end, "after 2m", "start", "after 1s"):
        story.do(line)
    found = story.parent.firing_runs.firings.waiting("tick")
    assert [one.firing.id for one in found if not one.missed][: len(waiting) - 1] == waiting[1:]
    story.do("after 10m")
    ran = [firing for firing, _, _ in story.world.ran]
    assert ran[-len(waiting) :] == sorted(ran)[-len(waiting) :]
    assert not {identity for identity in waiting if identity not in ran} - {one.firing.id for one in found}


def test_a_newer_firing_replaces_one_that_waits_for_its_restart() -> None:
    story = Scenario()
    story.world.will["tick:1"].append(Being(lives=0.1, status=Status(1)))
    line = "task tick kind=triggered schedule=*_*_*_*_* overlap=replace restart=on-failure initial=3600 max=3600"
    for one in (line, "start", "after 1m"):
        story.do(one)
    assert story.parent.context.fleet.instances["tick:1"].state is State.BACKOFF
    story.do("after 1m")
    assert story.parent.context.fleet.instances["tick:1"].state is State.RUNNING
    (how,) = account(story)[0].values()
    assert how == "ran: exit 1; not restarted: stopped by a newer firing (overlap)"
