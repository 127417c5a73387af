"""Make the skip record: the facts of a firing that was skipped, for the history, as plain data.

It goes the way of a run record: the parent makes it, the spool carries it, the scribe writes it into the history. It
has no run. A schedule that cannot run for hours skips thousands of firings for the same reason. So skip records that
follow each other and are alike are merged: the result has the first and the last due time, and their number.
"""

from __future__ import annotations

from typing import Any

from supervisor.core import run_record
from supervisor.core.definition import Task
from supervisor.core.firing import COMPUTED
from supervisor.core.run_record import FARTHEST, LARGEST, SUCCESSION

SkipRecord = dict[str, Any]

_TEXTS = ("skipped", "firing", "task", "trigger")
_WHOLE = ("times", "keep")
_TIMES = ("due", "last_due", "at", "max_age")


def skip_of(task: Task, trigger: str, firing: str, due: float, reason: str, now: float, times: int = 1) -> SkipRecord:
    """Return the skip record of a firing.

    Args:
        task: its task.
        trigger: its trigger.
        firing: its id.
        due: in seconds since 1970.
        reason: why it was skipped.
        now: monotonic seconds.
        times: the due times that it stands for.
    """
    return {
        "skipped": reason,
        "firing": firing,
        "task": task.name,
        "trigger": trigger,
        "due": due,
        "last_due": due,
        "times": times,
        "at": now,
        "keep": task.history.keep,
        "max_age": task.history.max_age,
    }


def fault(record: dict[str, Any]) -> str:
    """Return what is wrong with a run record or a skip record from a file; "" when it can be used."""
    if "skipped" not in record:
        return run_record.fault(record)
    for names, kinds, largest in ((_TEXTS, str, 0.0), (_WHOLE, int, LARGEST), (_TIMES, (int, float), FARTHEST)):
        for name in names:
            value = record.get(name)
            if not isinstance(value, kinds) or (isinstance(value, (int, float)) and not abs(value) < largest):
                return f"{name} is {value!r:.40}"
    return ""


def alike(old: SkipRecord, new: SkipRecord) -> bool:
    """Return whether the new record can be merged into the old one.

    Firings that a person asked for stay apart: each has its own input.
    """
    same = all(old[key] == new[key] for key in ("task", "trigger", "skipped"))
    follows = old["last_due"] < new["due"] and new["at"] - old["at"] <= SUCCESSION
    return same and follows and new["trigger"] in COMPUTED


def merge(old: SkipRecord, new: SkipRecord) -> SkipRecord:
    """Merge two skip records: the result has the first due time of the old one, and all else of the new one."""
    return new | {"due": old["due"], "times": old["times"] + new["times"]}
