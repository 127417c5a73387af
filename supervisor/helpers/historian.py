"""The part of @scribe that keeps the history: it moves run records of ended runs from the spool into SQLite.

The kernel wakes it when the parent has written a file to the spool. It waits a moment for more files, and writes all of
them in one transaction. Only then it removes the files. When the disk is full or gone, the files stay in the spool (in
memory, bounded by the parent), and it tries again. It sets a broken database aside and begins a new one.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.core.words import in_words
from supervisor.helpers.rejects import Rejected, Rejects, Say
from supervisor.host import clock
from supervisor.host.inotify import IN_MOVED_TO, Watch
from supervisor.host.parts import Loop
from supervisor.host.place import Place, place_of
from supervisor.store import database, history, layout, spool

GATHERING = 0.1
"""Seconds from the first run record to the transaction: a crash storm causes a few transactions a second."""

PATIENCE = 1.0
"""Seconds for which the record of a failed run waits for its last output, which another part of @scribe reads."""

AGAIN = 10.0
"""Seconds until the next try, after the disk has refused a write."""

FILES = 500
"""Files in one transaction: it bounds the work of a turn, also after a disk was hanging for a long time."""


FORGETTING = 3600.0
"""Seconds between two looks for runs that are too old. It looks only when there is something to write anyway."""


class Database:
    """The database, opened when it is first needed, and again after it had to be closed."""

    def __init__(self, say: Say, report: Callable[[str], None] = lambda _: None) -> None:
        """Wait for a manifest. `report` publishes why the database cannot be written; "" when it can."""
        self.path = ""
        self.say = say
        self._gid: int | None = None
        self._report = report
        self._connection: sqlite3.Connection | None = None
        self._place: Place | None = None  # of the file that is open
        self._troubled = False

    def configure(self, manifest: dict[str, Any]) -> None:
        """Take its place and the group that may read it from the manifest. No place if another process writes there."""
        self.path = layout.history(manifest["state_dir"]) if "state_dir" in manifest else ""
        if self.path:
            self._gid = _gid_of(manifest["group"])

    def do(self, act: Callable[[sqlite3.Connection], None]) -> bool:
        """Call a function with the database. False when the disk refuses the write, which is logged once."""
        try:
            self._attempt(act)
        except (sqlite3.Error, OSError) as error:
            self.failed(f"the history cannot be written, new runs wait in memory: {self.path}: {in_words(error)}")
            return False
        if self._troubled:
            self.say("info", f"the history is written again: {self.path}")
            self._report("")
        self._troubled = False
        return True

    def failed(self, why: str) -> None:
        """Publish why the history cannot be written; log it once."""
        if not self._troubled:
            self.say("error", why)
        self._report(why)  # each time: it may have been removed
        self._troubled = True

    def _attempt(self, act: Callable[[sqlite3.Connection], None]) -> None:
        try:
            act(self._open())
        except (sqlite3.Error, OSError) as error:
            self.close()
            if not database.is_broken(error):
                raise
            self.say("error", database.set_aside(self.path, str(error)))
            act(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._place != place_of(self.path):
            self.say("warning", f"{self.path} was removed: it is created again")
            self.close()
        if self._connection is None:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            self._connection, complaint = database.open_to_write(self.path, self._gid)
            self._place = place_of(self.path)
            if complaint:
                self.say("error", complaint)
        return self._connection

    def close(self) -> None:
        """Close the database. Merge its write-ahead log into the file, as far as possible."""
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


class LastLines:
    """The last output of runs, from the part that reads it."""

    def __init__(self, reads: Callable[[str], bool], of: Callable[[str], list[str]]) -> None:
        """`reads(id)` tells whether more output of a run may come; `of(id)` returns its last lines."""
        self._reads = reads
        self._of = of

    def is_coming(self, record: dict[str, Any], at: float) -> bool:
        """Whether the last output of a failed run has not arrived yet; for PATIENCE seconds at most."""
        failed = not record.get("success", True) and not record.get("stopped") and record.get("pid")
        return bool(failed and record["ended"] > at - PATIENCE and self._reads(record["run"]))

    def tail(self, record: dict[str, Any]) -> str:
        """Return the last lines of a run; "" for none."""
        return "\n".join(self._of(record["run"]))


class Historian:
    """A part of @scribe."""

    def __init__(self, runtime_dir: str, database: Database, last_lines: LastLines) -> None:
        """`last_lines` knows the last output of each run."""
        self._directory = layout.spool(runtime_dir)
        self._database = database
        self._last_lines = last_lines
        self._rejects = Rejects(runtime_dir, database.say)
        self._watch = Watch(IN_MOVED_TO)
        self._due: float | None = None
        self._forgot: float | None = None

    def attach(self, loop: Loop) -> None:
        """See `Part.attach`."""
        self._watch_spool()
        loop.add_watch(self._watch, lambda _: self._on_spool_change())

    def configure(self, manifest: dict[str, Any]) -> None:
        """See `Part.configure`. First take the files that were spooled while no scribe ran."""
        self._database.configure(manifest)
        self._due = clock.now() if self._database.path else None

    def _on_spool_change(self) -> None:
        if self._watch.concerned() and self._due is None and self._database.path:
            self._due = clock.now() + GATHERING

    def _watch_spool(self) -> bool:
        """Watch the directory, also after somebody has removed it. False while there is no place for it."""
        try:
            with suppress(FileExistsError):
                os.mkdir(self._directory, mode=0o700)
        except FileNotFoundError:
            return False
        self._watch.set(((self._directory, "*"),))
        return True

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self._due

    def due(self, now: float) -> None:
        """See `Timed`."""
        if not self._watch_spool():
            self._due = now + AGAIN
            return
        try:
            rest, written = self._take(now)
        except OSError as error:  # for example no descriptor is left: the files stay in the spool
            self._database.failed(f"the history cannot be read from the spool, it waits there: {in_words(error)}")
            rest, written = True, False
        self._due = now + AGAIN if not written else now + GATHERING if rest else None

    def _take(self, now: float) -> tuple[bool, bool]:
        """Take files from the spool. Return whether more wait there, and whether all taken records are written.

        Raises:
            OSError: the spool cannot be read.
        """
        names = spool.waiting(self._directory)
        records: list[dict[str, Any]] = []
        rejected: Rejected = []
        taken: list[str] = []
        for name in names[:FILES]:
            bad: Rejected = []
            found = self._read(name, bad)
            if any(self._last_lines.is_coming(one, now + clock.offset()) for one in found):
                break
            records += found
            rejected += bad
            taken.append(name)
        return len(names) > len(taken), not taken or self._write(taken, records, rejected)

    def _read(self, name: str, rejected: Rejected) -> list[dict[str, Any]]:
        """Return the usable records of a spool file. Add the others to `rejected`."""
        path = f"{self._directory}/{name}"
        return list(spool.read(path, lambda line, why: rejected.append((os.fsdecode(line), why))))

    def _write(self, names: list[str], records: list[dict[str, Any]], rejected: Rejected) -> bool:
        """Write the records, and set aside those that cannot be written. False: the caller tries again."""
        at = clock.now() + clock.offset()

        def act(connection: sqlite3.Connection) -> None:
            bad = list(rejected)  # of this attempt
            history.write(
                connection, records, self._last_lines.tail, at, lambda one, why: bad.append((json.dumps(one), why))
            )
            self._rejects.set_aside(layout.rejects(self._database.path), bad)

        if not self._database.do(act):
            return False
        spool.remove(self._directory, names)
        if self._forgot is None or self._forgot + FORGETTING < clock.now():
            self._forgot = clock.now()
            self._database.do(lambda connection: history.forget(connection, at))
        return True

    def finish(self) -> None:
        """See `Part.finish`."""
        while self._database.path and (names := spool.waiting(self._directory)[:FILES]):
            rejected: Rejected = []
            if not self._write(names, [one for name in names for one in self._read(name, rejected)], rejected):
                break
        self._database.close()
