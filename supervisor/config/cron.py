"""Check cron expressions and time zones: the expression can fire, and the zone exists.

An expression has five fields (minute, hour, day of month, month, day of week), or six with seconds first. A field is
a list. Each element is `*`, a value or a range, with an optional step. Months and days of the week have names. Both 0
and 7 are Sunday. A word such as `@hourly` replaces the whole expression.
"""

from __future__ import annotations

import re

from supervisor.config.errors import Wrong
from supervisor.config.key import Type
from supervisor.config.machine import Scope
from supervisor.config.messages import listing, meant, quote, show
from supervisor.config.values import each, filled
from supervisor.core.immutable import immutable
from supervisor.core.nearest import nearest


@immutable
class _Field:
    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # the first one is `low`

    @property
    def allowed(self) -> str:
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"allowed: {self.low} to {self.high}{names}"


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_PART = re.compile(r"(?:(?P<any>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\w+))?", re.ASCII)
_EXAMPLES = 'allowed: "*/5 * * * *" (5 fields, or 6 with seconds first), "@hourly"'


def schedule(value: object, scope: Scope) -> tuple[str, ...]:
    """Return one cron expression, or a list of them, as a tuple."""
    if isinstance(value, list):
        if not value:
            raise Wrong(f"the list is empty; {_EXAMPLES}")
        return each(expression, value, scope)
    if not isinstance(value, str):
        raise Wrong(f"{show(value)} is not a cron expression; {_EXAMPLES}, or a list of them")
    return (expression(value, scope),)


def expression(value: object, _scope: Scope) -> str:
    """Return one cron expression that fires at some time.

    Raises:
        Wrong: the number of fields is wrong, a field is invalid, or the expression never fires.
    """
    text = filled(value)
    if text.startswith("@"):
        return _word(text)
    fields = text.split()
    if len(fields) not in (5, 6):
        raise Wrong(f"{quote(text)} has {len(fields)} field{'s' * (len(fields) != 1)}; {_EXAMPLES}")
    pairs = zip(_FIELDS[-len(fields) :], fields, strict=True)
    sets = each(lambda pair, _: _values(text, *pair), pairs, _scope)
    days, months = sets[-3], sets[-2]
    if fields[-1] == "*" and all(min(days) > _DAYS[month - 1] for month in months):
        raise Wrong(f"{quote(text)} never fires: no such day in that month; {_EXAMPLES}")
    return " ".join(fields)


def doubts(expression: str) -> str:
    """Return what is probably not meant, or "": a field is `*`, and a larger unit is restricted."""
    fields = expression.split()
    units = ("second", "minute", "hour") if len(fields) == 6 else ("minute", "hour")
    stars = next((place for place, field in enumerate(fields) if field != "*"), 0)
    if expression.startswith("@") or not 0 < stars < len(units):
        return ""
    small, large = units[0], units[stars]
    meant = " ".join(["0"] * stars + fields[stars:])
    such = f"such {'an' if large == 'hour' else 'a'} {large}"
    return f"{quote(expression)} fires each {small} of {such}; {quote(meant)} fires once"


def _word(text: str) -> str:
    if text == "@reboot":
        raise Wrong('"@reboot" is not a time; to run a task once at the start, write kind = "startup"')
    if text not in _WORDS:
        raise Wrong(f"{quote(text)} is unknown; {meant(text, _WORDS)}")
    return text


def _values(text: str, field: _Field, written: str) -> set[int]:
    """Return the values that a field stands for."""
    values: set[int] = set()
    for part in written.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise Wrong(f"{quote(text)}: {field.title} {quote(part)} is not valid; {field.allowed}, a-b, *, /step")
        values |= _range(text, field, match)
    return values


def _range(text: str, field: _Field, match: re.Match[str]) -> set[int]:
    step = _number(text, field, match["step"], steps=True) if match["step"] else 1
    if match["any"]:
        return set(range(field.low, field.high + 1, step))
    first = _number(text, field, match["first"])
    last = _number(text, field, match["last"]) if match["last"] else field.high if match["step"] else first
    if last < first:
        raise Wrong(
            f"{quote(text)}: {field.title} {quote(match[0])} is in descending order; {field.allowed}, low to high"
        )
    return set(range(first, last + 1, step))


def _number(text: str, field: _Field, written: str, *, steps: bool = False) -> int:
    """Return the number of a written number or name. A step is a number from 1 to the highest of the field."""
    if written.lower() in field.names and not steps:
        return field.low + field.names.index(written.lower())
    low = 1 if steps else field.low
    if not written.isdigit() or not low <= int(written[:9]) <= field.high or len(written) > 9:
        what = f"step {quote(written)}" if steps else quote(written)
        allowed = f"allowed: 1 to {field.high}" if steps else field.allowed
        raise Wrong(f"{quote(text)}: {field.title} {what} is out of range; {allowed}")
    return int(written)


def timezone(value: object, _scope: Scope) -> str:
    """Return the IANA name of a time zone that this machine knows."""
    import zoneinfo  # noqa: PLC0415 - few configs have a zone

    text = filled(value)
    try:
        zoneinfo.ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        names = sorted(zoneinfo.available_timezones())
        city = [name for name in names if name.rpartition("/")[2].lower() == text.lower()]
        near = city[0] if city else nearest(text, names)
        hint = f"did you mean {quote(near)}?" if near else listing(("Europe/Berlin", "UTC")) + ", …"
        raise Wrong(f"{quote(text)} is not a time zone; {hint}") from None
    return text


SCHEDULE = Type("cron expression, or a list of them", schedule)
TIMEZONE = Type("time zone", timezone)
