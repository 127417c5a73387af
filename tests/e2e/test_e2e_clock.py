"""Real programs under a clock that the test sets: both changes of daylight saving, and steps of the clock.

libfaketime adds an offset to the clock of all processes, and reads it from a file each time. The monotonic clock stays
the real one, as in a machine whose clock is set. The kernel does not know of it, so the test itself does what the
kernel would do then: it ends the timers that wait for that (`clock_jumps`).
"""

import ctypes
import glob
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from lab import Lab, wait_for

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")

pytestmark = pytest.mark.skipif(not LIBRARY, reason="there is no libfaketime")

_libc = ctypes.CDLL(None, use_errno=True)

PIDFD_GETFD = 438
"""The system call: the same number on every architecture."""

HOUR, DAY = 3600.0, 86400.0


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Clock:
    """The wall clock of a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.file = lab.dir / "clock"
        self.offset = 0.0
        lab.env |= {
            "LD_PRELOAD": LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }
        self._write()

    def now(self) -> float:
        return time.time() + self.offset

    def starts_at(self, moment: str) -> None:
        """No supervisor runs yet, or any more."""
        self.offset = seconds(moment) - time.time()
        self._write()

    def step(self, by: float) -> None:
        """Set the clock under the living processes."""
        self.offset += by
        self._write()
        for pid in (self.lab.pid, self.lab.helper("timekeeper")):
            end_timers(pid)

    def _write(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.offset:+f}")
        new.rename(self.file)


def end_timers(pid: int) -> None:
    """Have each timerfd of a process expire: it is the same timer for whoever has a descriptor of it."""
    process = os.pidfd_open(pid)
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            if "timerfd" not in os.readlink(f"/proc/{pid}/fd/{fd}"):
                continue
            ours = _libc.syscall(PIDFD_GETFD, process, int(fd), 0)
            assert ours >= 0, os.strerror(ctypes.get_errno())
            _libc.timerfd_settime(ours, 0, (ctypes.c_long * 4)(0, 0, 0, 1), None)
            os.close(ours)
    os.close(process)


@pytest.fixture
def clock(lab: Lab) -> Clock:
    return Clock(lab)


def task(name: str, schedule: str, **keys: str) -> str:
    more = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return f'[task.{name}]\ncommand = "true"\nschedule = "{schedule}"\ntimezone = "Europe/Berlin"\n{more}'


def fired(lab: Lab, name: str) -> dict[str, Any]:
    return lab.until("fired", task=name)


def due(lab: Lab, name: str) -> list[str]:
    """The due times of the firings so far, each of which must be there once."""
    found = [event["due"] for event in lab.events if event["event"] == "fired" and event["task"] == name]
    assert max(Counter(found).values(), default=1) == 1, found
    return found


def following(lab: Lab, name: str) -> str:
    """The next firing, as `supctl schedule` shows it."""
    return str(lab.ctl("schedule", name, "--json").json["tasks"][0]["next"])


def test_the_hour_that_spring_skips(lab: Lab, clock: Clock) -> None:
    clock.starts_at("2026-03-29T00:59:56+00:00")
    lab.start(task("fixed", "30 2 * * *") + task("three", "0 3 * * *") + task("interval", "* * * * * *"))
    assert fired(lab, "fixed")["due"] == "2026-03-29T01:00:00.000Z"
    while fired(lab, "interval")["due"] < "2026-03-29T01:00:03":
        pass
    assert due(lab, "fixed") == due(lab, "three") == ["2026-03-29T01:00:00.000Z"]
    assert following(lab, "fixed") == "2026-03-30T00:30:00.000Z"
    assert following(lab, "three") == "2026-03-30T01:00:00.000Z"
    of_interval = [round(seconds(moment)) for moment in due(lab, "interval")]
    assert of_interval == list(range(of_interval[0], of_interval[-1] + 1)), "each second of real time"


def test_the_hour_that_autumn_repeats(lab: Lab, clock: Clock) -> None:
    """The clock is set forward over the rest of the first hour: so the second one is there within seconds."""
    clock.starts_at("2026-10-25T00:29:57+00:00")
    lab.start(task("fixed", "30 2 * * *") + task("interval", "*/30 * * * *"))
    assert fired(lab, "fixed")["due"] == fired(lab, "interval")["due"] == "2026-10-25T00:30:00.000Z"
    clock.step(seconds("2026-10-25T01:29:58+00:00") - clock.now())
    assert fired(lab, "interval")["due"] == "2026-10-25T01:00:00.000Z"
    assert fired(lab, "interval")["due"] == "2026-10-25T01:30:00.000Z"
    assert due(lab, "fixed") == ["2026-10-25T00:30:00.000Z"], "02:30 came again"
    assert following(lab, "fixed") == "2026-10-26T01:30:00.000Z"


def test_the_clock_is_set_back_an_hour(lab: Lab, clock: Clock) -> None:
    """What has fired does not fire again; an interval from run to run goes on at once."""
    clock.starts_at("2026-06-01T10:00:00+00:00")
    lab.start(task("tick", "* * * * * *") + '[task.beat]\ncommand = "true"\nevery = "200ms"\n')
    before = [fired(lab, "tick")["due"] for _ in range(3)]
    clock.step(-HOUR)
    for _ in range(10):
        fired(lab, "beat")
    assert len(due(lab, "tick")) <= len(before) + 3, "those that were on their way"
    clock.step(HOUR)
    newest = max(due(lab, "tick"))
    assert fired(lab, "tick")["due"] > newest
    due(lab, "tick")


def test_the_clock_is_set_forward_an_hour(lab: Lab, clock: Clock) -> None:
    """One run stands for all that was missed."""
    clock.starts_at("2026-06-01T10:00:00+00:00")
    lab.start(task("tick", "* * * * * *") + task("minutely", "* * * * *"))
    for _ in range(2):
        fired(lab, "tick")
    clock.step(HOUR)
    assert fired(lab, "minutely")["due"] >= "2026-06-01T10:59"
    while fired(lab, "tick")["due"] < "2026-06-01T11:00:04":
        pass
    assert len(due(lab, "minutely")) <= 2
    assert len(due(lab, "tick")) < 20
    due(lab, "tick")


@pytest.mark.parametrize("days", [-400, -2, 1, 3, 370])
def test_the_clock_is_set_by_days(days: int, lab: Lab, clock: Clock) -> None:
    """A step back by more than a day makes the schedule begin anew; one forward is caught up, if it is not too old."""
    clock.starts_at("2026-06-01T10:00:00+00:00")
    lab.start(task("tick", "* * * * * *") + task("daily", "0 9 * * *"))
    for _ in range(2):
        fired(lab, "tick")
    clock.step(days * DAY)
    begin = datetime.fromtimestamp(clock.now() - 1, UTC).isoformat()
    while not begin <= fired(lab, "tick")["due"]:
        pass
    due(lab, "tick")
    assert due(lab, "daily") == ([f"{begin[:10]}T07:00:00.000Z"] if days > 0 else [])


def test_the_machine_sleeps_for_an_hour(lab: Lab, clock: Clock) -> None:
    """Everything stands still, and the monotonic clock as well. What was due is one run, and an interval goes on."""
    clock.starts_at("2026-06-01T10:00:00+00:00")
    lab.start(task("minutely", "* * * * *") + '[task.beat]\ncommand = "true"\nevery = "1h"\n')
    wait_for(lambda: following(lab, "beat") != "None")
    everything = [lab.pid, *lab.processes(helpers=True)]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    clock.step(HOUR)
    for pid in everything:
        os.kill(pid, signal.SIGCONT)
    assert fired(lab, "minutely")["due"] >= "2026-06-01T10:59"
    lab._seen = 0  # the two come in any order
    assert fired(lab, "beat")["due"].startswith("2026-06-01T11:00")
    assert len(due(lab, "minutely")) <= 2
    counted = lab.ctl("schedule", "minutely", "--json").json["tasks"][0]
    assert counted["ran"] + counted["skipped"] == 60, "each minute is counted"


@pytest.mark.parametrize("by", [-HOUR, HOUR, -2 * DAY, DAY])
def test_the_clock_is_set_while_the_supervisor_is_down(by: float, lab: Lab, clock: Clock) -> None:
    clock.starts_at("2026-06-01T10:00:00+00:00")
    lab.start(task("tick", "*/2 * * * * *") + task("hourly", "0 * * * *"))
    before = [fired(lab, "tick")["due"] for _ in range(2)]
    lab.hang_up()
    lab.end()
    clock.offset += by
    clock._write()
    lab.start()
    if by == -HOUR:
        clock.step(HOUR)  # nothing is due for an hour
    again = [fired(lab, "tick")["due"] for _ in range(3)]
    assert not set(before) & set(again)
    assert sorted(again) == again
    assert len(due(lab, "hourly")) == (by > 0)
    assert "Traceback" not in lab.stderr
