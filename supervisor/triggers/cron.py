"""Compute the moments at which a cron schedule is due, in a time zone with daylight saving.

The rules are those of Debian's cron (cron(8)), for expressions of five and of six fields alike:

- If neither the minute nor the hour field begins with `*`, the expression names *fixed* times of the day. A fixed time
  that a change of the clock skips is due at the change. A fixed time that comes twice is due the first time.
- Any other expression is an *interval*. It follows real time. A repeated hour is due again, a missing hour is not due.

`cronsim` parses the expressions and finds the days. It only gets local times without a zone, as its own handling of
zones has faults:

- It knows fixed times of five fields only.
- If it is asked in a repeated hour, it may answer with a time in the past.
- It loses times when a clock changes by half an hour.

All moments here are whole seconds since 1970 (UTC). So they can be compared without doubt; local times of a repeated
hour cannot (`datetime` ignores `fold` in a comparison).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from supervisor.core.firing import Due
from supervisor.triggers.interface import NeverDueError

STEP = 86400
"""Seconds between two looks for a change of the clock: no zone has two changes within a day."""

LONGEST_SKIP = 26 * 3600
"""Seconds that a change of the clock can skip or repeat. Samoa once left out a whole day (2011-12-30)."""

_ONE_VALUE = re.compile(r"\b(\w+)-\1(?:/\w+)?\b", re.IGNORECASE)
"""A range of one value, perhaps with a step. `cronsim` reads "8-8/5" as "8/5", which goes on to the end."""

_STEP_OF_TWO = re.compile("every second(?= (?:second|minute|hour|day|month))")
"""How `cronsim` says "*/2": "every second second" is hard to read."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of the local times without a zone that `cronsim` gets

WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The words that stand for an expression (crontab(5)). `@reboot` is none: it names no time."""


class Cron:
    """One cron expression in one time zone."""

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Parse the expression.

        Raises:
            CronSimError: it is no expression.
        """
        fields = _ONE_VALUE.sub(r"\1", WORDS.get(expression, expression))
        self._zone = zone
        self._times = CronSim(fields, _EPOCH)
        minute, hour = fields.split()[-5:-3]
        self.fixed = not minute.startswith("*") and not hour.startswith("*")

    @property
    def words(self) -> str:
        """Say when it is due, and how often on such a day."""
        text = _STEP_OF_TWO.sub("every other", self._times.explain()[:1].lower() + self._times.explain()[1:])
        if not self._times.day_and:  # cronsim says "and", but either day will do
            text = " or on ".join(text.rsplit(" and on ", 1))
        often = len(self._times.seconds) * len(self._times.minutes) * len(self._times.hours)
        return text + (f" ({often} times a day)" if often > 1 else "")

    def after(self, moment: int) -> Due:
        """Return the first due moment after `moment`.

        Raises:
            NeverDueError: there is none.
        """
        return self._fixed_after(moment) if self.fixed else Due(self._interval_after(moment), 1)

    def _interval_after(self, moment: int) -> int:
        since, local = moment, moment + self._offset(moment)
        while True:
            due = next(self._local_after(local)) - self._offset(since)
            change = self._change(since, due)
            if change is None:
                return due
            since, local = change, change + self._offset(change) - 1  # the moment of the change may be due itself

    def _fixed_after(self, moment: int) -> Due:
        changed = self._offset(moment) != self._offset(moment - LONGEST_SKIP)
        start = moment - LONGEST_SKIP if changed else moment
        first, times = 0, 0
        for local in self._local_after(start + self._offset(start)):
            at = self._moment(local)
            if times and at != first:
                break
            if at > moment:
                first, times = at, times + 1
        return Due(first, times)

    def _local_after(self, local: int) -> Iterator[int]:
        """Yield the local times after `local` that the fields name, as seconds since 1970 without an offset."""
        self._times.dt = _EPOCH + timedelta(seconds=local)
        for time in self._times:
            yield round((time - _EPOCH).total_seconds())
        raise NeverDueError("no such day within 50 years")

    def _moment(self, local: int) -> int:
        """Return the first moment with this local time; the moment of the change if a change skips it."""
        time = (_EPOCH + timedelta(seconds=local)).replace(tzinfo=self._zone)
        at = local - _seconds(time.utcoffset())
        change = None if at + self._offset(at) == local else self._change(at - LONGEST_SKIP, at)
        return at if change is None else change

    def _offset(self, moment: int) -> int:
        """Return the seconds by which local time is ahead of UTC."""
        return _seconds(datetime.fromtimestamp(moment, self._zone).utcoffset())

    def _change(self, since: int, until: int) -> int | None:
        """Return the first moment after `since`, and not after `until`, with another offset than `since` has."""
        offset = self._offset(since)
        for low in range(since, until, STEP):
            span = range(low + 1, min(low + STEP, until) + 1)
            if self._offset(span[-1]) != offset:
                return span[bisect_left(span, True, key=lambda moment: self._offset(moment) != offset)]
        return None


def _seconds(offset: timedelta | None) -> int:
    return round(offset.total_seconds()) if offset else 0
