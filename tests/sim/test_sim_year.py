"""A year of 300 schedules: each due time is one run or one visible skip, whatever happens meanwhile.

The supervisor, its helper and the machine die, are away for days, and are frozen. The clock is set, tasks change. In
the end, each due time of each schedule is computed anew, and compared with the ends of all firings.

    SIMULATION_FIRST=7 SIMULATION_YEARS=1 pytest tests/sim/test_sim_year.py      a certain year
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from sim.deaths import SEEDS
from sim.scenario import Scenario
from sim.world import Being

from supervisor.core.definition import Timing
from supervisor.core.events import Status
from supervisor.triggers.schedule import Schedule

FIRST = int(os.environ.get("SIMULATION_FIRST", "1"))
YEARS = int(os.environ.get("SIMULATION_YEARS", "1" if SEEDS >= 1000 else "0"))

TASKS = 300
INCIDENTS = 150
YEAR = 365 * 86400.0
DAY, HOUR = 86400.0, 3600.0

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "America/Santiago")


class Run(deque):  # type: ignore[type-arg]
    """The next runs of one instance, without an end: most take a while, some fail, a few take long."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self.rng = rng

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Being:
        rng = self.rng
        lives = rng.choice((0.3, 5.0, 60.0, 600.0, 600.0, 7200.0))
        return Being(lives=lives, status=Status(0 if rng.random() < 0.9 else 1))


class Runs(dict):  # type: ignore[type-arg]
    """By instance."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self.rng = rng

    def __missing__(self, key: str) -> deque[Being]:
        return deque() if key.startswith("@") else Run(self.rng)


def expression(rng: Random) -> str:
    """One that is due from once to some hundred times a year."""
    minute, hour = rng.randint(0, 59), rng.choice((0, 1, 2, 2, 3, rng.randint(0, 23)))
    day, month, weekday = rng.randint(1, 31), rng.randint(1, 12), rng.randint(0, 6)
    roll = rng.random()
    if roll < 0.005:
        return f"*/30 */6 * * {weekday}"
    if roll < 0.02:
        return f"{minute} {hour} * * *"
    if roll < 0.15:
        return f"{minute} {hour} * * {weekday}"
    if roll < 0.2:
        return f"{rng.randint(0, 59)} {minute} {hour} * * {weekday}"
    if roll < 0.7:
        return f"{minute} {hour} {day} * *"
    if roll < 0.72:
        return f"{minute} {hour} {day} * {weekday}"
    return f"*/20 {hour} {min(day, 28)} {month},{(month + 5) % 12 + 1} *"


class Spool(list):  # type: ignore[type-arg]
    """All that the history was ever told, also before a shutdown or a boot."""

    def __init__(self) -> None:
        super().__init__()
        self.earlier: list[dict[str, Any]] = []

    def clear(self) -> None:
        self.earlier += self
        super().clear()


class Year:
    """One year, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.story = Scenario()
        self.told: list[str] = []
        self.story.world.will = Runs(rng)
        self.story.world.spooled = self.spool = Spool()
        self.story.world.firings._db.executescript("""
            CREATE TEMP TABLE ends (task TEXT, trigger TEXT, id TEXT, due REAL, times INTEGER, run TEXT, reason TEXT);
            CREATE TEMP TRIGGER note AFTER INSERT ON main.over BEGIN
                INSERT INTO ends VALUES (new.task, new.trigger, new.id, new.due, new.times, new.run, new.reason);
            END;
        """)
        self.newest = self.story.world.wall_time  # the latest moment that the clock has shown
        self.spans: dict[str, list[tuple[float, float, Schedule]]] = {}
        self.current: dict[str, tuple[float, Schedule]] = {}

    def do(self, line: str) -> None:
        self.told.append(line)
        self.story.do(line)
        self.newest = max(self.newest, self.story.world.wall_time)

    def define(self, numbers: Iterable[int]) -> None:
        """Write tasks, whose due times begin now."""
        *lines, last = map(self.task, numbers)
        self.told += lines
        for line in lines:
            self.story.draft.write(line.split())
        self.do(last)

    def task(self, number: int) -> str:
        """Draw a task."""
        rng, name, now = self.rng, f"job{number}", self.story.world.wall_time
        words = [f"task {name} kind=triggered"]
        words += [f"overlap={rng.choice(('skip', 'queue', 'latest', 'replace', 'allow'))}"] * (rng.random() < 0.5)
        words += [f"catch_up={rng.choice(('none', 'one', 'all'))}"] * (rng.random() < 0.5)
        words += [f"catch_up_within={rng.choice((60, 3600, 259200))}"] * (rng.random() < 0.3)
        words += [f"max_parallel={rng.choice((2, 3))}"] * (rng.random() < 0.2)
        words += [f"max_waiting={rng.choice((1, 3))}"] * (rng.random() < 0.2)
        words += [f"jitter={rng.choice((5, 600))}"] * (rng.random() < 0.2)
        words += ["retry=2/30"] * (rng.random() < 0.1)
        if name in self.current:
            since, schedule = self.current.pop(name)
            self.spans.setdefault(name, []).append((since, now, schedule))
        if number % 15 == 0:
            words.append(f"every={rng.choice((3, 10, 30)) * int(DAY)}")
        else:
            text, zone = expression(rng), rng.choice(ZONES)
            words.append(f"schedule={text.replace(' ', '_')} timezone={zone}")
            self.current[name] = (now, Schedule(Timing(schedule=(text,), timezone=zone)))
        return " ".join(words)

    def pass_time(self) -> None:
        """Until the next incident."""
        self.do(f"after {round(self.rng.expovariate(INCIDENTS / YEAR))}s")

    def away(self) -> None:
        """The supervisor is down for a while, and comes up."""
        rng = self.rng
        self.do(f"after {rng.choice((0, 1, 60, 3600, 86400, 86400 * 2))}s")
        self.do("start")
        self.do("after 10s")

    def incident(self) -> None:
        """Something happens, drawn by its weight."""
        kinds = {
            self.dies: 35, self.shuts_down: 10, self.loses_power: 5, self.is_frozen: 10, self.clock_is_set: 10,
            self.helper_dies: 10, self.disk_is_full: 5, self.stalls: 5, self.tasks_change: 10,
        }  # fmt: skip
        self.rng.choices(list(kinds), list(kinds.values()))[0]()
        if self.story.parent is None:
            self.away()

    def dies(self) -> None:
        """At once, or at a call to its host. It may stay away, and die again while it comes up."""
        self.do(self.rng.choice(("crash", *[f"crash in {self.rng.randint(1, 200)} calls"] * 2)))
        self.do(f"after {self.rng.choice((1, 3600))}s")
        if self.story.parent is not None:
            self.story.host.fuse = None

    def shuts_down(self) -> None:
        self.do("SIGTERM")
        self.do("after 11s")

    def loses_power(self) -> None:
        self.do("power fails")

    def is_frozen(self) -> None:
        """All tasks, or one."""
        self.do(self.rng.choice(("supctl freeze", f"supctl freeze job{self.rng.randrange(TASKS)}")))
        self.do(f"after {self.rng.choice((10, 3600, 86400 * 2))}s")
        self.do("supctl thaw '*'")
        self.do("supctl thaw")

    def clock_is_set(self) -> None:
        self.do(f"wall jumps {self.rng.choice((-7200, -3600, -61, -1, 1, 61, 3600, 86400))}")

    def helper_dies(self) -> None:
        self.do("@timekeeper dies of SIGKILL")

    def disk_is_full(self) -> None:
        self.do("firings full")
        self.do(f"after {self.rng.choice((1, 600))}s")
        self.do("firings free")

    def stalls(self) -> None:
        self.do(f"stall {self.rng.choice((3, 20))}s" + self.rng.choice(("", " all")))

    def tasks_change(self) -> None:
        """Not while the clock shows a time that it has shown before: a new schedule begins at the latest one.

        A firing of the old schedule that waits is dropped. The reload says how many are.
        """
        if self.story.world.wall_time >= self.newest:
            numbers = self.rng.sample(range(TASKS), 3)
            self.define(numbers)
            self.story.world.firings._db.executemany(
                "INSERT INTO ends SELECT task, trigger, id, due, times, run, 'dropped' FROM firings"
                " WHERE task = ? AND trigger = 'schedule' AND run IS NULL AND attempt = 1 AND due <= ?",
                [(f"job{number}", self.story.world.wall_time) for number in numbers],
            )
            self.do("supctl reload")

    def run(self) -> None:
        self.define(range(TASKS))
        self.do("start")
        until = self.story.world.wall_time + YEAR
        while self.story.world.wall_time < until:
            self.pass_time()
            if self.story.parent is None:
                self.away()
            self.incident()
        for line in ("firings free", "supctl thaw", "after 144h"):
            self.do(line)

    def check(self) -> int:
        """Compare what has become of the firings with the clock. Return the number of firings."""
        for name, (since, schedule) in self.current.items():
            self.spans.setdefault(name, []).append((since, self.newest, schedule))
        tries = Counter((one.firing, one.attempt, one.interrupted) for one in self.story.world.tries)
        doubled = [one for one, count in tries.items() if count > 1]
        assert not doubled, f"an attempt of a firing has become several runs: {doubled}"
        rows = self.story.world.firings._db.execute("SELECT * FROM ends ORDER BY due").fetchall()
        began = {one.firing for one in self.story.world.tries}
        for _, _, identity, _, _, run, reason in rows:
            assert bool(run) == (identity in began) or "interrupted" in reason, f"{identity}: {run}, {reason}"
        history = {record["firing"] for record in [*self.spool.earlier, *self.spool] if "skipped" in record}
        assert {row[2] for row in rows if not row[5] and row[6] != "dropped"} <= history, "a skip is not in the history"
        rows += self.story.world.firings._db.execute(  # those that wait, or run
            "SELECT task, trigger, id, due, times, run, 'not over' FROM firings WHERE due <= ?", (self.newest,)
        ).fetchall()
        for name, spans in self.spans.items():
            mine = sorted((row[3], row[4], row[6]) for row in rows if row[:2] == (name, "schedule"))
            self._covered(name, spans, mine)
        return len(rows)

    def _covered(
        self, name: str, spans: list[tuple[float, float, Schedule]], ends: list[tuple[float, int, str]]
    ) -> None:
        """Check that each due time has one end. A firing stands for its own due time, and for missed ones before it."""
        left = deque[tuple[float, int]]()
        for since, until, schedule in spans:
            due = schedule.after(since)
            while due.at <= until:
                left.append((due.at, due.times))
                due = schedule.after(due.at)
        for due, times, reason in ends:
            found = 0
            while left and left[0][0] <= due:
                found += left.popleft()[1]
            assert found == times, f"{name}: {found} due times up to {due}, but the firing is for {times}: {reason}"
        assert not left, f"{name}: no end of {list(left)}"


@pytest.mark.bound(600)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + YEARS))
def test_each_due_time_of_a_year_is_one_run_or_one_skip(seed: int) -> None:
    year = Year(seed)
    try:
        year.run()
        assert year.check() > 10 * TASKS
    except Exception as error:
        error.add_note(f"seed {seed}, as a story:\n\n" + "\n".join(year.told))
        raise
