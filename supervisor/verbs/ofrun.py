"""Find the run of `supctl logs --run`. The supervisor knows the last runs; the history knows all others."""

from __future__ import annotations

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import UNKNOWN

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls


def newest(controls: Controls, i: Instance) -> list[str]:
    """Return the ids of the current run and the run before it, as far as they exist."""
    number = i.runs - (i.run is not None)
    before = [f"{i.key}/{number}@{controls.fleet.epoch}"] if i.last and number else []
    return [*before, *([i.run.id] if i.run else [])]


def find(run: str, answer: dict[str, Any]) -> tuple[str, str]:
    """Return the instance's name and the full id of a run: "web:2/7@k3f9q1", or the newest "web:2/7" or "web/7".

    Raises:
        RefusedError: the run is unknown, or belongs to none of these instances.
    """
    for one in answer["instances"]:
        for known in reversed(one["runs"]):
            short = known.partition("@")[0]
            if run in (known, short, short.replace(":1/", "/", 1)):
                return one["name"], known
    return _of_history(run, answer)


def _of_history(run: str, answer: dict[str, Any]) -> tuple[str, str]:
    from supervisor.store import history  # noqa: PLC0415 - needs SQLite
    from supervisor.verbs import history_reader  # noqa: PLC0415

    with history_reader.opened({"history": answer["history"], "newest": []}) as connection:
        row = history.run(connection, run)
    if row is None:
        raise RefusedError(f"no run {run!r}: it neither runs nor is in the history; see `supctl runs`", UNKNOWN)
    instance, _, epoch = row["run"].partition("@")
    key = instance.rpartition("/")[0]
    names = [one["name"] for one in answer["instances"] if one["key"] == key]
    if not names:
        raise RefusedError(f"{run} is a run of {row['name']}, which is not one of the given names", UNKNOWN)
    number = run.partition("@")[0].rpartition("/")[2]  # one row may stand for several runs
    return names[0], f"{key}/{number}@{epoch}"
