"""The moments of schedules, compared with a clock that is walked (`walked_clock`).

More expressions, and other ones:

    SCHEDULES=20000 SCHEDULES_SEED=7 python3 tests/run.py tests/triggers
"""

import os
import random
from zoneinfo import ZoneInfo

import pytest
from triggers.walked_clock import ZONES, Walk, parts, some_expression, some_moments

from supervisor.config.cron import expression as checked
from supervisor.config.errors import Wrong
from supervisor.config.machine import Machine, Scope
from supervisor.triggers.cron import Cron

COUNT = int(os.environ.get("SCHEDULES", "1200"))
SEED = int(os.environ.get("SCHEDULES_SEED", "1"))
GROUPS = 12
"""Of the expressions: a group is a test of its own."""

CHAIN = 5
"""Due moments in a row that are compared from each place on."""


def compare(text: str, zone: str, chance: random.Random, places: int) -> None:
    walk, cron = Walk(text), Cron(text, ZoneInfo(zone))
    for start in some_moments(chance, zone, places):
        moment = start
        for _ in range(CHAIN):
            if (expected := walk.after(moment, zone)) is None:  # after the last year
                break
            due = cron.after(moment)
            assert (due.at, due.times) == expected, f"{text!r} in {zone} after {moment}, begun at {start}"
            moment = due.at


@pytest.mark.parametrize("group", range(GROUPS))
def test_it_is_due_when_the_walked_clock_says_so(group: int) -> None:
    """Random expressions of five and of six fields, each in two zones, around changes of the clock and elsewhere."""
    chance = random.Random(f"{SEED}/{group}")
    done = 0
    while done < COUNT // GROUPS:
        text = some_expression(chance, chance.choice((5, 5, 6)))
        try:
            checked(text, Scope(Machine({}), "/"))
        except Wrong:  # it never fires
            continue
        for zone in chance.sample(ZONES, 2):
            compare(text, zone, chance, 4)
        done += 1


FIXED = (
    "0 0 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "0 2,3 * * *",
    "*,30 2 * * *",
    "15 1-3/1 * * sun",
    "59 23 * * *",
    "5/10 1,2 * * *",
)
INTERVALS = ("* * * * *", "*/7 * * * *", "0 * * * *", "0 */2 * * *", "* 2 * * *", "*/30 1-3 * * *", "*/20 * * * * *")


@pytest.mark.parametrize("zone", ZONES)
def test_each_change_of_seven_years(zone: str) -> None:
    """From an hour before each change to some hours after it, for expressions that people write."""
    for text in (*FIXED, *INTERVALS):
        walk, cron = Walk(text), Cron(text, ZoneInfo(zone))
        for part in parts(zone)[1:]:
            for moment in (part.begin * 60 - 3601, part.begin * 60 - 1, part.begin * 60, part.begin * 60 + 1799):
                due = cron.after(moment)
                assert (due.at, due.times) == walk.after(moment, zone), f"{text!r} in {zone} after {moment}"
