"""Open `history.db` in the state directory: make it, set a broken one aside, and let others read it.

The file is an SQLite database. Only the scribe writes it. It is in WAL mode, which gives two guarantees:

- Readers and the writer do not wait for each other.
- A power loss always leaves a whole database, as every frame of the log has a checksum.

With `synchronous = NORMAL` a commit does not wait for the disk; only a checkpoint does.

- A power loss may lose the newest commits: those that the kernel had not written back, some 30 s.
- It never loses an older commit, and it never breaks the database.
- There is no fsync per batch. So the disk does not delay the output of the tasks, which the same process writes.

A member of `socket_group` can read the database without the supervisor: `history.db` and the two files beside it get
that group. A reader never writes. While the scribe has the database open, a reader uses the shared index. When no
process has it open, the two files are gone. SQLite cannot create them in a directory of another user. So the reader
opens the file as immutable, which it is at that time.

Programs of two versions write the file in turn: the newer one, and the older one after a failed upgrade. See VERSION.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

VERSION = 1
"""The version of the file (`user_version`). A new table or column does not raise it.

A program that does not know the column leaves it alone. A program that misses the column adds it (`ADDED`). So every
statement names its columns, and an added column may be NULL. The number is raised only when an older program would get
something wrong.
"""

ADDED = {
    "runs": {"stopped": "TEXT", "firing": "TEXT", "due": "REAL", "late": "REAL", "missed": "INTEGER"},
}
"""The columns that a file of this version may not have yet, by table, with their types."""

ADDED_INDEX = "CREATE INDEX IF NOT EXISTS runs_of_firing ON runs (firing) WHERE firing IS NOT NULL"
"""An index of such a column."""

BESIDE = ("", "-wal", "-shm")
"""The file, its log and the shared index."""

CHECKED = 32 << 20
"""Bytes up to which the program checks the whole file when it opens it. A larger file shows its faults on use."""

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class OtherVersionError(sqlite3.DatabaseError):
    """The file is intact, but its version is not one that this program knows."""

    def __init__(self, version: int) -> None:
        super().__init__(f"it has version {version}, not {VERSION}")
        self.version = version


SKIPPED = """(
    id INTEGER PRIMARY KEY,
    task TEXT NOT NULL,
    trigger TEXT NOT NULL,
    firing TEXT NOT NULL,          -- its id; the last one, when the row is of several that are alike
    due REAL NOT NULL,             -- of the first
    last_due REAL NOT NULL,
    times INTEGER NOT NULL,        -- due times
    at REAL NOT NULL,              -- when the last one was skipped
    skipped TEXT NOT NULL          -- why
)"""
"""The table of the firings that were skipped."""

SCHEMA = f"""
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
    stopped TEXT,                  -- why it was asked to end, if it ended upon that
    firing TEXT,                   -- the id of the firing that it was for
    due REAL,                      -- when that was due
    late REAL,                     -- seconds by which it became a run too late
    missed INTEGER                 -- due times that passed without a run, and that this run was for
);
CREATE INDEX IF NOT EXISTS runs_by_number ON runs (instance, epoch, last);
CREATE INDEX IF NOT EXISTS runs_of_instance ON runs (instance);
CREATE INDEX IF NOT EXISTS runs_of_task ON runs (task);
CREATE TABLE IF NOT EXISTS skipped {SKIPPED};
CREATE INDEX IF NOT EXISTS skipped_of_task ON skipped (task);
CREATE INDEX IF NOT EXISTS skipped_by_due ON skipped (task, last_due);
CREATE INDEX IF NOT EXISTS skipped_of_firing ON skipped (firing);
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
    """Open or create the database; rename a broken file, or one of an unknown version, and begin a new one.

    The new name of the old file says why it is set aside.

    Args:
        path: of the file.
        gid: the group that may read it.

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
    """Return whether the file is at fault, and not the disk."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def set_aside(path: str, why: str, what: str = "corrupt") -> str:
    """Rename the file; the new name contains `what`. A new history begins. Return a sentence for the operator."""
    from supervisor.host.clock import stamp  # noqa: PLC0415 - only then

    aside = name = f"{path}.{what}-{stamp()[:19].replace(':', '')}Z"
    number = 1
    while os.path.exists(aside):  # set aside in the same second: it is the only copy of another history
        number += 1
        aside = f"{name}-{number}"
    for beside in BESIDE:
        with suppress(FileNotFoundError):
            os.rename(path + beside, aside + beside)
    return f"{path} cannot be used ({why}): set aside as {aside}, a new one is created"


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
    connection.row_factory, connection.text_factory = sqlite3.Row, _text
    return connection


def _check(connection: sqlite3.Connection, path: str) -> None:
    if os.stat(path).st_size <= CHECKED:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise _fault(str(said))
    if not _version(connection):
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {ADDED_INDEX}; PRAGMA user_version = {VERSION}; COMMIT")
        return
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT")
    for table, columns in _lacking(connection).items():
        for column in columns:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {ADDED[table][column]}")
    connection.execute(ADDED_INDEX)


def _version(connection: sqlite3.Connection) -> int:
    """Return the version of the file; 0: there is nothing in it yet.

    Raises:
        OtherVersionError: this program does not know the version.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, VERSION):
        raise OtherVersionError(version)
    return version


def _lacking(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the columns that this program knows and the file does not have, by table."""
    there = {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in ADDED}
    found = {table: [name for name in columns if name not in there[table]] for table, columns in ADDED.items()}
    return {table: names for table, names in found.items() if names and there[table]}


def _fault(text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _share(path: str, gid: int | None) -> None:
    """Give the group the right to read. SQLite gives the files beside it the same mode and group."""
    for beside in BESIDE:
        with suppress(FileNotFoundError):
            if gid is not None:
                os.chown(path + beside, -1, gid)
            os.chmod(path + beside, 0o640 if gid is not None else 0o600)


def _text(stored: bytes) -> str:
    """Decode a text that another program may have stored; it may not be valid UTF-8."""
    return stored.decode(errors="backslashreplace")


def nothing() -> sqlite3.Connection:
    """Return an empty history in memory: a reader gets it until the first run ends."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    connection.row_factory, connection.text_factory = sqlite3.Row, _text
    return connection


def open_to_read(path: str) -> sqlite3.Connection:
    """Open the database for a reader, whether or not a writer has it open.

    Raises:
        sqlite3.Error: it cannot be read.
        OSError: there is no file, or we may not read it.
    """
    from urllib.parse import quote  # noqa: PLC0415 - the writer does not need it

    with open(path, "rb"):  # raises an error that says why
        pass
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro"
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
        for table, columns in _lacking(connection).items():  # no newer writer has opened this file yet
            added = ", ".join(f"NULL AS {column}" for column in columns)
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT *, {added} FROM main.{table}")  # noqa: S608 - our own names
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'skipped'").fetchone():
            connection.execute(f"CREATE TEMP TABLE skipped {SKIPPED}")
    except sqlite3.Error:
        connection.close()
        raise
    connection.row_factory, connection.text_factory = sqlite3.Row, _text
    return connection
