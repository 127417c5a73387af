"""The moments of schedules, compared with those of other programs, where these have the same rules.

croniter and systemd are asked in UTC only: they have rules of their own for daylight saving. They get the sets of the
fields as lists, because they read some ranges and steps in another way. Debian's cron was asked for the two nights of
Berlin; what it did is a table here.
"""

import random
import re
import shutil
import subprocess
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from triggers.walked_clock import FIELDS, FIRST, LAST, some_expression, values

from supervisor.config.cron import expression as checked
from supervisor.config.errors import Wrong
from supervisor.config.machine import Machine, Scope
from supervisor.triggers.cron import Cron

UTC_ZONE = ZoneInfo("UTC")
IN_A_ROW = 4


def good(text: str) -> bool:
    """Whether it fires at all."""
    try:
        checked(text, Scope(Machine({}), "/"))
    except Wrong:
        return False
    return True


def in_a_row(text: str, moment: int) -> list[int]:
    cron = Cron(text, UTC_ZONE)
    found = []
    for _ in range(IN_A_ROW):
        moment = int(cron.after(moment).at)
        found.append(moment)
    return found


def lists(text: str) -> list[str]:
    """The fields of an expression as lists; a star stays. A Sunday is 0."""
    fields = text.split()
    spans = FIELDS[-len(fields) :]
    sets = [values(field, *span) for field, span in zip(fields, spans, strict=True)]
    sets[-1] = {one % 7 for one in sets[-1]}
    return ["*" if field == "*" else ",".join(map(str, sorted(one))) for field, one in zip(fields, sets, strict=True)]


def test_croniter_agrees() -> None:
    """It does not know that a day field which begins with a star restricts the other one."""
    chance = random.Random("croniter")
    done = 0
    while done < 400:
        text = some_expression(chance, chance.choice((5, 6)))
        if not good(text) or any(text.split()[at].startswith("*") and text.split()[at] != "*" for at in (-3, -1)):
            continue
        start = chance.randrange(FIRST, LAST - 400 * 86400)
        other = croniter(" ".join(lists(text)), start, second_at_beginning=True)
        assert [int(other.get_next()) for _ in range(IN_A_ROW)] == in_a_row(text, start), f"{text!r} after {start}"
        done += 1


def calendar_of(text: str) -> str:
    """The expression as systemd.time(7) writes it."""
    *first, minute, hour, day, month, week = lists(text)
    names = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
    weekdays = "" if week == "*" else ",".join(names[int(one)] for one in week.split(",")) + " "
    return f"{weekdays}*-{month}-{day} {hour}:{minute}:{first[0] if first else 0}"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_agrees() -> None:
    """For systemd, both day fields must match; so one of them is a star."""
    chance = random.Random("systemd")
    start = 1_772_000_000
    texts: list[str] = []
    while len(texts) < 300:
        text = some_expression(chance, chance.choice((5, 6)))
        if good(text) and "*" in (text.split()[-3], text.split()[-1]):
            texts.append(text)
    begin = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = ["systemd-analyze", "calendar", f"--base-time={begin}", f"--iterations={IN_A_ROW}"]
    done = subprocess.run(
        [*words, *map(calendar_of, texts)], env={"TZ": "UTC", "LC_ALL": "C"}, capture_output=True, text=True, check=True
    )
    blocks = done.stdout.split("Normalized form:")[1:]
    assert len(blocks) == len(texts)
    for text, block in zip(texts, blocks, strict=True):
        moments = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", block)
        theirs = [round(datetime.fromisoformat(f"{moment}+00:00").timestamp()) for moment in moments]
        assert theirs == in_a_row(text, start), f"{text!r}, {calendar_of(text)!r}"


SPRING, AUTUMN = "2026-03-28 23:29 to 2026-03-29 02:39", "2026-10-24 22:29 to 2026-10-25 03:59"
"""The nights, in UTC. The clock of Berlin goes from 02:00 to 03:00 in the first, and from 03:00 to 02:00 in the second;
both happen at 01:00 UTC."""

DEBIAN = {
    "30 2 * * *": ("01:00", "00:30"),
    "0 2 * * *": ("01:00", "00:00"),
    "0 3 * * *": ("01:00", "02:00"),
    "15 2,3 * * *": ("01:00 01:15", "00:15 02:15"),
    "10-50/20 2 * * *": ("01:00 01:00 01:00", "00:10 00:30 00:50"),
    "30 1-4 * * *": ("00:30 01:00 01:30 02:30", "23:30 00:30 02:30 03:30"),
    "0 0-6 * * *": ("00:00 01:00 01:00 02:00", "23:00 00:00 02:00 03:00"),
    "*/15 * * * *": (
        "23:30 23:45 00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45 02:00 02:15 02:30",
        (
            "22:30 22:45 23:00 23:15 23:30 23:45 00:00 00:15 00:30 00:45 01:00 01:15 01:30 01:45 02:00 02:15 02:30 "
            "02:45 03:00 03:15 03:30 03:45"
        ),
    ),
    "*/30 2 * * *": ("", "00:00 00:30 01:00 01:30"),
    "0 * * * *": ("00:00 01:00 02:00", "23:00 00:00 01:00 02:00 03:00"),
    "0 */2 * * *": ("02:00", "00:00 01:00 03:00"),
    "*/20 2-3 * * *": ("01:00 01:20 01:40", "00:00 00:20 00:40 01:00 01:20 01:40 02:00 02:20 02:40"),
    "@hourly": ("00:00 01:00 02:00", "23:00 00:00 01:00 02:00 03:00"),
    "45 1-3/1 * * sun": ("00:45 01:00 01:45", "23:45 00:45 02:45"),
    "5 3 29,25 3,10 *": ("01:05", "02:05"),
    "59 2 * * 7": ("01:00", "00:59"),
}
"""When Debian's cron 3.0pl1-162 began the job of each expression in these nights, in UTC, to the minute.

It ran with /etc/localtime of Europe/Berlin, under libfaketime 0.9.10, at 60 times the speed. Each job wrote the real
time, from which the other one follows."""


@pytest.mark.parametrize("text", DEBIAN)
@pytest.mark.parametrize("night", [SPRING, AUTUMN])
def test_the_cron_of_debian_agrees(text: str, night: str) -> None:
    """It runs a job once for each time that the change skipped; here that is one firing which counts them."""
    begin, end = (round(datetime.fromisoformat(f"{one}+00:00").timestamp()) for one in night.split(" to "))
    cron, found = Cron(text, ZoneInfo("Europe/Berlin")), list[str]()
    while (due := cron.after(begin)).at <= end:
        begin = int(due.at)
        found += [datetime.fromtimestamp(begin, UTC).strftime("%H:%M")] * due.times
    assert found == DEBIAN[text][night is AUTUMN].split()
