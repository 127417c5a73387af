"""What a person types as `--at`."""

import re
from datetime import datetime

import pytest

from supervisor.triggers.moment import moment_of

ZONE = "Europe/Berlin"
NOW = datetime.fromisoformat("2026-12-01T12:00:00+01:00").timestamp()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("18:00", "2026-12-01T18:00:00+01:00"),
        ("18:00:30", "2026-12-01T18:00:30+01:00"),
        ("2026-12-24T18:00", "2026-12-24T18:00:00+01:00"),
        ("2027-07-01T06:00:01", "2027-07-01T06:00:01+02:00"),
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+00:00"),
        ("2026-12-24T18:00:00.250-05:00", "2026-12-24T18:00:00.250-05:00"),
        ("2027-10-31T02:30:00+01:00", "2027-10-31T02:30:00+01:00"),
        ("2027-10-31T03:00", "2027-10-31T03:00:00+01:00"),
        ("2027-03-28T03:00", "2027-03-28T03:00:00+02:00"),
    ],
)
def test_a_time(text: str, means: str) -> None:
    assert moment_of(text, ZONE, NOW) == datetime.fromisoformat(means).timestamp()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9:00", "(2026-12-01T09:00:00+01:00) is in the past, by 3:00:00; for tomorrow, write 2026-12-02T09:00"),
        ("12:00", "is in the past, by 0:00:01"),
        ("2026-11-30T12:00", "is in the past, by 1 day, 0:00:00"),
        ("2027-10-31T02:30", "comes twice in Europe/Berlin; write 2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01"),
        ("2027-03-28T02:30", "whose clocks go forward then; write 2027-03-28T03:30:00+02:00"),
        ("2026-12-24", "has no time of day"),
        ("25:00", "is no time; allowed"),
        ("tomorrow", "is no time; allowed"),
        ("", "is no time; allowed"),
        ("\udcff", "is no time; allowed"),
        ("²2:00", "is no time; allowed"),
        ("9999-12-31T23:59", "more than ten years away"),
        ("0001-01-01T00:00", "in the past"),
        ("2026-12-24T18:00:00+99:00", "is no time; allowed"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        moment_of(text, ZONE, NOW)


def test_a_zone_that_is_not_there() -> None:
    with pytest.raises((ValueError, OSError)):
        moment_of("18:00", "Nowhere/At_All", NOW)
