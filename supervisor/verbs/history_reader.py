"""How a verb reads the history: directly from `history.db`, so the supervisor has no work with it, and need not run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from supervisor.verbs.interface import RefusedError

if TYPE_CHECKING:
    import sqlite3

    from supervisor.core.instance import Instance
    from supervisor.parent import Parent

MOMENT = "1h30m (ago), or a time as shown; without a zone it is UTC"
"""What --since and --until take, for --help."""

NEW = 5.0
"""Seconds for which a run that has ended may be on its way to the history."""

PATIENCE = 2.0
"""Seconds for which a reader waits for it, at the most."""

PAUSE = 0.02
"""Seconds between two looks."""


def offline(runtime_dir: str) -> dict[str, Any]:
    """What stands for an answer when there is no supervisor; the last one has left word there where its history is."""
    return {"history": None, "newest": [], "usual": usual_path(runtime_dir)}


def answer(parent: Parent, instances: list[Instance]) -> dict[str, Any]:
    """Where the history is, and which runs have just ended and must be in it."""
    from supervisor.store.account import just_ended  # noqa: PLC0415 - not in supctl

    oldest = parent.host.now() - NEW
    return {
        "history": f"{parent.running_settings.state_dir}/history.db",
        "newest": [run for i in instances if (run := just_ended(i, parent.fleet.epoch, oldest))],
    }


@contextmanager
def opened(answer: dict[str, Any]) -> Iterator[sqlite3.Connection]:
    """A connection that reads the history, with everything in it that had ended when the supervisor was asked.

    Raises:
        RefusedError: it cannot be read; says why.
    """
    import sqlite3  # noqa: PLC0415 - only here
    from contextlib import closing  # noqa: PLC0415

    from supervisor.store.database import nothing, open_to_read  # noqa: PLC0415

    path = answer["history"] or answer["usual"]
    _wait(path, answer["newest"])
    try:
        with closing(open_to_read(path) if os.path.exists(path) or not answer["history"] else nothing()) as connection:
            yield connection
    except FileNotFoundError:
        where = "; that of another supervisor is found by its socket or $SUPERVISOR_CONFIG"
        raise RefusedError(f"there is no history yet: {path}{where}") from None
    except PermissionError:
        raise RefusedError(f"no permission to read {path}: only its owner and socket_group may") from None
    except (sqlite3.Error, OSError) as error:
        from supervisor.core.words import in_words  # noqa: PLC0415 - not in each supctl

        raise RefusedError(f"the history cannot be read: {path}: {in_words(error)}") from None


def _wait(path: str, newest: list[str]) -> None:
    """Until the scribe has written down what had just ended; not for long: it may have no room, or no disk."""
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
    except (OSError, sqlite3.Error):  # it is being made
        return False


def usual_path(runtime_dir: str) -> str:
    """Where the history is when no supervisor can be asked: of $SUPERVISOR_CONFIG, or of who was there last.

    Else as the config that is found says, else the usual place of this user.
    """
    from supervisor.store.plan import read  # noqa: PLC0415

    if "SUPERVISOR_CONFIG" not in os.environ and (left := read(runtime_dir).get("state_dir")):
        return f"{left}/history.db"
    from supervisor.config import ConfigErrors, find, load  # noqa: PLC0415
    from supervisor.config.settings import directories  # noqa: PLC0415
    from supervisor.config.world import World  # noqa: PLC0415

    try:
        state_dir = load(find(None, os.environ)[0]).settings.state_dir
    except ConfigErrors:
        state_dir = directories(World(os.environ))["state_dir"]
    return f"{state_dir}/history.db"


def moment(given: str) -> float:
    """Seconds since 1970 of what --since and --until take: see `MOMENT`.

    Raises:
        ArgumentTypeError: it is neither; argparse says what is allowed.
    """
    from argparse import ArgumentTypeError  # noqa: PLC0415 - in supctl
    from datetime import UTC, datetime  # noqa: PLC0415

    from supervisor.config.quantity import duration_of  # noqa: PLC0415

    now = datetime.now(UTC).timestamp()
    with suppress(ValueError):
        return now - duration_of(given)
    try:
        at = datetime.fromisoformat(given)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        allowed = 'allowed: "10m", "1h30m", "2026-11-21", "2026-11-21T14:02" (UTC), "2026-11-21T14:02+01:00"'
        raise ArgumentTypeError(f"{given!r} is no time; {allowed}") from None


def stamp(at: float) -> str:
    """The same as files and people have it: RFC 3339 in UTC, with milliseconds."""
    from datetime import UTC, datetime  # noqa: PLC0415 - in supctl

    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
