"""Read the moment at which a person wants a run: RFC 3339, or a local time in the zone of the task."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from supervisor.triggers.zone import Zone

ALLOWED = "allowed: 2026-12-24T18:00 or 18:00 in the time zone of the task, or RFC 3339 (2026-12-24T18:00:00+01:00)"

FARTHEST = 3650 * 86400.0
"""Seconds. A moment that is further away is a mistake."""

_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?", re.ASCII)


def moment_of(text: str, zone: str, now: float) -> float:
    """Return the moment in seconds since 1970.

    Args:
        text: as the person has typed it.
        zone: an IANA name; "": the zone of the host.
        now: seconds since 1970.

    Raises:
        ValueError: it is no time, is in the past or too far away, comes twice or does not exist; the text says what to
            write.
        OSError: there are no data of the zone.
    """
    data = Zone(zone)
    here = datetime.fromtimestamp(now, data.info)
    try:
        day = f"{here:%Y-%m-%d}T{text.zfill(5) if text[1:2] == ':' else text}"
        found = datetime.fromisoformat(day if _CLOCK.fullmatch(text) else text)
        whole = found if found.tzinfo else _local(found, data.info, data.name)
        moment = whole.timestamp()
    except _UnclearError as error:
        raise ValueError(f"{text!r} {error}") from None
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; {ALLOWED}") from None
    if "T" not in text and not _CLOCK.fullmatch(text):
        raise ValueError(f"{text!r} has no time of day; {ALLOWED}")
    if moment <= now:
        raise ValueError(
            f"{text!r} ({whole.isoformat()}) is in the past, by {_span(now - moment)}{_tomorrow(text, here)}"
        )
    if moment - now > FARTHEST:
        raise ValueError(f"{text!r} is more than ten years away")
    return moment


class _UnclearError(Exception):
    """A local time that comes twice, or never. The text says what to write."""


def _local(naive: datetime, info: ZoneInfo, name: str) -> datetime:
    """Return the only moment that a local time stands for.

    Raises:
        _UnclearError: see there.
    """
    first, second = (naive.replace(tzinfo=info, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if datetime.fromtimestamp(first.timestamp(), info).replace(tzinfo=None) == naive:
        raise _UnclearError(f"comes twice in {name}; write {first.isoformat()} or {second.isoformat()}")
    after = datetime.fromtimestamp(first.timestamp(), info)
    raise _UnclearError(f"does not exist in {name}, whose clocks go forward then; write {after.isoformat()}")


def _span(seconds: float) -> str:
    return str(timedelta(seconds=max(1, round(seconds))))


def _tomorrow(text: str, here: datetime) -> str:
    """Return what to write for a time of day that is over."""
    if not _CLOCK.fullmatch(text):
        return ""
    return f"; for tomorrow, write {here + timedelta(days=1):%Y-%m-%d}T{text.zfill(5)}"
