"""`history.db` in the state directory: opened, made, set aside when it is broken; and how others may read it.

SQLite, written by the scribe alone. It is in WAL mode: readers and the writer do not wait for each other, and
what a power loss leaves is always a whole database, as every frame of the log has a checksum. `synchronous = NORMAL`:
a commit does not wait for the disk, only a checkpoint does. So a power loss may cost the newest commits (what the
kernel had not written back, some 30 s), never an older one and never the database; and no fsync per batch can hold up
the output of the tasks, which the same process writes.

A member of `socket_group` may read it, without the supervisor: `history.db` and the two files beside it get
that group. A reader never writes. While the scribe has it open, it reads through the shared index; when nobody has,
the two files are gone, SQLite could not make them anew in a directory of somebody else, and the file is opened as
immutable, which it then is.

Programs of two versions write it in turn: the next one, and, after an upgrade that failed, the one before. See VERSION.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

NAME = "history.db"
VERSION = 1
"""What the file says of itself (`user_version`). It stays when a table or a column is added: who does not know that
leaves it alone, who misses it adds it (`ADDED`). So every statement names its columns, and a column that is added may
be NULL. It is raised only when a program that knows no more than this number would get something wrong.
"""

ADDED = {"runs": {"stopped": "TEXT"}}
"""The columns that a file of this version may lack, by table, with their types."""

BESIDE = ("", "-wal", "-shm")
"""The file, its log and the shared index."""

CHECKED = 32 << 20
"""Bytes up to which the file is checked as a whole when it is opened; a larger one shows its faults when met."""

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class OtherVersionError(sqlite3.DatabaseError):
    """The file is whole, but not for this program."""

    def __init__(self, version: int) -> None:
        super().__init__(f"it has version {version}, not {VERSION}")
        self.version = version


SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,        -- rises in the order of the ends
    task TEXT NOT NULL,
    instance TEXT NOT NULL,        -- "web:1"
    name TEXT NOT NULL,            -- "web", or "web:1" when there were several
    epoch TEXT NOT NULL,           -- which row of numbers
    first INTEGER NOT NULL,        -- the number of the run; of the first, when the row is of several that are alike
    last INTEGER NOT NULL,
    row INTEGER NOT NULL,          -- how many rows that are alike precede it at once
    kind TEXT NOT NULL,
    trigger TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    arguments TEXT,                -- JSON
    pid INTEGER,
    began REAL NOT NULL,           -- seconds since 1970, as all that follow
    ready REAL,
    ended REAL NOT NULL,           -- of the first
    last_ended REAL NOT NULL,
    lived REAL NOT NULL,           -- seconds, of all together
    code INTEGER,
    signal TEXT,
    core INTEGER NOT NULL,
    success INTEGER NOT NULL,
    reason TEXT NOT NULL,
    cpu REAL,                      -- seconds, of all together
    memory INTEGER,                -- bytes: the largest process there was
    tail TEXT,                     -- the last lines that it wrote
    stopped TEXT                   -- why it was asked to end, if it ended upon that
);
CREATE INDEX IF NOT EXISTS runs_by_number ON runs (instance, epoch, last);
CREATE INDEX IF NOT EXISTS runs_of_instance ON runs (instance);
CREATE INDEX IF NOT EXISTS runs_of_task ON runs (task);
CREATE TABLE IF NOT EXISTS limits (task TEXT PRIMARY KEY, keep INTEGER NOT NULL, max_age REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sampled (id INTEGER PRIMARY KEY, instance TEXT NOT NULL UNIQUE, task TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS samples (
    at INTEGER NOT NULL,           -- seconds since 1970
    who INTEGER NOT NULL,          -- sampled.id
    cpu REAL,                      -- percent of one processor
    memory INTEGER,                -- bytes
    processes INTEGER, threads INTEGER,
    read REAL, written REAL,       -- bytes per second
    switches REAL,                 -- per second
    files INTEGER,
    PRIMARY KEY (at, who)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS means (               -- of five minutes, which begin at `at`
    at INTEGER NOT NULL, who INTEGER NOT NULL, cpu REAL, memory REAL, processes REAL, threads REAL, read REAL,
    written REAL, switches REAL, files REAL, PRIMARY KEY (at, who)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (at REAL NOT NULL, runs INTEGER NOT NULL);
"""


def open_to_write(path: str, gid: int | None = None) -> tuple[sqlite3.Connection, str]:
    """Opens or makes it; a broken one, or one of a version that is not known, is set aside, under a name that says why.

    Args:
        path: of the file.
        gid: who may read it.

    Returns:
        The connection, and a sentence when something was set aside.

    Raises:
        sqlite3.Error, OSError: the disk is full, read-only, gone.
    """
    try:
        return _open(path, gid), ""
    except OtherVersionError as error:
        said = set_aside(path, str(error), f"version-{error.version}")
        return _open(path, gid), said
    except sqlite3.DatabaseError as error:
        if not is_broken(error):
            raise
        said = set_aside(path, str(error))
        return _open(path, gid), said


def is_broken(error: BaseException) -> bool:
    """Whether it is the file that is at fault, and not the disk."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def set_aside(path: str, why: str, what: str = "corrupt") -> str:
    """Renames what is there, as `what` it is; a history is begun anew. Returns a sentence for the operator."""
    from supervisor.host.clock import stamp  # noqa: PLC0415 - only then

    aside = f"{path}.{what}-{stamp()[:19].replace(':', '')}Z"
    for beside in BESIDE:
        with suppress(FileNotFoundError):
            os.rename(path + beside, aside + beside)
    return f"{path} cannot be used ({why}): set aside as {aside}, a new one is begun"


def _open(path: str, gid: int | None) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;"
            "PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;"
        )
        _check(connection, path)
        _share(path, gid)
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection


def _check(connection: sqlite3.Connection, path: str) -> None:
    if os.stat(path).st_size <= CHECKED:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise _fault(str(said))
    if not _version(connection):
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        return
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT")
    for table, columns in _lacking(connection).items():
        for column in columns:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {ADDED[table][column]}")


def _version(connection: sqlite3.Connection) -> int:
    """Of the file; 0: there is nothing in it yet.

    Raises:
        OtherVersionError: it is not ours.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, VERSION):
        raise OtherVersionError(version)
    return version


def _lacking(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns that this program knows and the file has not, by table."""
    there = {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in ADDED}
    found = {table: [name for name in columns if name not in there[table]] for table, columns in ADDED.items()}
    return {table: names for table, names in found.items() if names and there[table]}


def _fault(text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _share(path: str, gid: int | None) -> None:
    """Gives the group the right to read. SQLite makes the files beside it alike."""
    for beside in BESIDE:
        with suppress(FileNotFoundError):
            if gid is not None:
                os.chown(path + beside, -1, gid)
            os.chmod(path + beside, 0o640 if gid is not None else 0o600)


def nothing() -> sqlite3.Connection:
    """A history without runs, in memory: what a reader sees while the first one has not ended."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    connection.row_factory = sqlite3.Row
    return connection


def open_to_read(path: str) -> sqlite3.Connection:
    """Opens it for a reader, whether or not somebody writes.

    Raises:
        sqlite3.Error: it cannot be read.
        OSError: there is none, or we may not.
    """
    from urllib.parse import quote  # noqa: PLC0415 - the writer does not need it

    with open(path, "rb"):  # an error that says why
        pass
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=5.0)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if os.path.exists(f"{path}-wal"):
            raise
        connection = sqlite3.connect(f"{uri}&immutable=1", uri=True)
    try:
        _version(connection)
        for table, columns in _lacking(connection).items():  # its writer has not met it yet
            added = ", ".join(f"NULL AS {column}" for column in columns)
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT *, {added} FROM main.{table}")  # noqa: S608 - our own names
    except sqlite3.Error:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    return connection
