"""The part of the scribe that keeps the history: it takes accounts of ended runs out of the spool and into SQLite.

It is woken when the parent has written a file there, waits a moment for more, and writes all of them in one
transaction; only then the files go. When the disk is full or gone, the files stay (in memory, bounded by the parent)
and it tries again. A database that is broken is set aside and begun anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

from supervisor.helpers.part import Loop
from supervisor.host import clock
from supervisor.host.inotify import IN_MOVED_TO, Watch
from supervisor.store import database, history, spool
from supervisor.store.history import Tail

Say = Callable[[str, str], None]
"""Tells the operator: a level, and a sentence."""

GATHERING = 0.1
"""Seconds from the first account to the transaction: a crash storm is a few transactions a second."""

AGAIN = 10.0
"""Seconds until the next try, when the disk does not take it."""

FILES = 500
"""Files in one transaction: bounded work in a turn, also after a disk had hung for long."""


FORGETTING = 3600.0
"""Seconds between two looks for runs that are too old; only when there is something to write anyway."""


class Keeper:
    """The database, opened when it is first needed, and again after it had to be closed."""

    def __init__(self, say: Say) -> None:
        """Nothing is known until there is a plan."""
        self.path = ""
        self._gid: int | None = None
        self._say = say
        self._connection: sqlite3.Connection | None = None
        self._troubled = False

    def planned(self, plan: dict[str, Any]) -> None:
        """Where it is, and whose group may read it."""
        if "state_dir" in plan:
            self.path = f"{plan['state_dir']}/{database.NAME}"
            self._gid = _gid_of(plan["group"])

    def do(self, act: Callable[[sqlite3.Connection], None]) -> bool:
        """Has something done with the database. False when the disk does not take it, which is told once."""
        try:
            self._attempt(act)
        except (sqlite3.Error, OSError) as error:
            if not self._troubled:
                self._say("error", f"the history cannot be written, it waits in memory: {self.path}: {error}")
            self._troubled = True
            return False
        if self._troubled:
            self._say("info", f"the history is written again: {self.path}")
        self._troubled = False
        return True

    def _attempt(self, act: Callable[[sqlite3.Connection], None]) -> None:
        try:
            act(self._open())
        except (sqlite3.Error, OSError) as error:
            self.close()
            if not database.is_broken(error):
                raise
            self._say("error", database.set_aside(self.path, str(error)))
            act(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            self._connection, said = database.open_to_write(self.path, self._gid)
            if said:
                self._say("error", said)
        return self._connection

    def close(self) -> None:
        """Folds the log into the file, as far as it can."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _gid_of(group: str | None) -> int | None:
    if group is None:
        return None
    import grp  # noqa: PLC0415

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:  # it was there when the config was checked
        return None


class Historian:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, keeper: Keeper, tail: Tail) -> None:
        """`tail` says what a run wrote last."""
        self._directory = f"{runtime_dir}/{spool.DIRECTORY}"
        self._keeper = keeper
        self._tail = tail
        self._watch = Watch(IN_MOVED_TO)
        self._due: float | None = None
        self._forgot: float | None = None

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        self._watch.set(((self._directory, "*"),))
        loop.watch(self._watch.fd, lambda _: self._noticed())

    def planned(self, plan: dict[str, Any]) -> None:
        """See `Part.planned`. What was spooled while nobody looked is taken now."""
        self._keeper.planned(plan)
        self._due = clock.now() if self._keeper.path else None

    def _noticed(self) -> None:
        if self._watch.concerned() and self._due is None and self._keeper.path:
            self._due = clock.now() + GATHERING

    def deadline(self) -> float | None:
        """See `Part.deadline`."""
        return self._due

    def due(self, now: float) -> None:
        """See `Part.due`."""
        names = spool.waiting(self._directory)
        taken = names[:FILES]
        if not taken or self._take(taken):
            self._due = now if len(names) > FILES else None
        else:
            self._due = now + AGAIN

    def _take(self, names: list[str]) -> bool:
        records = [record for name in names for record in spool.read(f"{self._directory}/{name}")]
        at = clock.now() + clock.offset()
        if not self._keeper.do(lambda connection: history.write(connection, records, self._tail, at)):
            return False
        spool.remove(self._directory, names)
        if self._forgot is None or self._forgot + FORGETTING < clock.now():
            self._forgot = clock.now()
            self._keeper.do(lambda connection: history.forget(connection, at))
        return True

    def finish(self) -> None:
        """See `Part.finish`."""
        while self._keeper.path and (names := spool.waiting(self._directory)[:FILES]) and self._take(names):
            pass
        self._keeper.close()
