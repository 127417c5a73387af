"""Which run is meant by `supctl logs --run`: of the last ones the supervisor knows it, of all others the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import UNKNOWN, RefusedError

if TYPE_CHECKING:
    from supervisor.core.instance import Instance
    from supervisor.parent import Parent


def newest(parent: Parent, i: Instance) -> list[str]:
    """The ids of the current run and the one before, as far as there are any."""
    number = i.runs - (i.run is not None)
    before = [f"{i.key}/{number}@{parent.fleet.epoch}"] if i.last and number else []
    return [*before, *([i.run.id] if i.run else [])]


def find(run: str, answer: dict[str, Any]) -> tuple[str, str]:
    """The name of the instance and the whole id of a run, "web:2/7@k3f9q1", or "web:2/7" and "web/7": the newest.

    Raises:
        RefusedError: it is unknown, or of none of these instances.
    """
    for one in answer["instances"]:
        for known in reversed(one["runs"]):
            short = known.partition("@")[0]
            if run in (known, short, short.replace(":1/", "/", 1)):
                return one["name"], known
    return _of_history(run, answer)


def _of_history(run: str, answer: dict[str, Any]) -> tuple[str, str]:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite
    from supervisor.verbs import past  # noqa: PLC0415

    with past.opened({"history": answer["history"], "newest": []}) as connection:
        row = history.run(connection, run)
    if row is None:
        raise RefusedError(f"no run {run!r} is on, and none is in the history; see `supctl runs`", UNKNOWN)
    instance, _, epoch = row["run"].partition("@")
    key = instance.rpartition("/")[0]
    names = [one["name"] for one in answer["instances"] if one["key"] == key]
    if not names:
        raise RefusedError(f"{run} is a run of {row['name']}, whose output was not asked for", UNKNOWN)
    number = run.partition("@")[0].rpartition("/")[2]  # the row may be of several
    return names[0], f"{key}/{number}@{epoch}"
