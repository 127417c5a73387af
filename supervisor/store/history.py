"""Keep the history of runs and of skipped firings: the scribe writes it, `supctl` reads it.

Each run is written once. The id of a run has an epoch and a number that rises. So each row shows which runs it
contains. A run record may come a second time, when a scribe or a parent has died. The second one changes nothing.

A number alone may come twice. This happens when a supervisor spools a run that could not be forked, and then dies.
Its journal could not be written, or was torn.

A skipped firing is written once, too, and not at all if a run of it is there: a supervisor that died before the skip
was final may have decided anew.

The first ROWS runs of a storm have their own rows. The similar runs after them share one row with a count. The keys
`history.keep` (rows) and `history.max_age` of each task limit the history. They also hold for a task that has left the
config.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from supervisor.core import skip_record
from supervisor.core.run_record import KEYS, RunRecord, alike, lived, merge, numbers
from supervisor.core.skip_record import SkipRecord
from supervisor.core.utf8 import json_line, readable

ROWS = 10
"""The number of similar runs in a row that have their own rows; those after them share one."""

Tail = Callable[[RunRecord], str]
"""Returns the last lines that a run wrote, "" for none."""

_COLUMNS = (
    "task", "instance", "name", "epoch", "first", "last", "row", "kind", "trigger", "attempt", "arguments", "pid",
    "began", "ready", "ended", "last_ended", "lived", "code", "signal", "core", "success", "reason", "cpu", "memory",
    "tail", "stopped", "firing", "due", "late", "missed",
)  # fmt: skip
_LATER = dict.fromkeys(("stopped", "firing", "due", "late", "missed"))
"""The fields that the record of an older program may lack."""
_INSERT = f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608 - our own names
_UPDATE = (
    "UPDATE runs SET last = :last, last_ended = :last_ended, lived = :lived, cpu = :cpu, memory = :memory, tail = :tail"
    " WHERE id = :id"
)
_LIMIT = "INSERT OR REPLACE INTO limits (task, keep, max_age) VALUES (?, ?, ?)"
_TRIM = tuple(
    f"DELETE FROM {table} WHERE task = :task AND id <="  # noqa: S608 - our own names
    f" (SELECT id FROM {table} WHERE task = :task ORDER BY id DESC LIMIT 1 OFFSET :keep)"
    for table in ("runs", "skipped")
)
_AGE = tuple(
    f"DELETE FROM {table} WHERE {at} < ? - (SELECT max_age FROM limits WHERE limits.task = {table}.task)"  # noqa: S608
    for table, at in (("runs", "last_ended"), ("skipped", "at"))
)
_SKIP = (
    "INSERT INTO skipped (task, trigger, firing, due, last_due, times, at, skipped)"
    " VALUES (:task, :trigger, :firing, :due, :last_due, :times, :at, :skipped)"
)
_SKIP_AGAIN = "UPDATE skipped SET firing = :firing, last_due = :last_due, times = :times, at = :at WHERE id = :id"
_KNOWN_SKIP = (
    "SELECT 1 FROM runs WHERE firing = :firing UNION ALL SELECT 1 FROM skipped WHERE firing = :firing UNION ALL"
    " SELECT 1 FROM skipped WHERE task = :task AND last_due >= :due AND due <= :due AND trigger = :trigger"
    " AND due < last_due"
)


_UNFIT = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError,
)  # fmt: skip
"""Errors of one record: a wrong shape, or a value that SQLite does not accept. Others are errors of the database."""

Reject = Callable[[dict[str, Any], str], object]
"""Receives a record that cannot be written, and the reason."""


def write(
    connection: sqlite3.Connection,
    records: Iterable[dict[str, Any]],
    tail: Tail,
    now: float,
    reject: Reject = lambda record, why: None,
) -> None:
    """Write all run records in one transaction, and remove the rows beyond the limits.

    The function skips a record that cannot be written, and writes the others. `readable` converts each text first.

    Args:
        connection: of `database.open_to_write`.
        records: run records, skip records, or `{"lost": N}`; moments are seconds since 1970.
        tail: returns the last lines of a run; called for runs that failed.
        now: seconds since 1970.
        reject: receives each skipped record.

    Raises:
        sqlite3.Error: nothing was written.
    """
    limits: dict[str, tuple[int, float]] = {}
    connection.execute("BEGIN IMMEDIATE")
    try:
        for record in records:
            try:
                _record(connection, record, tail, now, limits)
            except _UNFIT as error:
                reject(record, str(error) or type(error).__name__)
        for task, (keep, max_age) in limits.items():
            connection.execute(_LIMIT, (task, keep, max_age))
            for trim in _TRIM:
                connection.execute(trim, {"task": task, "keep": keep})
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def forget(connection: sqlite3.Connection, now: float) -> None:
    """Remove the rows of all tasks that are too old. It reads every row: once an hour is enough.

    Raises:
        sqlite3.Error: nothing was removed.
    """
    for age in _AGE:
        connection.execute(age, (now,))


def _record(
    connection: sqlite3.Connection, record: dict[str, Any], tail: Tail, now: float, limits: dict[str, tuple[int, float]]
) -> None:
    """Write one record, and put the limits of its task into `limits`."""
    if "lost" in record:
        connection.execute("INSERT INTO lost (at, runs) VALUES (?, ?)", (now, record["lost"]))
    elif "run" in record or "skipped" in record:
        clean: dict[str, Any] = {name: readable(one) if isinstance(one, str) else one for name, one in record.items()}
        if "run" in record:
            _one(connection, _LATER | clean, tail)
        else:
            _skip(connection, clean)
        limits[clean["task"]] = (clean["keep"], clean["max_age"])


def _one(connection: sqlite3.Connection, record: RunRecord, tail: Tail) -> None:
    epoch, first, last = numbers(record)
    key = record["instance"]
    known = (
        "SELECT 1 FROM runs WHERE instance = :key AND epoch = :epoch AND last >= :first AND first <= :first"
        " AND began <= :began + 0.01 AND last_ended >= :began - 0.01"
    )
    if connection.execute(known, {"key": key, "epoch": epoch, "first": first, "began": record["began"]}).fetchone():
        return
    if record["firing"]:  # a supervisor that died before it could skip this firing had told the history already
        connection.execute("DELETE FROM skipped WHERE firing = :firing AND due = last_due", record)
    before = connection.execute("SELECT * FROM runs WHERE instance = ? ORDER BY id DESC LIMIT 1", (key,)).fetchone()
    storm = before is not None and alike(_record_of(before), record)
    said = None if record["success"] or record.get("stopped") else readable(tail(record)) or None
    if storm and before["row"] >= ROWS - 1:
        both = merge(_record_of(before), record)
        row = {name: both[name] for name in ("last_ended", "lived", "cpu", "memory")}
        connection.execute(_UPDATE, row | {"last": last, "tail": said or before["tail"], "id": before["id"]})
        return
    row = {"epoch": epoch, "first": first, "last": last, "row": before["row"] + 1 if storm else 0, "tail": said}
    row |= {"last_ended": record.get("last_ended", record["ended"]), "lived": lived(record)}
    arguments = record["arguments"] and json_line(record["arguments"])
    connection.execute(_INSERT, record | row | {"arguments": arguments})


def _skip(connection: sqlite3.Connection, record: SkipRecord) -> None:
    if connection.execute(_KNOWN_SKIP, record).fetchone():
        return
    last = "SELECT * FROM skipped WHERE task = ? ORDER BY id DESC LIMIT 1"
    before = connection.execute(last, (record["task"],)).fetchone()
    if before and skip_record.alike(dict(before), record):
        connection.execute(_SKIP_AGAIN, skip_record.merge(dict(before), record) | {"id": before["id"]})
    else:
        connection.execute(_SKIP, record)


def _record_of(row: sqlite3.Row) -> RunRecord:
    """Return the run record that a row was made from."""
    run = f"{row['instance']}/{row['first']}@{row['epoch']}"
    return {**dict(row), "run": run, "count": row["last"] - row["first"] + 1, "keep": 0, "max_age": 0}


# -- reading ----------------------------------------------------------------------------------------------------------


def tasks(connection: sqlite3.Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs (task, instance) of the history that these names match: task, instance, or glob of either."""
    found = connection.execute("SELECT DISTINCT task, instance FROM runs ORDER BY task, instance")
    return [
        (task, instance)
        for task, instance in found
        if not names or any(fnmatchcase(task, name) or fnmatchcase(instance, name) for name in names)
    ]


def runs(
    connection: sqlite3.Connection, instances: Sequence[str], *, failed: bool, since: float, count: int
) -> list[dict[str, Any]]:
    """Return the newest rows of these instances, the newest last."""
    marks = ", ".join("?" * len(instances))
    sql = f"SELECT * FROM runs WHERE instance IN ({marks}) AND last_ended >= ?"  # noqa: S608 - only marks
    sql += (" AND success = 0 AND stopped IS NULL" if failed else "") + " ORDER BY id DESC LIMIT ?"
    return [shown(row) for row in connection.execute(sql, (*instances, since, count))][::-1]


def skipped(
    connection: sqlite3.Connection, names: Sequence[str] | None, *, since: float, count: int
) -> list[dict[str, Any]]:
    """Return the newest firings that were skipped, the newest last, in the form of runs.

    Args:
        connection: of `database.open_to_read`.
        names: tasks, or globs of them; None: all.
        since: seconds since 1970.
        count: the maximum.
    """
    tasks = [task for (task,) in connection.execute("SELECT DISTINCT task FROM skipped")]
    meant = [task for task in tasks if names is None or any(fnmatchcase(task, name) for name in names)]
    marks = ", ".join("?" * len(meant))
    sql = f"SELECT * FROM skipped WHERE task IN ({marks}) AND at >= ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - only marks
    return [_shown_skip(row) for row in connection.execute(sql, (*meant, since, count))][::-1]


def of_task(connection: sqlite3.Connection, task: str) -> list[dict[str, Any]]:
    """Return every row of a task."""
    return [shown(row) for row in connection.execute("SELECT * FROM runs WHERE task = ? ORDER BY id", (task,))]


def run(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """Return a run by its id "web:2/7@k3f9q1"; for "web:2/7" or "web/7" the newest run of that name."""
    row = _row_of(connection, name)
    return shown(row) if row else None


def _row_of(connection: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    who, _, number = name.rpartition("/")
    first, _, epoch = number.partition("@")
    if not first.isdigit():
        return None
    sql = (
        "SELECT * FROM runs WHERE (instance = :who OR name = :who OR instance = :who || ':1')"
        " AND first <= :run AND last >= :run"
        " AND (:epoch = '' OR epoch = :epoch) ORDER BY id DESC LIMIT 1"
    )
    found: sqlite3.Row | None = connection.execute(sql, {"who": who, "run": int(first), "epoch": epoch}).fetchone()
    return found


def has(connection: sqlite3.Connection, run_id: str) -> bool:
    """Return whether the history contains a run."""
    epoch, number, _ = numbers({"run": run_id})
    sql = "SELECT 1 FROM runs WHERE instance = ? AND epoch = ? AND last >= ? AND first <= ?"
    return connection.execute(sql, (run_id.rpartition("/")[0], epoch, number, number)).fetchone() is not None


def shown(row: sqlite3.Row) -> dict[str, Any]:
    """Return a row as `supctl runs --json` shows it."""
    one = dict(row)
    count = one["last"] - one["first"] + 1
    return {
        "run": f"{one['instance']}/{one['first']}@{one['epoch']}",
        "runs": count,
        "last_run": f"{one['instance']}/{one['last']}@{one['epoch']}",
        "name": one["name"],
        "task": one["task"],
        "kind": one["kind"],
        "trigger": one["trigger"],
        "attempt": one["attempt"],
        "arguments": json.loads(one["arguments"]) if one["arguments"] else [],
        "pid": one["pid"],
        "start": _stamp(one["began"]),
        "ready": _stamp(one["ready"]) if one["ready"] else None,
        "end": _stamp(one["ended"]),
        "last_end": _stamp(one["last_ended"]),
        "duration_s": round(one["lived"] / count, 3),
        "code": one["code"],
        "signal": one["signal"],
        "core_dumped": bool(one["core"]),
        "success": None if one["stopped"] and not one["success"] else bool(one["success"]),
        "reason": one["reason"],
        "stopped": one["stopped"],
        "cpu_s": one["cpu"],
        "memory_bytes": one["memory"],
        "tail": one["tail"],
        "firing": one["firing"],
        "due": _stamp(one["due"]) if one["due"] else None,
        "lateness_s": one["late"] if one["late"] is None else round(one["late"], 3),
        "missed": one["missed"],
        "skipped": None,
        "last_due": None,
        "result": None,
    }


def _shown_skip(row: sqlite3.Row) -> dict[str, Any]:
    return dict.fromkeys(KEYS) | {
        "runs": 0,
        "name": row["task"],
        "task": row["task"],
        "kind": "triggered",
        "trigger": row["trigger"],
        "arguments": [],
        "firing": row["firing"],
        "due": _stamp(row["due"]),
        "last_due": _stamp(row["last_due"]),
        "missed": row["times"],
        "skipped": row["skipped"],
    }


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
