"""The history of runs: written by the scribe, read by `supctl`.

A run is written once. Its id has an epoch and a number that rises, so a row knows which runs it is of, and an account
that comes a second time (a scribe or a parent has died in between) changes nothing. (A number alone may come twice: a
supervisor may die that spooled a run which could not be forked, while its journal could not be written, or was torn.)

The first ROWS runs of a storm have rows of their own; those that follow and are alike become one row with a count. It
is bounded by the keys `history.keep` (rows) and `history.max_age` of each task, also of one that has left the config.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from supervisor.store.account import Account, alike, lived, merge, numbers

ROWS = 10
"""Runs that are alike and have rows of their own, before those that follow share one."""

Tail = Callable[[Account], str]
"""The last lines that a run wrote, "" for none."""

_COLUMNS = (
    "task", "instance", "name", "epoch", "first", "last", "row", "kind", "trigger", "attempt", "arguments", "pid",
    "began", "ready", "ended", "last_ended", "lived", "code", "signal", "core", "success", "reason", "cpu", "memory",
    "tail", "stopped",
)  # fmt: skip
_INSERT = f"INSERT INTO runs ({', '.join(_COLUMNS)}) VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"  # noqa: S608 - our own names
_UPDATE = (
    "UPDATE runs SET last = :last, last_ended = :last_ended, lived = :lived, cpu = :cpu, memory = :memory, tail = :tail"
    " WHERE id = :id"
)
_LIMIT = "INSERT OR REPLACE INTO limits (task, keep, max_age) VALUES (?, ?, ?)"
_TRIM = (
    "DELETE FROM runs WHERE task = :task AND id <="
    " (SELECT id FROM runs WHERE task = :task ORDER BY id DESC LIMIT 1 OFFSET :keep)"
)
_AGE = "DELETE FROM runs WHERE last_ended < ? - (SELECT max_age FROM limits WHERE limits.task = runs.task)"


def write(connection: sqlite3.Connection, records: Iterable[dict[str, Any]], tail: Tail, now: float) -> None:
    """Writes accounts down, all in one transaction, and keeps what there is within its bounds.

    Args:
        connection: of `database.open_to_write`.
        records: accounts, or `{"lost": N}`; moments are seconds since 1970.
        tail: the last lines of a run; asked for those that failed.
        now: seconds since 1970.

    Raises:
        sqlite3.Error: nothing was written.
    """
    limits = {}
    connection.execute("BEGIN IMMEDIATE")
    try:
        for record in records:
            if "lost" in record:
                connection.execute("INSERT INTO lost (at, runs) VALUES (?, ?)", (now, record["lost"]))
            elif "run" in record:
                _one(connection, record, tail)
                limits[record["task"]] = (record["keep"], record["max_age"])
        for task, (keep, max_age) in limits.items():
            connection.execute(_LIMIT, (task, keep, max_age))
            connection.execute(_TRIM, {"task": task, "keep": keep})
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def forget(connection: sqlite3.Connection, now: float) -> None:
    """Takes away what is older than it may be, of all tasks. Looks at every row: once an hour is enough.

    Raises:
        sqlite3.Error: nothing was taken away.
    """
    connection.execute(_AGE, (now,))


def _one(connection: sqlite3.Connection, account: Account, tail: Tail) -> None:
    epoch, first, last = numbers(account)
    key = account["instance"]
    known = (
        "SELECT 1 FROM runs WHERE instance = :key AND epoch = :epoch AND last >= :first AND first <= :first"
        " AND began <= :began + 0.01 AND last_ended >= :began - 0.01"
    )
    if connection.execute(known, {"key": key, "epoch": epoch, "first": first, "began": account["began"]}).fetchone():
        return
    before = connection.execute("SELECT * FROM runs WHERE instance = ? ORDER BY id DESC LIMIT 1", (key,)).fetchone()
    storm = before is not None and alike(_account(before), account)
    said = None if account["success"] or account.get("stopped") else tail(account) or None
    if storm and before["row"] >= ROWS - 1:
        both = merge(_account(before), account)
        row = {name: both[name] for name in ("last_ended", "lived", "cpu", "memory")}
        connection.execute(_UPDATE, row | {"last": last, "tail": said or before["tail"], "id": before["id"]})
        return
    row = {"epoch": epoch, "first": first, "last": last, "row": before["row"] + 1 if storm else 0, "tail": said}
    row |= {"last_ended": account.get("last_ended", account["ended"]), "lived": lived(account)}
    arguments = account["arguments"] and json.dumps(account["arguments"], ensure_ascii=False)
    connection.execute(_INSERT, {"stopped": None} | account | row | {"arguments": arguments})


def _account(row: sqlite3.Row) -> Account:
    """A row as the account that it was made from."""
    run = f"{row['instance']}/{row['first']}@{row['epoch']}"
    return {**dict(row), "run": run, "count": row["last"] - row["first"] + 1, "keep": 0, "max_age": 0}


# -- reading ----------------------------------------------------------------------------------------------------------


def tasks(connection: sqlite3.Connection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Which (task, instance) of the history these names mean: task, instance, or glob of either."""
    found = connection.execute("SELECT DISTINCT task, instance FROM runs ORDER BY task, instance")
    return [
        (task, instance)
        for task, instance in found
        if not names or any(fnmatchcase(task, name) or fnmatchcase(instance, name) for name in names)
    ]


def runs(
    connection: sqlite3.Connection, instances: Sequence[str], *, failed: bool, since: float, count: int
) -> list[dict[str, Any]]:
    """The newest rows of these instances, the newest last."""
    marks = ", ".join("?" * len(instances))
    sql = f"SELECT * FROM runs WHERE instance IN ({marks}) AND last_ended >= ?"  # noqa: S608 - only marks
    sql += (" AND success = 0 AND stopped IS NULL" if failed else "") + " ORDER BY id DESC LIMIT ?"
    return [shown(row) for row in connection.execute(sql, (*instances, since, count))][::-1]


def of_task(connection: sqlite3.Connection, task: str) -> list[dict[str, Any]]:
    """Every row of a task."""
    return [shown(row) for row in connection.execute("SELECT * FROM runs WHERE task = ? ORDER BY id", (task,))]


def run(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """One run by its id, "web:2/7@k3f9q1", or "web:2/7" and "web/7", then the newest of them."""
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
    """Whether a run is written down."""
    epoch, number, _ = numbers({"run": run_id})
    sql = "SELECT 1 FROM runs WHERE instance = ? AND epoch = ? AND last >= ? AND first <= ?"
    return connection.execute(sql, (run_id.rpartition("/")[0], epoch, number, number)).fetchone() is not None


def shown(row: sqlite3.Row) -> dict[str, Any]:
    """A row as `supctl runs --json` shows it."""
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
    }


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
