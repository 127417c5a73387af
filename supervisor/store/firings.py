"""Keep the firings on disk: those that are due in the future, wait, or have become a run; and how the last ones ended.

The file is `firings.db` in the state directory, an SQLite database. Only @timekeeper opens it to write. A commit is on
the disk when it returns (`synchronous = FULL`), as the run of a firing begins only after the commit that says so.

A firing is one row, from before it is due until it is over:

    waiting ──► taken ──► over (ran)
      │ ▲         │
      │ └─────────┘ another attempt
      └─────────────────► over (skipped)

A firing that is taken belongs to a run of this boot. If the supervisor does not know such a run, the run never began:
`free` lets the firing wait again. In another boot nobody knows how far the run came: `shell.firings` reports that.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import struct
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from supervisor.core.firing import AGAIN, Firing, input_of
from supervisor.core.immutable import plain
from supervisor.core.last_runs import Record
from supervisor.core.retry import Again
from supervisor.store.database import is_broken, set_aside

VERSION = 3
"""The version of the file (`user_version`). A new column raises it, with a line in `_SINCE`."""

NAMED = 20
"""The maximum of lost firings that a sentence names."""

KEPT = 1000
"""The maximum of firings of a task that are over and stay in the file, beside those whose key still stands for them."""

Known = dict[str, Any]
"""A firing: `firing` (plain), `run` ("": none), and `over`, which is None, or how it ended.

`over` has `at` (seconds since 1970), `reason`, `ran` and `success`.
"""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS firings (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    trigger TEXT NOT NULL,
    due REAL NOT NULL,             -- seconds since 1970, as all moments
    start REAL NOT NULL,           -- not before: due, and the jitter
    times INTEGER NOT NULL,        -- due times that it stands for
    on_time INTEGER NOT NULL DEFAULT 0,  -- it was due on time, and waits
    run TEXT,                      -- the run that it has become
    boot TEXT,                     -- in which boot
    attempt INTEGER NOT NULL DEFAULT 1,
    person TEXT NOT NULL DEFAULT '',  -- who asked for it
    input TEXT,                    -- JSON of its Input
    interrupted INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    before TEXT NOT NULL DEFAULT '',  -- the ids of its earlier runs, with blanks between them
    key BLOB,                      -- by which the person who asked for it finds it again
    until REAL                     -- up to when the key stands for it, also after its end
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS firings_of_task ON firings (task);
CREATE TABLE IF NOT EXISTS over (
    number INTEGER PRIMARY KEY,    -- rises in the order of the ends
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    trigger TEXT NOT NULL,
    due REAL NOT NULL,
    times INTEGER NOT NULL,
    at REAL NOT NULL,
    run TEXT,                      -- NULL: it was skipped
    reason TEXT NOT NULL,          -- why it was skipped, or how its run ended
    attempt INTEGER NOT NULL DEFAULT 1,
    person TEXT NOT NULL DEFAULT '',
    input TEXT,
    key BLOB,
    until REAL,
    before TEXT NOT NULL DEFAULT '',
    success INTEGER                -- 1: its run succeeded, 0: it failed, NULL: neither (skipped, or ended on request)
);
CREATE INDEX IF NOT EXISTS over_of_task ON over (task, number);
CREATE INDEX IF NOT EXISTS firings_by_key ON firings (task, key) WHERE key IS NOT NULL;
CREATE INDEX IF NOT EXISTS over_by_key ON over (task, key) WHERE key IS NOT NULL;
CREATE TABLE IF NOT EXISTS marks (
    task TEXT NOT NULL,
    trigger TEXT NOT NULL,
    definition TEXT NOT NULL,      -- what the firings were computed from
    mark REAL NOT NULL,            -- the last due time that a firing was made for
    PRIMARY KEY (task, trigger)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS last_runs (  -- see core.last_runs
    task TEXT PRIMARY KEY,
    since REAL NOT NULL,
    succeeded INTEGER NOT NULL,
    failed TEXT NOT NULL,
    expected INTEGER NOT NULL,
    overdue INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (
    task TEXT PRIMARY KEY,
    ran INTEGER NOT NULL,
    skipped INTEGER NOT NULL,      -- due times without a run of their own
    missed INTEGER NOT NULL DEFAULT 0,  -- those of them that catch_up has decided about
    last_due REAL,                 -- of the last firing that ran
    last_run TEXT,
    skip_due REAL,                 -- of the last one that was skipped
    skip_reason TEXT
) WITHOUT ROWID;
DROP VIEW IF EXISTS known;
CREATE VIEW known AS
    SELECT id, task, trigger, due, start, times, attempt, person, input, on_time, interrupted, missed, before, key,
        until, run, NULL AS reason, NULL AS success, NULL AS at, 0 AS number FROM firings
    UNION ALL
    SELECT id, task, trigger, due, due, times, attempt, person, input, 0, 0, 0, before, key, until, run, reason,
        success, at, number FROM over;
PRAGMA user_version = {VERSION};
"""  # noqa: S608 - our own names

_ADDED = "attempt INTEGER NOT NULL DEFAULT 1", "person TEXT NOT NULL DEFAULT ''", "input TEXT", "key BLOB", "until REAL"

_COUNTED = (
    "missed INTEGER NOT NULL DEFAULT 0", "last_due REAL", "last_run TEXT", "skip_due REAL", "skip_reason TEXT",
)  # fmt: skip

_LAST = """
UPDATE counts SET (last_due, last_run) = (
    SELECT due, run FROM over WHERE over.task = counts.task AND run IS NOT NULL ORDER BY number DESC LIMIT 1);
UPDATE counts SET (skip_due, skip_reason) = (
    SELECT due, reason FROM over WHERE over.task = counts.task AND run IS NULL ORDER BY number DESC LIMIT 1);
"""

_SINCE = {
    1: "".join(f"ALTER TABLE {table} ADD COLUMN {column};" for table in ("firings", "over") for column in _ADDED)
    + "ALTER TABLE over ADD COLUMN success INTEGER; ALTER TABLE firings ADD COLUMN on_time INTEGER NOT NULL DEFAULT 0;"
    + "".join(f"ALTER TABLE counts ADD COLUMN {column};" for column in _COUNTED)
    + _LAST,
    2: "".join(f"ALTER TABLE firings ADD COLUMN {one} INTEGER NOT NULL DEFAULT 0;" for one in ("interrupted", "missed"))
    + "".join(f"ALTER TABLE {one} ADD COLUMN before TEXT NOT NULL DEFAULT '';" for one in ("firings", "over")),
}
"""What a file of each version lacks."""

_COLUMNS = "id, task, trigger, due, start, times, attempt, person, input, on_time, interrupted, missed"


class NewerVersionError(sqlite3.DatabaseError):
    """A later version of this program has written the file. It must not be read by guesses, nor set aside."""


class InUseError(sqlite3.OperationalError):
    """Another process has the file open."""


S = TypeVar("S", bound="Firings")


def open_to_write(path: str, kind: type[S]) -> tuple[S, str]:
    """Open or create the file. A broken one is set aside, and a new one begun.

    Args:
        path: of the file.
        kind: `Firings`, or a class below it.

    Returns:
        The store, and a sentence for the operator if a file was set aside. It names the firings that are lost.

    Raises:
        NewerVersionError, InUseError: see there.
        sqlite3.Error, OSError: the disk is full, read-only or gone.
    """
    try:
        return kind(_connect(path)), ""
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        lost = _waiting_in(path)
        said = set_aside(path, str(error))
        return kind(_connect(path)), f"{said}; {lost}"


def _waiting_in(path: str) -> str:
    """Return in words which firings wait in a broken file, as far as it can be read."""
    found: list[str] = []
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            for (identity,) in connection.execute("SELECT id FROM firings WHERE run IS NULL"):
                found.append(str(identity))
        finally:
            connection.close()
    if not found:
        return "what waited in it cannot be read, and is lost"
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"lost, as far as it can be read: {', '.join(found[:NAMED])}{more}"


def _connect(path: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    try:
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {setting}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            known = f"this program knows up to version {VERSION}"
            raise NewerVersionError(
                f"it has version {version}, {known}; install the newer program, or move the file away"
            )
        lacking = "".join(_SINCE[one] for one in range(version, VERSION)) if version else ""
        connection.executescript(f"BEGIN IMMEDIATE; {lacking} {SCHEMA} COMMIT;")
        if (said := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            error = sqlite3.DatabaseError(str(said))
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
    except BaseException as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise InUseError(f"another process uses it{_user_of(path)}; end that process") from error
        raise
    return connection


def _user_of(path: str) -> str:
    """Return in words which process holds the locks of SQLite on a file; "" if that cannot be known."""
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0x40000000, 512, 0)  # PENDING_BYTE, and what follows
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, lock))[4]
        finally:
            os.close(fd)
    except OSError:
        return ""
    return f" (pid {pid})" if pid > 0 else ""


class Firings:
    """The open file. Call it within `transaction`; all methods raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.inputs_over = True  # a firing with a kept input has ended since the last `inputs`

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The open file, to copy it as a whole."""
        return self._db

    def copy_to(self, path: str) -> None:
        """Copy everything into a new file."""
        other = sqlite3.connect(path)
        try:
            self._db.backup(other)
        finally:
            other.close()

    def __enter__(self) -> Firings:
        """Begin a transaction: what follows is on the disk when the block ends, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):  # the first error counts
                    self._db.execute("ROLLBACK")

    # -- firings ------------------------------------------------------------------------------------------------------

    def add(self, firing: Firing, key: str = "", until: float = 0.0) -> bool:
        """Add a firing, which waits. Return False if there is or was one of this id.

        Args:
            firing: the new one.
            key: see `same`; "" for none.
            until: seconds since 1970 up to when the key stands for it.
        """
        if self._db.execute("SELECT 1 FROM over WHERE id = ?", (firing.id,)).fetchone():
            return False
        given = firing.input and json.dumps(plain(firing.input))
        values = (firing.id, firing.task, firing.trigger, firing.due, firing.start, firing.times)
        of_its_kind = (firing.attempt, firing.by, given, firing.on_time)
        added = self._db.execute(
            f"INSERT OR IGNORE INTO firings ({_COLUMNS}, key, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
            (*values, *of_its_kind, firing.interrupted, firing.missed, _bytes(key) or None, until if key else None),
        )
        return added.rowcount > 0

    def take(self, identity: str, run: str, boot: str) -> bool:
        """Note that a firing becomes this run. Return False if there is no such firing, or another run has it."""
        found = self._db.execute(
            "UPDATE firings SET run = ?, boot = ? WHERE id = ? AND (run IS NULL OR (run = ? AND boot = ?))",
            (run, boot, identity, run, boot),
        )
        return found.rowcount > 0

    def keep_on_time(self, identity: str) -> None:
        """Note that a firing was due on time, and waits."""
        self._db.execute("UPDATE firings SET on_time = 1 WHERE id = ?", (identity,))

    def free(self, identity: str) -> Firing | None:
        """Let a firing wait again, as its run never began. Return it; None if it is unknown."""
        statement = f"UPDATE firings SET run = NULL, boot = NULL WHERE id = ? RETURNING {_COLUMNS}"  # noqa: S608
        freed = self._db.execute(statement, (identity,)).fetchone()
        return freed and _firing(freed)

    def find(self, identity: str) -> Known | None:
        """Return what is known of a firing, by its id or that of its run; None if nothing is (any more)."""
        earlier = "instr(' ' || before || ' ', ' ' || ? || ' ')"
        return self._known(f"id = ? OR run = ? OR {earlier}", identity, identity, identity)

    def failed(self, tasks: Iterable[str], since: float) -> list[str]:
        """Return the firings of tasks that ended as failed since a moment, in the order of their ends.

        One that was run again is left out: the newest run of the same tells how that went. Their ids begin alike, up to
        `AGAIN`.
        """
        first = f"substr(over.id, 1, instr(over.id || '{AGAIN}', '{AGAIN}') - 1) || '{AGAIN}'"
        rows = self._db.execute(
            "SELECT id FROM over WHERE task IN (SELECT value FROM json_each(?)) AND success = 0 AND at >= ? AND"  # noqa: S608
            f" NOT EXISTS (SELECT 1 FROM known WHERE known.task = over.task AND instr(known.id, {first}) = 1"
            " AND (known.reason IS NULL OR known.number > over.number)) ORDER BY number",
            (json.dumps(list(tasks)), since),
        )
        return [str(row[0]) for row in rows]

    def same(self, task: str, key: str, now: float) -> Known | None:
        """Return the newest firing of a task with this key: one that is not over, or whose key still stands for it."""
        return self._known("task = ? AND key = ? AND (until > ? OR reason IS NULL)", task, _bytes(key), now)

    def _known(self, condition: str, *values: object) -> Known | None:
        row = self._db.execute(
            f"SELECT {_COLUMNS}, run, reason, success, at FROM known WHERE {condition}"  # noqa: S608 - our own names
            " ORDER BY reason IS NOT NULL, number DESC LIMIT 1",
            values,
        ).fetchone()
        if row is None:
            return None
        *_, run, reason, success, at = row
        over = {"at": at, "reason": reason, "ran": run is not None, "success": success and bool(success)}
        return {"firing": plain(_firing(row)), "run": run or "", "over": None if reason is None else over}

    def again(self, identity: str, again: Again) -> Firing | None:
        """Let a firing wait for its next run, as its run is over. Return it; None if it does not wait then.

        A second call changes nothing. A run that began after the first one has its own attempt, or one interruption
        more. The parent makes this call before that run begins, and never after it.
        """
        new = (again.attempt, again.interrupted, again.missed, again.start)
        self._db.execute(
            "UPDATE firings SET before = trim(before || ' ' || coalesce(run, '')), run = NULL, boot = NULL,"
            " attempt = ?, interrupted = ?, missed = ?, start = ?"
            " WHERE id = ? AND (attempt < ? OR (attempt = ? AND interrupted <= ?))",
            (*new, identity, again.attempt, again.attempt, again.interrupted),
        )
        found = self._db.execute(f"SELECT {_COLUMNS} FROM firings WHERE id = ? AND run IS NULL", (identity,)).fetchone()  # noqa: S608
        return _firing(found) if found else None

    def end(
        self, identity: str, at: float, reason: str, *, ran: bool, success: bool | None = None, missed: bool = False
    ) -> str:
        """Note that a firing is over: it ran, or was skipped. Return its task; "" if it is unknown.

        Args:
            identity: its id.
            at: seconds since 1970.
            reason: how its run ended, or why it was skipped.
            ran: whether it has become a run.
            success: of its run; None if the run neither succeeded nor failed: it was stopped.
            missed: whether `catch_up` has skipped it.
        """
        found = self._db.execute("SELECT run, before FROM firings WHERE id = ?", (identity,)).fetchone()
        last = (found[0] or found[1].rpartition(" ")[2] or None) if found and ran else None
        moved = self._db.execute(
            "INSERT OR IGNORE INTO over"
            " (id, task, trigger, due, times, attempt, person, input, before, key, until, at, run, reason, success)"
            " SELECT id, task, trigger, due, times, attempt, person, input, before, key, until,"
            " ?, ?, ?, ? FROM firings WHERE id = ? RETURNING task, times, due, run, input",
            (at, last, reason, success, identity),
        ).fetchone()
        self._db.execute("DELETE FROM firings WHERE id = ?", (identity,))
        if moved is None:
            return ""
        task, times, due, run, given = moved
        self.inputs_over |= bool(_stdin(given))
        if ran:
            self._count(task, ran=1, skipped=times - 1, missed=times - 1, last_due=due, last_run=run)
        else:
            self._count(task, skipped=times, missed=times if missed else 0, skip_due=due, skip_reason=reason)
        self._db.execute(
            "DELETE FROM over WHERE task = ? AND ifnull(until, 0) < ? AND number <="
            " (SELECT number FROM over WHERE task = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
            (task, at, task, KEPT),
        )
        return str(task)

    def _count(self, task: str, **new: object) -> None:
        """Add to the counts of a task, and take over its last firing."""
        values = {"task": task, "ran": 0, "skipped": 0, "missed": 0} | new
        added = [f"{key} = {key} + excluded.{key}" for key in ("ran", "skipped", "missed")]
        added += [f"{key} = excluded.{key}" for key in new if key not in ("ran", "skipped", "missed")]
        self._db.execute(
            f"INSERT INTO counts ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"  # noqa: S608 - our own names
            f" ON CONFLICT DO UPDATE SET {', '.join(added)}",
            tuple(values.values()),
        )

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return the paths of the kept inputs: of firings that are not over, and of those that are, newest first."""
        self.inputs_over = False
        here = self._db.execute("SELECT input FROM firings WHERE input IS NOT NULL")
        over = self._db.execute("SELECT input FROM over WHERE input IS NOT NULL ORDER BY number DESC")
        found = [[_stdin(given) for (given,) in rows] for rows in (here, over)]
        return [path for path in found[0] if path], [path for path in found[1] if path]

    def firings(self) -> list[tuple[Firing, str, str]]:
        """Return all firings that are not over, in the order of their due times, each with its run and boot, or ""."""
        rows = self._db.execute(f"SELECT {_COLUMNS}, run, boot FROM firings ORDER BY due, id")  # noqa: S608 - our own names
        return [(_firing(row), row[-2] or "", row[-1] or "") for row in rows]

    def ended(self) -> Iterator[tuple[Firing, float, str, str, bool | None]]:
        """Yield the firings that are over, in order: each with its end, its run or "", the reason, and its success."""
        columns = _COLUMNS.replace(" start,", " due,").replace(" on_time, interrupted, missed", " 0, 0, 0")
        for row in self._db.execute(f"SELECT {columns}, at, run, reason, success FROM over ORDER BY number"):  # noqa: S608
            at, run, reason, success = row[-4:]
            yield _firing(row), at, run or "", reason, None if success is None else bool(success)

    # -- what they are computed from ----------------------------------------------------------------------------------

    def mark(self, task: str, trigger: str) -> tuple[str, float] | None:
        """Return the definition of a trigger, and the last due time that a firing was made for."""
        found = self._db.execute("SELECT definition, mark FROM marks WHERE task = ? AND trigger = ?", (task, trigger))
        row: tuple[str, float] | None = found.fetchone()
        return row

    def set_mark(self, task: str, trigger: str, definition: str, mark: float) -> None:
        """Set both."""
        self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)", (task, trigger, definition, mark))

    def remove(self, identity: str) -> None:
        """Remove a firing that waits, as if it had never been."""
        self._db.execute("DELETE FROM firings WHERE id = ?", (identity,))

    def rename_over(self, task: str, trigger: str, after: float) -> None:
        """Let the ids of due times after a moment be used again: a clock that was wrong has made firings of them."""
        self._db.execute(
            "UPDATE over SET id = id || '#' || number WHERE task = ? AND trigger = ? AND due > ?",
            (task, trigger, after),
        )

    def remove_mark(self, task: str, trigger: str) -> None:
        """Forget a trigger."""
        self._db.execute("DELETE FROM marks WHERE task = ? AND trigger = ?", (task, trigger))

    def triggers(self) -> list[tuple[str, str]]:
        """Return the tasks and triggers that have a mark."""
        return [(task, trigger) for task, trigger in self._db.execute("SELECT task, trigger FROM marks")]

    # -- how the last runs went ---------------------------------------------------------------------------------------

    def last_runs(self) -> dict[str, Record]:
        """Return the records that are kept, by task. Their moments are seconds since 1970."""
        rows = self._db.execute("SELECT task, since, succeeded, failed, expected, overdue FROM last_runs")
        return {row[0]: Record(row[1], bool(row[2]), row[3], bool(row[4]), bool(row[5])) for row in rows}

    def set_last_run(self, task: str, record: Record) -> None:
        """Keep the record of a task."""
        values = (record.since, record.succeeded, record.failed, record.expected, record.overdue)
        self._db.execute("INSERT OR REPLACE INTO last_runs VALUES (?, ?, ?, ?, ?, ?)", (task, *values))

    def remove_last_run(self, task: str) -> None:
        """Forget the record of a task."""
        self._db.execute("DELETE FROM last_runs WHERE task = ?", (task,))

    # -- how many -----------------------------------------------------------------------------------------------------

    def counts(self, tasks: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return by task how many due times ran and were skipped, and the last firing of both kinds."""
        sql = "SELECT ran, skipped, missed, last_due, last_run, skip_due, skip_reason FROM counts WHERE task = ?"
        found = {}
        for task in tasks:
            row = self._db.execute(sql, (task,)).fetchone() or (0, 0, 0, None, None, None, None)
            ran, skipped, missed, last_due, last_run, skip_due, skip_reason = row
            found[task] = {
                "ran": ran,
                "skipped": skipped,
                "missed": missed,
                "last": None if last_due is None else {"due": last_due, "run": last_run},
                "last_skip": None if skip_due is None else {"due": skip_due, "why": skip_reason},
            }
        return found

    def forget(self, known: Collection[str], before: float) -> None:
        """Remove the counts of tasks that are not `known`, and their firings that were over `before` a moment."""
        for (task,) in self._db.execute("SELECT task FROM counts").fetchall():
            if task not in known:
                self._db.execute("DELETE FROM counts WHERE task = ?", (task,))
        for (task,) in self._db.execute("SELECT DISTINCT task FROM over").fetchall():
            if task not in known:
                self._db.execute("DELETE FROM over WHERE task = ? AND at < ?", (task, before))


def _firing(row: tuple[Any, ...]) -> Firing:
    """Return the firing of a row that begins with `_COLUMNS`."""
    given = input_of(json.loads(row[8])) if row[8] else None
    values = (*row[:8], given, bool(row[9]), *row[10:12])
    return Firing(*values)


def _bytes(key: str) -> bytes:
    """Return the bytes of a key, which need not be UTF-8."""
    return key.encode("utf-8", "surrogateescape")


def _stdin(given: str | None) -> str:
    found = input_of(json.loads(given)) if given else None
    return found.stdin if found else ""
