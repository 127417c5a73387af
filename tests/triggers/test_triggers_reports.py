"""Trouble that other schedulers had in public, tried here. Each test has the report in its first line.

Most of them are stories in virtual time: the whole parent, a real planner and a real store, on a machine whose clock
stands at the moment of the report.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sim.scenario import Scenario
from sim.world import WALL, Being

from supervisor.config import judge
from supervisor.core.events import Status

LINES, LINES_OF_A_RUN = 400, 5
"""More lines in the log of a story are a flood."""


def moment(text: str) -> float:
    """Seconds since 1970 of a time in UTC."""
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


class Night:
    """A story that begins at this moment (UTC)."""

    def __init__(self, begin: str, *tasks: str, lives: float = 1.0) -> None:
        self.story = Scenario()
        self.being = Being(lives=lives, status=Status(0))
        self.does(f"wall jumps {moment(begin) - WALL}", *tasks)

    def does(self, *lines: str) -> None:
        for line in lines:
            for task in self.story.draft.tasks:
                will = self.story.world.will[f"{task}:1"]
                will.extend([self.being] * (100 - len(will)))
            self.story.do(line)

    def until(self, end: str) -> None:
        left = moment(end) - self.story.world.wall_time
        while left > 0:  # in parts, so that each run finds how it behaves
            part = min(left, 1800.0)
            self.does(f"after {part}s")
            left -= part

    def rows(self, task: str) -> list[tuple[float, float, int, str | None, str]]:
        columns = "due, at, times, run, reason"
        return list(
            self.story.world.firings._db.execute(f"SELECT {columns} FROM over WHERE task = ? ORDER BY number", [task])
        )

    def ran(self, task: str = "job") -> list[str]:
        """The due times of the firings that became a run, in UTC."""
        began = [firing for firing, _, _ in self.story.world.ran if firing.startswith(f"{task}/")]
        log = self.story.world.log
        assert len(log) < LINES + LINES_OF_A_RUN * len(began), log[-20:]
        assert len(set(began)) == len(began), f"twice: {began}"
        return [f"{datetime.fromtimestamp(due, UTC):%d %H:%M}" for due, _, _, run, _ in self.rows(task) if run]


def task(schedule: str, zone: str = "UTC", **keys: object) -> str:
    more = " ".join(f"{key}={value}" for key, value in keys.items())
    return f"task job kind=triggered schedule={schedule.replace(' ', '_')} timezone={zone} {more}"


# -- daylight saving --------------------------------------------------------------------------------------------------


def test_a_time_that_the_change_skips_does_not_run_thousands_of_times() -> None:
    """nomad 5410: a job at 02:00 in New York was evaluated without a pause from 07:00 UTC on, on 2019-03-10."""
    night = Night("2019-03-10 05:30", task("0 2 * * *", "America/New_York"), "start")
    night.until("2019-03-11 12:00")
    assert night.ran() == ["10 07:00", "11 06:00"]


def test_a_job_of_each_hour_does_not_flood_the_log_at_the_change() -> None:
    """supercronic 86: "not starting: job is still running" 40 GB long, in Los Angeles on 2021-03-14."""
    night = Night("2021-03-14 07:30", task("0 * * * *", "America/Los_Angeles"), "start")
    night.until("2021-03-14 13:30")
    assert night.ran() == ["14 08:00", "14 09:00", "14 10:00", "14 11:00", "14 12:00", "14 13:00"]


@pytest.mark.parametrize(
    ("schedule", "ran"),
    [
        ("0 * * * *", ["30 23:00", "31 00:00", "31 01:00", "31 02:00", "31 03:00"]),
        ("0 0 * * *", ["31 00:00"]),
        ("0 1 * * *", ["31 01:00"]),
        ("30 1 * * *", ["31 01:00"]),
    ],
)
def test_a_zone_whose_summer_is_its_standard_time_makes_no_loop(schedule: str, ran: list[str]) -> None:
    """systemd 32039: timers in Dublin, whose winter has negative DST, fired without a pause on 2024-03-31 at 00:00."""
    night = Night("2024-03-30 22:30", task(schedule, "Europe/Dublin"), "start")
    night.until("2024-03-31 03:30")
    assert night.ran() == ran


def test_a_time_that_the_change_skips_is_not_left_out() -> None:
    """systemd 5595: a timer at 02:00 in New York did not run at all on 2017-03-12."""
    night = Night("2017-03-12 05:30", task("0 2 * * *", "America/New_York"), "start")
    night.until("2017-03-13 05:00")
    assert night.ran() == ["12 07:00"]


def test_each_minute_of_a_repeated_hour_fires() -> None:
    """systemd 8647: "minutely" did not run in the second 02:00 to 03:00 of Sydney on 2018-04-01."""
    night = Night("2018-03-31 14:59", task("* * * * *", "Australia/Sydney"), "start")
    night.until("2018-03-31 17:00")
    hours = [due.split()[1][:2] for due in night.ran()]
    assert (hours.count("15"), hours.count("16")) == (60, 60)


def test_a_missing_hour_does_not_end_the_day() -> None:
    """systemd 13745: every four hours from 02:30 on; nothing ran in Sydney on 2019-10-06, after 02:30 was skipped."""
    night = Night("2019-10-05 13:00", task("30 2/4 * * *", "Australia/Sydney"), "start")
    night.until("2019-10-06 12:00")
    assert night.ran() == ["05 16:00", "05 19:30", "05 23:30", "06 03:30", "06 07:30", "06 11:30"]


# -- clocks that are wrong --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["*/15 * * * *", "0 * * * *", "5,35 * * * *"])
def test_a_clock_that_is_set_back_by_years_does_not_silence_a_schedule(schedule: str) -> None:
    """systemd 6036: the next elapse stayed where the old clock had it, "3 years left"."""
    night = Night("2026-03-01 10:50", task(schedule), "start")
    night.until("2026-03-01 13:10")
    before = len(night.ran())
    night.does(f"wall jumps {moment('2024-02-01 10:50') - night.story.world.wall_time}")
    night.until("2024-02-01 13:10")
    assert len(night.ran()) - before >= 2


@pytest.mark.parametrize("restart", [False, True])
def test_a_machine_that_booted_in_2098_fires_when_its_clock_is_right(restart: bool) -> None:
    """systemd 13513: booted with the clock at 2098-01-01, the trigger stayed there, also over a restart of it."""
    night = Night("2098-01-01 00:10", task("0 */2 * * *"), "start", "after 5s")
    if restart:
        night.does("SIGTERM", "after 1s")
    night.does(f"wall jumps {moment('2019-09-02 09:33') - night.story.world.wall_time}")
    if restart:
        night.does("start")
    night.until("2019-09-02 14:30")
    assert night.ran() == ["02 10:00", "02 12:00", "02 14:00"]


# -- restarts, deploys, downtimes -------------------------------------------------------------------------------------


def test_a_long_jitter_and_frequent_boots_do_not_starve_a_task() -> None:
    """systemd 21166: with a random delay of many hours, and a boot every few hours, a daily timer hardly ever ran."""
    night = Night("2026-03-01 23:30", task("0 0 * * *", jitter=20 * 3600), "start")
    for day in range(2, 7):
        for hour in (3, 7, 11, 15, 19, 23):
            night.until(f"2026-03-0{day} {hour:02}:00")
            night.does("power fails", "start")
    assert night.ran() == ["02 00:00", "03 00:00", "04 00:00", "05 00:00", "06 00:00"]


def test_more_than_a_hundred_missed_times_do_not_end_a_schedule() -> None:
    """kubernetes 42649: "too many missed start times to list" after a night in which the cluster was down."""
    night = Night("2026-03-01 19:57", task("* * * * *"), "start")
    night.until("2026-03-01 20:00")
    night.does("SIGTERM", "after 1s")
    night.until("2026-03-02 08:00")
    before = len(night.ran())
    night.does("start")
    night.until("2026-03-02 08:10:30")
    assert len(night.ran()) - before in (10, 11)
    assert sum(times for _, _, times, _, _ in night.rows("job")) == 733, (
        "each minute is counted, those of the night as well"
    )


def test_a_restart_in_another_zone_than_utc_fires_nothing_by_itself() -> None:
    """nomad 2721: a periodic job with a time zone ran at each election of a leader, hours before it was due."""
    night = Night("2017-06-20 08:00", task("0 15 * * *", "Europe/Paris"), "start")
    for hour in (9, 10, 11, 12):
        night.until(f"2017-06-20 {hour:02}:21")
        night.does("crash" if hour % 2 else "SIGTERM", "after 1s", "start")
    night.until("2017-06-20 14:00")
    assert night.ran() == ["20 13:00"]


@pytest.mark.parametrize("death", ["crash", "SIGHUP"])
def test_a_run_that_is_on_counts_after_a_restart(death: str) -> None:
    """nomad 14505: the next period began a second run beside the first, although overlaps were forbidden."""
    night = Night("2026-03-01 10:50", task("51 * * * *"), "start", lives=4 * 3600.0)
    night.until("2026-03-01 10:55")
    night.does(death, "after 1s", *(["start"] if death == "crash" else []))
    for hour in (11, 12, 13):
        night.until(f"2026-03-01 {hour}:52")
        assert len(night.story.world.living("job:1")) == 1
    assert len(night.story.world.ran) == 1
    skipped = [reason for _, _, _, run, reason in night.rows("job") if not run]
    assert len(skipped) == 3, skipped


@pytest.mark.parametrize("after", [1, 50])
def test_a_time_that_falls_into_a_deploy_is_not_lost(after: int) -> None:
    """sidekiq-cron 111, good_job 1484: the old process had just ended, the new one began just after the time."""
    night = Night("2026-03-01 11:59", task("0 12 * * *"), "start", "after 58s", "SIGTERM")
    night.does(f"after {2 + after}s", "start", "after 10s")
    assert night.ran() == ["01 12:00"]


def test_a_new_schedule_fires_nothing_at_its_start() -> None:
    """redbeat 81: a job for 08:00 ran at once when the scheduler started at 07:59, and again at 08:00."""
    night = Night("2018-02-01 07:59", task("0 8 * * *"), "start", "after 50s")
    assert night.ran() == []
    night.until("2018-02-02 07:00")
    assert night.ran() == ["01 08:00"]


@pytest.mark.parametrize("death", ["SIGTERM", "crash"])
def test_deploys_do_not_begin_an_interval_anew(death: str) -> None:
    """sidekiq-scheduler 251: with a deploy more often than the interval, "every: 1h" never ran."""
    night = Night("2026-03-01 10:00", "task job kind=triggered every=3600", "start")
    for minutes in range(20, 241, 20):
        night.until(f"2026-03-01 {10 + minutes // 60}:{minutes % 60:02}")
        night.does(death, "after 1s", "start")
    night.until("2026-03-01 14:10")
    assert len(night.ran()) in (4, 5)


def test_a_schedule_goes_on_after_any_number_of_deaths() -> None:
    """dkron 998: after a change of the leader no scheduled job ran any more."""
    night = Night("2026-03-01 10:00", task("* * * * *", catch_up="all"), "start")
    for number in range(30):
        night.does("after 61s", ("crash", "@timekeeper dies of SIGKILL", "power fails")[number % 3])
        if night.story.parent is None:
            night.does("start")
    night.does("after 130s")
    due = [round(due) for due, _, _, _, _ in night.rows("job")]
    assert sorted(due) == list(range(min(due), max(due) + 1, 60)), "each minute, once"
    assert night.story.world.wall_time - max(due) < 120


# -- load, and people -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2, 30])
def test_a_run_that_is_late_is_not_dropped(seconds: int) -> None:
    """APScheduler 182: "run time of job was missed by 0:00:01.2" on a busy machine, and it did not run."""
    night = Night("2017-01-16 11:34", task("* * * * *", catch_up="none"), "start", "after 59s")
    night.does(f"stall {seconds}s all", "after 20s")
    assert night.ran() == ["16 11:35"]


def test_a_star_for_the_seconds_is_noticed(tmp_path: Path) -> None:
    """ofelia 234: "* */15 * * * *", meant as every 15 minutes, began containers for a whole minute."""
    path = tmp_path / "c.toml"
    path.write_text('[task.job]\ncommand = "/bin/true"\nschedule = "* */15 * * * *"\n')
    warnings = " ".join(judge(str(path), {}).warnings)
    assert '"* */15 * * * *" fires each second of such a minute; "0 */15 * * * *" fires once' in warnings
