"""Read the history directly from `history.db`. The supervisor has no work with it, and need not run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from supervisor.control.refusal import RefusedError
from supervisor.store import layout

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from supervisor.core.instance import Instance
    from supervisor.shell.controls import Controls

MOMENT = "1h30m (ago), or a time as shown; without a zone it is UTC"
"""The values of --since and --until, for --help."""

NEW = 5.0
"""Seconds during which an ended run may still be on its way to the history."""

PATIENCE = 2.0
"""Seconds for which a reader waits for such a run, at most."""

PAUSE = 0.02
"""Seconds between two looks."""


def offline(runtime_dir: str) -> dict[str, Any]:
    """Return what replaces an answer when there is no supervisor. The last one has left the path of its history."""
    return {"history": None, "newest": [], "usual": usual_path(runtime_dir)}


def answer(controls: Controls, instances: list[Instance]) -> dict[str, Any]:
    """Return where the history is, and which runs have just ended and must be in it."""
    from supervisor.core.run_record import just_ended  # noqa: PLC0415 - not in supctl

    oldest = controls.host.now() - NEW
    return {
        "history": layout.history(controls.context.settings.state_dir),
        "newest": [run for i in instances if (run := just_ended(i, controls.fleet.epoch, oldest))],
    }


@contextmanager
def opened(answer: dict[str, Any]) -> Iterator[sqlite3.Connection]:
    """Open the history to read. It has every run that had ended when the supervisor was asked.

    Raises:
        RefusedError: the history cannot be read, with the reason.
    """
    import sqlite3  # noqa: PLC0415 - only here
    from contextlib import closing  # noqa: PLC0415

    from supervisor.store.database import nothing, open_to_read  # noqa: PLC0415

    path = answer["history"] or answer["usual"]
    check_answers((path,))
    _wait(path, answer["newest"])
    try:
        with closing(open_to_read(path) if os.path.exists(path) or not answer["history"] else nothing()) as connection:
            yield connection
    except FileNotFoundError:
        where = "; for another supervisor, use --socket or $SUPERVISOR_CONFIG"
        raise RefusedError(f"there is no history yet: {path}{where}") from None
    except PermissionError:
        raise RefusedError(f"no permission to read {path}: only its owner and socket_group may") from None
    except (sqlite3.Error, OSError) as error:
        from supervisor.core.words import in_words  # noqa: PLC0415 - not in each supctl

        raise RefusedError(f"the history cannot be read: {path}: {in_words(error)}") from None


def check_answers(paths: Iterable[str]) -> None:
    """Look whether the file systems of these files answer. A read would wait without a limit.

    Raises:
        RefusedError: one does not.
    """
    from supervisor.host import patience  # noqa: PLC0415 - only here

    try:
        patience.check_answers(paths)
    except OSError as error:
        raise RefusedError(str(error)) from None


def _wait(path: str, newest: list[str]) -> None:
    """Wait until the scribe has written the runs that have just ended. Not for long: it may have no room or no disk."""
    from select import select  # noqa: PLC0415

    for _ in range(int(PATIENCE / PAUSE)):
        if not newest or _has(path, newest):
            return
        select([], [], [], PAUSE)


def _has(path: str, newest: list[str]) -> bool:
    import sqlite3  # noqa: PLC0415
    from contextlib import closing  # noqa: PLC0415

    from supervisor.store import database, history  # noqa: PLC0415

    try:
        with closing(database.open_to_read(path)) as connection:
            return all(history.has(connection, run) for run in newest)
    except (OSError, sqlite3.Error):  # the database is being made
        return False


def usual_path(runtime_dir: str) -> str:
    """Return the path of the history when no supervisor can be asked.

    Without $SUPERVISOR_CONFIG, the path that the last supervisor has left comes first. Then follow the config that is
    found, and at last the usual place of this user.
    """
    from supervisor.store.manifest import read  # noqa: PLC0415

    if "SUPERVISOR_CONFIG" not in os.environ and (left := read(runtime_dir).get("state_dir")):
        return layout.history(left)
    from supervisor.config import ConfigErrors, examine, find  # noqa: PLC0415
    from supervisor.config.machine import Machine  # noqa: PLC0415
    from supervisor.config.settings import directories  # noqa: PLC0415

    config = None
    with suppress(ConfigErrors):
        config, _ = examine(find(None, os.environ)[0])
    state_dir = config.settings.state_dir if config else directories(Machine(os.environ))["state_dir"]
    return layout.history(state_dir)


def moment(given: str, *, ahead: bool = False) -> float:
    """Return the seconds since 1970 of a value of --since, --until or --from: see `MOMENT`.

    Args:
        given: as the person has typed it.
        ahead: whether a duration counts from now on, not before now.

    Raises:
        ArgumentTypeError: it is neither a duration nor a time. argparse prints what is allowed.
    """
    from argparse import ArgumentTypeError  # noqa: PLC0415 - in supctl
    from datetime import UTC, datetime  # noqa: PLC0415

    from supervisor.config.quantity import duration_of  # noqa: PLC0415

    now = datetime.now(UTC).timestamp()
    with suppress(ValueError):
        return now + duration_of(given) if ahead else now - duration_of(given)
    try:
        at = datetime.fromisoformat(given)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        allowed = 'allowed: "10m", "1h30m", "2026-11-21", "2026-11-21T14:02" (UTC), "2026-11-21T14:02+01:00"'
        raise ArgumentTypeError(f"{given!r} is not a time; {allowed}") from None


def stamp(at: float) -> str:
    """Return such a time in the form for files and people: RFC 3339 in UTC, with milliseconds."""
    from datetime import UTC, datetime  # noqa: PLC0415 - in supctl

    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
