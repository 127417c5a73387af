"""A clock that is walked: the due moments of an expression by brute force, to compare with those of the program.

Each hour of the years 2024 to 2030 is converted to local time. Where the offset differs from that of the hour before,
each second between the two is. Each local minute is compared with the fields of the expression.

Nothing here is shared with the program: not the reading of an expression, not the days, not the changes of the clock.
"""

import random
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

ZONES = (
    "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Pacific/Apia", "Pacific/Chatham", "Antarctica/Troll",
    "America/New_York", "Asia/Tehran", "UTC", "Africa/Casablanca",
)  # fmt: skip

FIELDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

FIRST, LAST = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2031))
DAY = 1440
MARGIN = 2 * DAY
"""Local minutes before the first and after the last, for the offsets."""

DATES = [
    (date.day, date.month, {date.isoweekday(), date.isoweekday() % 7})
    for date in (
        datetime.fromtimestamp(noon, UTC) for noon in range(FIRST - MARGIN * 60 + 43200, LAST + MARGIN * 60, 86400)
    )
]
"""Each local day of these years: its day, its month, and its numbers in the week."""


def number(text: str) -> int:
    names = MONTHS if text.lower() in MONTHS else DAYS
    return names.index(text.lower()) + (names is MONTHS) if text.isalpha() else int(text)


def values(field: str, low: int, high: int) -> set[int]:
    """The numbers of a field: a second reading, which shares nothing with the program's."""
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if first == "*" else number(first)
        end = high if first == "*" or (step and not last) else number(last or first)
        found.update(range(begin, end + 1, int(step or 1)))
    return found


@dataclass(frozen=True)
class Part:
    """A time without a change of the clock; all are minutes."""

    begin: int
    end: int
    offset: int
    seen: int  # the first local minute that no clock has shown before


@cache
def parts(zone: str) -> list[Part]:
    """The years from one change of the clock to the next."""
    info = ZoneInfo(zone)

    def offset(moment: int) -> int:
        return round(datetime.fromtimestamp(moment, info).utcoffset().total_seconds())  # type: ignore[union-attr]

    changes, before = [FIRST], offset(FIRST)
    for hour in range(FIRST + 3600, LAST, 3600):
        if (now := offset(hour)) != before:
            changes.append(next(second for second in range(hour - 3599, hour + 1) if offset(second) != before))
            before = now
    found: list[Part] = []
    for begin, end in zip(changes, [*changes[1:], LAST], strict=True):
        minutes = begin, end, offset(begin)
        assert all(second % 60 == 0 for second in minutes)
        seen = max((part.end + part.offset for part in found), default=0)
        found.append(Part(*(second // 60 for second in minutes), seen))
    return found


class Walk:
    """An expression that is compared with each local minute."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        self.fields = ["0", *fields] if len(fields) == 5 else fields
        sets = [values(field, *span) for field, span in zip(self.fields, FIELDS, strict=True)]
        self.seconds = sorted(sets[0])
        self.days, self.months, self.weekdays = sets[3:]
        self.either = not self.fields[3].startswith("*") and not self.fields[5].startswith("*")
        self.fixed = not self.fields[1].startswith("*") and not self.fields[2].startswith("*")
        hour = bytes(minute in sets[1] for minute in range(60))
        day = b"".join(hour if one in sets[2] else bytes(60) for one in range(24))
        none = bytes(DAY)
        self._from = FIRST // 60 - MARGIN
        self._due = b"".join([day if self.names(*date) else none for date in DATES])

    def names(self, day: int, month: int, weekdays: set[int]) -> bool:
        if month not in self.months:
            return False
        one, other = day in self.days, not weekdays.isdisjoint(self.weekdays)
        return one or other if self.either else one and other

    def after(self, moment: int, zone: str) -> tuple[int, int] | None:
        """The first due moment after this one, and how many times fall on it. None: not in these years."""
        known = parts(zone)
        at = bisect_right(known, moment // 60, key=lambda part: part.begin) - 1
        for part in known[at:]:
            if found := self._within(part, moment):
                return found
        return None

    def _within(self, part: Part, moment: int) -> tuple[int, int] | None:
        begin, end = (minute + part.offset for minute in (part.begin, part.end))
        if self.fixed:
            if 0 < part.seen < begin and moment < part.begin * 60:  # the change has skipped some minutes
                skipped = self._count(part.seen, begin) * len(self.seconds)
                if skipped:
                    return part.begin * 60, skipped + (self._count(begin, begin + 1) if 0 in self.seconds else 0)
            begin = max(begin, part.seen)
        if moment // 60 >= part.begin:
            now = moment // 60 + part.offset
            later = [second for second in self.seconds if second > moment % 60]
            if begin <= now < end and later and self._count(now, now + 1):
                return moment - moment % 60 + later[0], 1
            begin = max(begin, now + 1)
        found = self._due.find(1, begin - self._from, end - self._from)
        return ((found + self._from - part.offset) * 60 + self.seconds[0], 1) if found >= 0 else None

    def _count(self, begin: int, end: int) -> int:
        return self._due.count(1, begin - self._from, end - self._from)


# -- expressions ------------------------------------------------------------------------------------------------------


def some_field(chance: random.Random, low: int, high: int, often: float, names: tuple[str, ...] = ()) -> str:
    """A field of an expression, such as people write."""
    if chance.random() < often:
        return "*"
    a, b = sorted((chance.randint(low, high), chance.randint(low, high)))
    step = chance.choice((2, 3, 5, 7, 10, 15, 59))
    if names and chance.random() < 0.3:
        first, last = sorted(chance.sample(range(len(names)), 2))
        return chance.choice((names[first], f"{names[first]}-{names[last].upper()}", f"{names[first]},{names[last]}"))
    forms = (
        f"{a}", f"{a}", f"{a},{b}", f"{a}-{b}", f"*/{min(step, high)}", f"{a}-{b}/{min(step, high)}",
        f"{a}/{min(step, high)}", f"{a},{b}-{high}", f"*,{a}",
    )  # fmt: skip
    return chance.choice(forms)


def some_expression(chance: random.Random, count: int) -> str:
    """An expression of five or six fields."""
    often = (0.5, 0.4, 0.4, 0.8, 0.9, 0.7)
    names = ((), (), (), (), MONTHS, DAYS)
    fields = zip(FIELDS, often, names, strict=True)
    return " ".join(some_field(chance, *span, share, named) for span, share, named in list(fields)[-count:])


def some_moments(chance: random.Random, zone: str, count: int) -> list[int]:
    """Moments of which most are near a change of the clock."""
    changes = [part.begin * 60 for part in parts(zone)[1:]]
    found = []
    for _ in range(count):
        if changes and chance.random() < 0.7:
            found.append(
                chance.choice(changes) - chance.randrange(-4 * 3600, 30 * 3600) // chance.choice((1, 1, 10, 100))
            )
        else:
            found.append(chance.randrange(FIRST, LAST - 90 * 86400))
    return found
