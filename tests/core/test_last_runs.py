"""When a triggered task is unwell: its last run failed, or none has succeeded within `expect`."""

import pytest

from supervisor.core.definition import Kind, Task, Timing
from supervisor.core.duration import lasting
from supervisor.core.instance import Outcome
from supervisor.core.last_runs import LastRuns, Record, Turn

HOUR = 3600.0
LATE = "no success for 26h (expected within 26h)"


def task(expect: float | None = 26 * HOUR, kind: Kind = Kind.TRIGGERED) -> Task:
    return Task("job", kind=kind, timing=Timing(expect=expect))


def made(expect: float | None = 26 * HOUR, record: Record | None = None, now: float = 0.0) -> LastRuns:
    """The runs of one task that the store knows by this record; None: it is new."""
    runs = LastRuns()
    runs.define([task(expect)], now)
    runs.restore("job", record, now)
    return runs


def run(at: float, reason: str = "exit 0", *, asked: str = "") -> Outcome:
    return Outcome(at, reason, reason == "exit 0", asked=asked)


def test_a_task_that_never_succeeds_is_overdue_from_when_it_came():
    runs = made(now=100.0)
    assert runs.next_deadline() == runs.due_at("job") == 100 + 26 * HOUR
    runs.expire(26 * HOUR)
    assert (runs.word("job"), runs.drain()[1]) == ("ok", [])
    runs.expire(100 + 26 * HOUR)
    assert (runs.word("job"), runs.drain()[1]) == ("unwell", [Turn("job", overdue=True, why=LATE)])
    assert runs.overdue("job", 31.5 * HOUR) == "no success for 31h28m (expected within 26h)"
    assert runs.next_deadline() is None, "it is told once"


def test_only_a_success_counts():
    runs = made()
    runs.ended("job", run(HOUR))
    runs.ended("job", run(20 * HOUR, "exit 1"))
    runs.ended("job", run(21 * HOUR, asked="the shutdown"))
    assert runs.due_at("job") == 27 * HOUR
    runs.expire(27 * HOUR)
    runs.drain()
    runs.ended("job", run(28 * HOUR, "exit 1"))
    assert runs.word("job") == "unwell"
    runs.ended("job", run(29 * HOUR))
    assert (runs.word("job"), runs.overdue("job", 29 * HOUR), runs.failed("job")) == ("ok", "", "")
    assert runs.drain()[1] == [Turn("job", overdue=False, why="a run has succeeded")]
    assert runs.next_deadline() == 55 * HOUR


def test_a_failure_makes_unwell_until_the_next_success_also_without_expect():
    runs = made(expect=None)
    assert runs.word("job") is None
    runs.ended("job", run(1, "exit 1"))
    runs.ended("job", run(2, "killed by SIGTERM", asked="stop requested by root"))
    assert (runs.word("job"), runs.failed("job")) == ("unwell", "exit 1")
    runs.ended("job", run(3))
    assert (runs.word("job"), runs.next_deadline()) == (None, None)


CONFIGS = [
    # expect before, what happens then, expect after, when it is overdue
    (None, None, HOUR, 110 + HOUR),  # never a success: from when the key came
    (None, run(50), HOUR, 50 + HOUR),
    (HOUR, None, 2 * HOUR, 2 * HOUR),  # another value is not a new key
    (HOUR, run(50), 2 * HOUR, 50 + 2 * HOUR),
    (HOUR, run(50), None, None),
]


@pytest.mark.parametrize(("before", "outcome", "after", "due"), CONFIGS)
def test_a_reload_changes_expect(before: float | None, outcome: Outcome | None, after: float | None, due: float | None):
    runs = made(before)
    if outcome:
        runs.ended("job", outcome)
    runs.define([task(after)], 110.0)
    assert runs.due_at("job") == due


def test_a_reload_may_end_it():
    runs = made(HOUR)
    runs.expire(HOUR)
    runs.drain()
    runs.define([task(3 * HOUR)], 2 * HOUR)
    assert (runs.word("job"), runs.due_at("job")) == ("ok", 3 * HOUR)
    assert runs.drain()[1] == [Turn("job", overdue=False, why="the config has changed")]
    runs.expire(3 * HOUR)
    runs.define([task(None)], 3 * HOUR)
    assert runs.word("job") is None
    assert [turn.overdue for turn in runs.drain()[1]] == [True, False]
    runs.define([task(kind=Kind.CONTINUOUS)], 3 * HOUR)
    assert runs.records() == {}
    assert runs.drain()[0] == {"job": None}


def test_nothing_is_overdue_before_the_store_has_spoken():
    runs = LastRuns()
    runs.define([task()], 0.0)
    runs.expire(1000 * HOUR)
    assert (runs.word("job"), runs.due_at("job"), runs.drain()[1]) == (None, None, [])
    runs.ended("job", run(1, "exit 1"))
    runs.restore("job", Record(-20 * HOUR, succeeded=True, expected=True), 2.0)
    assert (runs.due_at("job"), runs.failed("job")) == (6 * HOUR, "exit 1")


def test_what_is_known_is_not_restored_again():
    runs = made()
    runs.ended("job", run(5))
    runs.restore("job", Record(-20 * HOUR, succeeded=True, expected=True, overdue=True), 6.0)
    assert runs.due_at("job") == 5 + 26 * HOUR
    runs.restore("other", None, 6.0)
    assert set(runs.records()) == {"job"}


def test_it_is_not_told_again_after_a_restart():
    runs = made(record=Record(-30 * HOUR, succeeded=True, expected=True, overdue=True))
    assert (runs.word("job"), runs.drain()[1], runs.next_deadline()) == ("unwell", [], None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"), (1, "1s"), (90, "90s"), (120, "2m"), (3600, "60m"), (7200, "2h"), (86400, "24h"),
        (26 * HOUR, "26h"), (26 * HOUR + 0.001, "26h"), (31 * HOUR + 725, "31h12m"), (76 * HOUR, "3d4h"),
    ],
)  # fmt: skip
def test_long_durations(seconds: float, text: str):
    assert lasting(seconds) == text
