"""The account of a run: what the history will say of it, as plain data.

The parent makes one when a run is over, the spool carries it, the scribe writes it down. Moments are monotonic
here; whoever writes them down knows the clock that they were made by.

A crash storm makes hundreds of accounts that say the same. Two that follow each other and are alike can be merged into
one, with how many they are, the first and the last of them: "214 runs like this".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisor.core.fleet import Change
    from supervisor.core.instance import Instance, Outcome, Run

Account = dict[str, Any]

SUCCESSION = 90.0
"""Seconds between the ends of two runs that still are one storm: a little more than the longest default back-off."""

SHORT = 10.0
"""A run that lived longer is no part of a storm; as `backoff.reset_after`."""

LONGEST_ARGUMENTS = 4096
"""Characters of `supctl run NAME -- ARG…` that are kept."""

TOLD = {
    "run", "task", "instance", "name", "trigger", "pid", "began", "ended", "code", "signal", "core", "reason", "keep",
}  # fmt: skip
"""What the parent itself tells of a run that is over."""


def accounts_of(changes: Iterable[Change]) -> list[Account]:
    """One for each run that these changes ended."""
    return [_account(change.old, change.old.run, change.ended) for change in changes if change.ended and change.old.run]


def is_whole(account: object) -> bool:
    """Whether a journal has all of an account; another version of this program may have written it."""
    return isinstance(account, dict) and account.keys() >= TOLD


def _account(i: Instance, run: Run, outcome: Outcome) -> Account:
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
        "cpu": outcome.cpu,
        "memory": outcome.memory,
        "keep": task.history.keep,
        "max_age": task.history.max_age,
    }


def _cut(words: tuple[str, ...]) -> list[str]:
    """As many whole words as there is room for, and a sign that there were more."""
    kept: list[str] = []
    room = LONGEST_ARGUMENTS
    for word in words:
        room -= len(word) + 1
        if room < 0:
            return [*kept, "…"]
        kept.append(word)
    return kept


def numbers(account: Account) -> tuple[str, int, int]:
    """The epoch of a run, its number, and the number of the last run that is merged into it.

    Raises:
        ValueError: the id is none of ours.
    """
    number, _, epoch = account["run"].rpartition("/")[2].partition("@")
    first = int(number)
    return epoch, first, first + account.get("count", 1) - 1


def alike(old: Account, new: Account) -> bool:
    """Whether the new one is the next of the same storm."""
    epoch, _, last = numbers(old)
    same = all(old.get(key) == new.get(key) for key in ("instance", "trigger", "reason", "success", "stopped"))
    follows = numbers(new)[:2] == (epoch, last + 1)
    soon = new["ended"] - old.get("last_ended", old["ended"]) <= SUCCESSION
    short = max(lived(old) / old.get("count", 1), lived(new) / new.get("count", 1)) < SHORT
    return same and follows and soon and short and not (old["arguments"] or new["arguments"])


def lived(account: Account) -> float:
    """Seconds that all of its runs lived together."""
    return float(account.get("lived", account["ended"] - account["began"]))


def merge(old: Account, new: Account) -> Account:
    """Both as one: its beginning is that of the first, what was used is that of all."""
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
    """The id of the last run of an instance that is over, if it ended after `oldest` and has a history; else ""."""
    number = i.runs - (i.run is not None)
    if i.last is None or i.last.at < oldest or not number or not i.task.history.keep:
        return ""
    return f"{i.key}/{number}@{epoch}"
