"""Decisions about the firings of a task: their order, and their cost when very many wait."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from core.make import fleet, instance

from supervisor.core import firings as under_test
from supervisor.core.definition import CatchUp, Kind, Overlap, Task, Timing
from supervisor.core.firing import Firing
from supervisor.core.firings import Decision, Firings, Keep, Miss, Skip, Stop, Take
from supervisor.core.fleet import Fleet
from supervisor.core.freeze import HOLD, Freeze
from supervisor.core.states import State

WALL = 1_000_000.0


def job(**timing: object) -> Task:
    made: dict[str, Any] = {"overlap": Overlap.QUEUE, "catch_up": CatchUp.ALL, "max_waiting": 10**6, **timing}
    return Task("job", command=("true",), kind=Kind.TRIGGERED, timing=Timing(schedule=("* * * * *",), **made))


def firing(number: int, *, on_time: bool = False, late: float = 0.0) -> Firing:
    return Firing(f"job/{number:06}", "job", "schedule", WALL - late, WALL - late, on_time=on_time)


def of_one(task: Task, state: State) -> Fleet:
    """A fleet with one instance, job:1."""
    return fleet(instance(state, task))


def taken(decisions: list[Decision]) -> list[str]:
    return [one.firing.id for one in decisions if isinstance(one, Take)]


def waiting(count: int, task: Task) -> tuple[Firings, Fleet]:
    """So many firings that wait for the end of a run."""
    firings, busy = Firings(4), of_one(task, State.RUNNING)
    for number in range(count):
        firings.add(firing(number, on_time=True))
    firings.decide(busy, WALL, changed=True)
    assert len(firings.waiting("job")) == count
    return firings, busy


def test_those_that_wait_run_in_order() -> None:
    task = job()
    firings, _ = waiting(5, task)
    idle = of_one(task, State.STOPPED)
    order = []
    while found := taken(firings.decide(idle, WALL, changed=True)):
        order += found
        assert firings.pop_taken(found[0])
    assert order == [f"job/{number:06}" for number in range(5)]


def test_one_that_was_taken_and_is_released_keeps_its_turn() -> None:
    task = job()
    firings, _ = waiting(3, task)
    idle = of_one(task, State.STOPPED)
    assert taken(firings.decide(idle, WALL, changed=True)) == ["job/000000"]
    firings.release("job/000000")
    assert [one.firing.id for one in firings.waiting("job")] == [f"job/{number:06}" for number in range(3)]
    assert taken(firings.decide(idle, WALL, changed=True)) == ["job/000000"]


def test_missed_ones_and_those_on_time_run_in_the_order_in_which_they_became_due() -> None:
    task = job()
    firings, busy = Firings(4), of_one(task, State.RUNNING)
    for number, late in ((0, 500.0), (1, 400.0), (2, 0.0)):
        firings.add(firing(number, late=late))
        firings.decide(busy, WALL, changed=True)
    firings.add(firing(3, late=300.0))
    firings.extend({"job": WALL + 1})
    firings.decide(busy, WALL, changed=True)
    assert [one.missed for one in firings.waiting("job")] == [True, True, False, True]
    idle, order = of_one(task, State.STOPPED), []
    while found := taken(firings.decide(idle, WALL, changed=True)):
        order += found
        firings.pop_taken(found[0])
    assert order == [f"job/{number:06}" for number in range(4)]


def test_only_one_that_is_on_time_and_waits_is_kept_as_such() -> None:
    task = job()
    firings, idle = Firings(4), of_one(task, State.STOPPED)
    firings.add(firing(0))
    assert [type(one) for one in firings.decide(idle, WALL, changed=True)] == [Take], "it runs at once"
    firings.add(firing(1))
    firings.add(firing(2, late=300.0))
    found = firings.decide(idle, WALL, changed=True)
    assert [one for one in found if isinstance(one, Keep)] == [Keep(firing(1))], "the other was missed"
    firings.add(firing(3, on_time=True, late=300.0))
    assert firings.decide(idle, WALL, changed=True) == [], "the store has it so"
    assert not firings.waiting("job")[-1].missed


def test_a_hold_passes_firings_by_hand_and_keeps_the_others_in_order() -> None:
    """Those that waited before the hold stay on time. One that is due during the hold is missed."""
    task = job()
    firings, _ = waiting(2, task)
    for number in (2, 3):
        firings.add(Firing(f"job/{number:06}", "job", "manual", WALL, WALL, on_time=True))
    idle = of_one(task, State.STOPPED)
    idle.hold(Freeze("job", HOLD, "root", "2026-11-21T14:02:11Z", "why"))
    order: list[str] = []
    while found := taken(firings.decide(idle, WALL, changed=True)):
        order += found
        firings.pop_taken(found[0])
    assert order == ["job/000002", "job/000003"]
    firings.add(firing(4, late=5.0))
    (missed,) = firings.decide(idle, WALL, changed=True)
    assert isinstance(missed, Miss)
    assert [one.missed for one in firings.waiting("job")] == [False, False, True]
    assert {one.why for one in firings.waiting("job")} == {idle.holds[0].says}
    idle.release(idle.holds)
    firings.extend({"job": WALL + 1})
    while found := taken(firings.decide(idle, WALL, changed=True)):
        order += found
        firings.pop_taken(found[0])
    assert order[2:] == ["job/000000", "job/000001", "job/000004"]


def test_a_hold_of_long_ago_is_missed_by_too_much_only_at_the_release() -> None:
    firings, idle = Firings(4), of_one(job(catch_up_within=60.0), State.STOPPED)
    idle.hold(Freeze("", HOLD, "root", "2026-11-21T14:02:11Z"))
    firings.add(firing(0, late=5000.0))
    firings.extend({"job": WALL + 1})
    assert [type(one) for one in firings.decide(idle, WALL, changed=True)] == [Miss]
    idle.release(idle.holds)
    assert [type(one) for one in firings.decide(idle, WALL, changed=True)] == [Skip]


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_what_was_on_time_before_a_restart_is_not_skipped(catch_up: CatchUp) -> None:
    firings, busy = Firings(4), of_one(job(catch_up=catch_up, max_waiting=2), State.RUNNING)
    for number in range(4):
        firings.add(firing(number, on_time=True, late=9000.0 - number))
    assert firings.decide(busy, WALL, changed=True) == []
    assert len(firings.waiting("job")) == 4


@pytest.mark.parametrize("state", [State.RUNNING, State.BACKOFF, State.HELD, State.STARTING])
def test_replace_stops_whatever_is_in_the_way(state: State) -> None:
    firings = Firings(4)
    firings.add(firing(0))
    found = firings.decide(of_one(job(overlap=Overlap.REPLACE), state), WALL, changed=True)
    assert [one.key for one in found if isinstance(one, Stop)] == ["job:1"]
    assert not any(isinstance(one, Skip) for one in found)


def steps(act: Any) -> int:
    """How many lines of the module a call runs: its work, on any machine."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != under_test.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("overlap", [Overlap.QUEUE, Overlap.ALLOW])
def test_the_work_of_a_decision_does_not_depend_on_how_many_firings_wait(overlap: Overlap) -> None:
    def cost(count: int) -> list[int]:
        task = job(overlap=overlap)
        firings, busy = waiting(count, task)
        idle = of_one(task, State.STOPPED)
        firings.add(firing(count))
        costs = [steps(lambda: firings.decide(busy, WALL, changed=True))]
        for _ in range(3):  # each begins, and ends
            costs.append(steps(lambda: firings.decide(idle, WALL, changed=True)))
            first = firings.waiting("job")[0]
            costs.append(steps(lambda first=first: firings.pop_taken(first.firing.id)))
        costs.append(steps(lambda: firings.waiting("job", 1)))
        return costs

    assert cost(3000) == cost(10)
