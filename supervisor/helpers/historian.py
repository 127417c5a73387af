"""The part of the scribe that keeps the history: it takes accounts of ended runs out of the spool and into SQLite.

It is woken when the parent has written a file there, waits a moment for more, and writes all of them in one
transaction; only then the files go. When the disk is full or gone, the files stay (in memory, bounded by the parent)
and it tries again. A database that is broken is set aside and begun anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.core.words import in_words
from supervisor.helpers.part import Loop
from supervisor.host import clock
from supervisor.host.inotify import IN_MOVED_TO, Watch
from supervisor.host.place import Place, place_of
from supervisor.store import database, history, spool

Say = Callable[[str, str], None]
"""Tells the operator: a level, and a sentence."""

GATHERING = 0.1
"""Seconds from the first account to the transaction: a crash storm is a few transactions a second."""

PATIENCE = 1.0
"""Seconds for which a failed run waits for its last words: they come by another way, through the scribe's own hands."""

AGAIN = 10.0
"""Seconds until the next try, when the disk does not take it."""

FILES = 500
"""Files in one transaction: bounded work in a turn, also after a disk had hung for long."""


FORGETTING = 3600.0
"""Seconds between two looks for runs that are too old; only when there is something to write anyway."""


class Database:
    """The database, opened when it is first needed, and again after it had to be closed."""

    def __init__(self, say: Say, tell: Callable[[str], None] = lambda _: None) -> None:
        """Nothing is known until there is a plan. `tell` leaves word of why it cannot be written, "" when it can."""
        self.path = ""
        self._gid: int | None = None
        self._say = say
        self._tell = tell
        self._connection: sqlite3.Connection | None = None
        self._place: Place | None = None  # of the file that is open
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
            why = f"the history cannot be written, it waits in memory: {self.path}: {in_words(error)}"
            if not self._troubled:
                self._say("error", why)
            self._tell(why)  # each time: somebody may have removed it
            self._troubled = True
            return False
        if self._troubled:
            self._say("info", f"the history is written again: {self.path}")
            self._tell("")
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
        if self._connection is not None and self._place != place_of(self.path):
            self._say("warning", f"somebody has removed {self.path}: it is made anew")
            self.close()
        if self._connection is None:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            self._connection, said = database.open_to_write(self.path, self._gid)
            self._place = place_of(self.path)
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


class Said:
    """What runs have said last, from the part that reads it."""

    def __init__(self, reads: Callable[[str], bool], of: Callable[[str], list[str]]) -> None:
        """`reads`: whether more of a run may come; `of`: its last lines. Both are asked by the id of a run."""
        self._reads = reads
        self._of = of

    def is_coming(self, record: dict[str, Any], at: float) -> bool:
        """Whether the last words of a run that failed are still on their way; for PATIENCE at most."""
        failed = not record.get("success", True) and not record.get("stopped") and record.get("pid")
        return bool(failed and record["ended"] > at - PATIENCE and self._reads(record["run"]))

    def tail(self, account: dict[str, Any]) -> str:
        """The last lines of a run, "" for none."""
        return "\n".join(self._of(account["run"]))


class Historian:
    """A part of @scribe."""

    def __init__(
        self, runtime_dir: str, keeper: Database, said: Said, watched: Callable[[float], None] = lambda _: None
    ) -> None:
        """`said` knows what a run wrote last; `watched` is told until when somebody looks at what runs use."""
        self._watched = watched
        self._directory = f"{runtime_dir}/{spool.DIRECTORY}"
        self._keeper = keeper
        self._said = said
        self._watch = Watch(IN_MOVED_TO)
        self._due: float | None = None
        self._forgot: float | None = None

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`."""
        self._attend()
        loop.watch(self._watch.fd, lambda _: self._noticed())

    def planned(self, plan: dict[str, Any]) -> None:
        """See `Part.planned`. What was spooled while nobody looked is taken now."""
        self._keeper.planned(plan)
        self._due = clock.now() if self._keeper.path else None

    def _noticed(self) -> None:
        if self._watch.concerned() and self._due is None and self._keeper.path:
            self._due = clock.now() + GATHERING

    def _attend(self) -> bool:
        """Watches the directory, also after somebody has replaced it. False while there is no place for it."""
        try:
            with suppress(FileExistsError):
                os.mkdir(self._directory, mode=0o700)
        except FileNotFoundError:
            return False
        self._watch.set(((self._directory, "*"),))
        return True

    def replaced(self) -> None:
        """See `Part.replaced`."""
        self._due = clock.now()

    def deadline(self) -> float | None:
        """See `Part.deadline`."""
        return self._due

    def due(self, now: float) -> None:
        """See `Part.due`."""
        if not self._attend():
            self._due = now + AGAIN
            return
        names = spool.waiting(self._directory)
        records: list[dict[str, Any]] = []
        taken: list[str] = []
        for name in names[:FILES]:
            found = list(spool.read(f"{self._directory}/{name}"))
            for record in found:
                if "watched" in record:
                    self._watched(now + record["watched"])
            if any(self._said.is_coming(one, now + clock.offset()) for one in found):
                break
            records += found
            taken.append(name)
        written = not taken or self._write(taken, records)
        rest = len(names) > len(taken)
        self._due = now + AGAIN if not written else now + GATHERING if rest else None

    def _write(self, names: list[str], records: list[dict[str, Any]]) -> bool:
        at = clock.now() + clock.offset()
        if not self._keeper.do(lambda connection: history.write(connection, records, self._said.tail, at)):
            return False
        spool.remove(self._directory, names)
        if self._forgot is None or self._forgot + FORGETTING < clock.now():
            self._forgot = clock.now()
            self._keeper.do(lambda connection: history.forget(connection, at))
        return True

    def finish(self) -> None:
        """See `Part.finish`."""
        while self._keeper.path and (names := spool.waiting(self._directory)[:FILES]):
            if not self._write(names, [one for name in names for one in spool.read(f"{self._directory}/{name}")]):
                break
        self._keeper.close()
