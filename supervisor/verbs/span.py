"""When a run was on, for `supctl logs --run`: of the last ones the supervisor knows it, of all others the history.

A line belongs to a run if it says so (format "json"); else by its time, from the begin of the run to that of the next
one: what a run says last may be read, and stamped, after its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from supervisor.verbs.interface import UNKNOWN, RefusedError

if TYPE_CHECKING:
    from supervisor.core.instance import Instance
    from supervisor.logs.read import Line
    from supervisor.parent import Parent

ALWAYS = "9"
"""Later than every time."""


class Span(NamedTuple):
    """Of one run, or of several that are one row of the history."""

    name: str  # of the instance
    run: str  # the full id
    begin: str
    end: str
    runs: int = 1

    def has(self, name: str, line: Line) -> bool:
        """Whether a line was said in it."""
        if name != self.name:
            return False
        return line.run == self.run if line.run else not line.at or self.begin <= line.at < self.end


def newest(parent: Parent, i: Instance) -> dict[str, list[str | None]]:
    """The current run and the one before, by id: begin, and the begin of the next one; None when there is none yet."""
    stamp, runs = parent.host.stamp, {}
    begin = stamp(i.run.began) if i.run else None
    if i.last:
        number = i.runs - (i.run is not None)
        runs[f"{i.key}/{number}@{parent.fleet.epoch}"] = [stamp(i.last.at - i.last.duration), begin]
    if i.run:
        runs[i.run.id] = [begin, None]
    return runs


def find(run: str, answer: dict[str, Any]) -> Span:
    """The span of a run, "web:2/7@k3f9q1", or "web:2/7" and "web/7", then the newest of them.

    Raises:
        RefusedError: it is unknown, or of none of these instances.
    """
    for one in answer["instances"]:
        for known, (begin, end) in reversed(one["runs"].items()):
            short = known.partition("@")[0]
            if run in (known, short, short.replace(":1/", "/", 1)):
                return Span(one["name"], known, begin, end or ALWAYS)
    return _of_history(run, answer)


def _of_history(run: str, answer: dict[str, Any]) -> Span:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite
    from supervisor.verbs import past  # noqa: PLC0415

    with past.opened({"history": answer["history"], "newest": []}) as connection:
        row, following = history.run(connection, run), history.following(connection, run)
    if row is None:
        raise RefusedError(f"no run {run!r} is on, and none is in the history; see `supctl runs`", UNKNOWN)
    key, _, epoch = row["run"].partition("@")
    key = key.rpartition("/")[0]
    names = [one for one in answer["instances"] if one["key"] == key]
    if not names:
        raise RefusedError(f"{run} is a run of {row['name']}, whose output was not asked for", UNKNOWN)
    begun = [begin for begin, _ in names[0]["runs"].values()]
    number = run.partition("@")[0].rpartition("/")[2]
    end = following or min(begun, default=ALWAYS)
    return Span(names[0]["name"], f"{key}/{number}@{epoch}", row["start"], end, row["runs"])
