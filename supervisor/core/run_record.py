"""Make the run record: the facts of an ended run for the history, as plain data.

The parent makes it when a run is over, the spool carries it, and the scribe writes it into the history. Moments are
monotonic here. Each file of the spool has the clock offset, by which its reader converts them.

A crash storm makes hundreds of equal run records. Two similar ones in a row can be merged into one. The result has
their number, the first and the last of them: "214 runs like this".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisor.core.instance import Instance, Outcome, Run
    from supervisor.core.roster import Change

RunRecord = dict[str, Any]

SUCCESSION = 90.0
"""The maximum seconds between the ends of two runs of one storm: a little more than the longest default back-off."""

SHORT = 10.0
"""A run that lived longer than these seconds is no part of a storm; the default of `backoff.reset_after`."""

LONGEST_ARGUMENTS = 4096
"""Characters of `supctl run NAME -- ARG…` that are kept."""

_NUMBER, _TEXT = (int, float), (str,)
_MAYBE: dict[str, tuple[type, ...]] = {
    "arguments": (list,), "pid": (int,), "ready": _NUMBER, "code": (int,), "signal": _TEXT, "stopped": _TEXT,
    "cpu": _NUMBER, "memory": (int,), "firing": _TEXT, "due": _NUMBER, "late": _NUMBER, "missed": (int,),
}  # fmt: skip
_ALWAYS: dict[str, tuple[type, ...]] = {
    "run": _TEXT, "task": _TEXT, "instance": _TEXT, "name": _TEXT, "kind": _TEXT, "trigger": _TEXT, "attempt": (int,),
    "began": _NUMBER, "ended": _NUMBER, "core": (int,), "success": (int,), "reason": _TEXT, "keep": (int,),
    "max_age": _NUMBER,
}  # fmt: skip
"""The fields that a run record must have, with their types; and the fields that may be None or missing."""

_MERGED: dict[str, tuple[type, ...]] = {"count": (int,), "last_ended": _NUMBER, "lived": _NUMBER}
"""The further fields of a run record of several runs."""

KEYS = (
    "run", "runs", "last_run", "name", "task", "kind", "trigger", "attempt", "arguments", "pid", "start", "ready",
    "end", "last_end", "duration_s", "code", "signal", "core_dumped", "success", "reason", "stopped", "cpu_s",
    "memory_bytes", "tail", "firing", "due", "lateness_s", "missed", "skipped", "last_due", "result",
)  # fmt: skip
"""The keys of a run as `supctl runs --json` shows it. A skipped firing has the same ones."""

LARGEST, FARTHEST = 1 << 62, 1e11
"""The largest number of a run record, which a database column can hold; and the largest time, which a date can."""

_FIELDS = tuple(
    (name, kinds, FARTHEST if kinds is _NUMBER else LARGEST if kinds == (int,) else 0)
    for name, kinds in (_ALWAYS | _MAYBE | _MERGED).items()
)
"""Each field that a run record may have, with its types, and with the limit of a number."""


def records_of(changes: Iterable[Change]) -> list[RunRecord]:
    """Return a run record for each run that these changes ended."""
    ended = (change for change in changes if change.ended)
    return [_record_of(one.old, one.old.run, one.ended) for one in ended if one.ended and one.old.run]


def fault(record: object) -> str:
    """Return what is wrong with a run record from a file; "" when it can be used.

    Another version of this program may have written it, or it may be damaged.
    """
    if not isinstance(record, dict):
        return "no run record"
    for name, kinds, largest in _FIELDS:
        value = record.get(name)
        if value is None and name not in _ALWAYS:
            continue
        if not isinstance(value, kinds) or (largest and not abs(record[name]) < largest):
            return f"{name} is {value!r:.40}"
    try:
        numbers(record)
        int(record["instance"].rpartition(":")[2])
    except ValueError:
        return f"not the id of a run: {record['run']!r:.40}"
    return ""


def _record_of(i: Instance, run: Run, outcome: Outcome) -> RunRecord:
    task = i.task
    return {
        "run": run.id,
        "task": task.name,
        "instance": i.key,
        "name": i.name,
        "kind": task.kind,
        "trigger": run.trigger,
        "attempt": run.attempt,
        "arguments": _cut(run.order.arguments) if run.order and run.order.arguments else None,
        "pid": run.pid or None,
        "began": run.began,
        "ready": run.ready,
        "ended": outcome.at,
        "code": outcome.code,
        "signal": outcome.signal,
        "core": outcome.core_dumped,
        "success": outcome.success,
        "reason": outcome.reason,
        "stopped": outcome.asked or None,
        **firing_of(run),
        "cpu": outcome.cpu,
        "memory": outcome.memory,
        "keep": task.history.keep,
        "max_age": task.history.max_age,
    }


def firing_of(run: Run) -> dict[str, Any]:
    """Return the facts of the firing that a run is for, all None if it is for none. `due` is in seconds since 1970."""
    order = run.order if run.order and run.order.firing else None
    return {
        "firing": order and order.firing,
        "due": order and order.due,
        "late": order and order.late,
        "missed": order and order.missed,
    }


def _cut(words: tuple[str, ...]) -> list[str]:
    """Return as many whole words as fit, and a mark if there were more."""
    kept: list[str] = []
    room = LONGEST_ARGUMENTS
    for word in words:
        room -= len(word) + 1
        if room < 0:
            return [*kept, "…"]
        kept.append(word)
    return kept


def numbers(record: RunRecord) -> tuple[str, int, int]:
    """Return the epoch of a run, its number, and the number of the last run that is merged into it.

    Raises:
        ValueError: this program does not make such an id.
    """
    number, _, epoch = record["run"].rpartition("/")[2].partition("@")
    first = int(number)
    return epoch, first, first + record.get("count", 1) - 1


def alike(old: RunRecord, new: RunRecord) -> bool:
    """Return whether the new run is the next of the same storm."""
    epoch, _, last = numbers(old)
    same = all(old.get(key) == new.get(key) for key in ("instance", "trigger", "reason", "success", "stopped"))
    follows = numbers(new)[:2] == (epoch, last + 1)
    soon = new["ended"] - old.get("last_ended", old["ended"]) <= SUCCESSION
    short = max(lived(old) / old.get("count", 1), lived(new) / new.get("count", 1)) < SHORT
    return same and follows and soon and short and not (old["arguments"] or new["arguments"])


def lived(record: RunRecord) -> float:
    """Return the total seconds that its runs lived."""
    return float(record.get("lived", record["ended"] - record["began"]))


def merge(old: RunRecord, new: RunRecord) -> RunRecord:
    """Merge two run records: the result has the beginning of the first, and the usage of all."""
    return old | {
        "count": old.get("count", 1) + new.get("count", 1),
        "last_ended": new.get("last_ended", new["ended"]),
        "lived": lived(old) + lived(new),
        "cpu": _both(old["cpu"], new["cpu"], sum),
        "memory": _both(old["memory"], new["memory"], max),
        "keep": new["keep"],
        "max_age": new["max_age"],
    }


def _both(one: float | None, other: float | None, how: Any) -> float | None:  # noqa: ANN401 - sum or max
    known = [value for value in (one, other) if value is not None]
    return how(known) if known else None


def just_ended(i: Instance, epoch: str, oldest: float) -> str:
    """Return the id of the last ended run of an instance, if it ended after `oldest` and has a history; else ""."""
    number = i.runs - (i.run is not None)
    if i.last is None or i.last.at < oldest or not number or not i.task.history.keep:
        return ""
    return f"{i.key}/{number}@{epoch}"
