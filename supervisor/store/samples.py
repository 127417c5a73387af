"""Keep samples of the usage of each instance: every few seconds for a day, means of five minutes for a month.

Two limits hold: an age, and a number of rows. So hundreds of instances need no more disk. A mean is computed when its
five minutes are over. For newer times a reader uses the samples themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

STEP = 300
"""Seconds that a mean covers."""

DAY = 86400
MONTH = 30 * DAY

ROWS = 1_000_000
"""The maximum number of rows of each of the two tables: some 50 MB."""

METRICS = ("cpu", "memory", "processes", "threads", "read", "written", "switches", "files")

_COLUMNS = ", ".join(METRICS)
_MEANS = ", ".join(f"avg({name})" for name in METRICS)
_INSERT = (
    f"INSERT OR REPLACE INTO samples (at, who, {_COLUMNS})"  # noqa: S608 - our own names
    f" VALUES (?, (SELECT id FROM sampled WHERE instance = ?), {', '.join('?' * len(METRICS))})"
)


def write(connection: sqlite3.Connection, at: float, samples: Mapping[str, Mapping[str, Any]]) -> None:
    """Write one round of samples, compute the means that are due, and delete old rows, in one transaction.

    Args:
        connection: of `database.open_to_write`.
        at: seconds since 1970.
        samples: by instance, with the keys of METRICS.

    Raises:
        sqlite3.Error: nothing was written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        names = [(instance, instance.rpartition(":")[0]) for instance in samples]
        connection.executemany("INSERT OR IGNORE INTO sampled (instance, task) VALUES (?, ?)", names)
        connection.executemany(_INSERT, [_row(int(at), instance, sample) for instance, sample in samples.items()])
        _roll(connection, int(at))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _row(at: int, instance: str, sample: Mapping[str, Any]) -> tuple[Any, ...]:
    return at, instance, *(sample[name] for name in METRICS)


def _roll(connection: sqlite3.Connection, now: int) -> None:
    """Compute the mean of each five minutes that are over and have none yet. Once in five minutes there is work."""
    (done,) = connection.execute("SELECT max(at) FROM means").fetchone()
    first = (done + STEP) if done is not None else 0
    edge = now // STEP * STEP
    (oldest,) = connection.execute("SELECT min(at) FROM samples WHERE at >= ?", (first,)).fetchone()
    if oldest is None or oldest >= edge:
        return
    connection.execute(
        f"INSERT OR REPLACE INTO means (at, who, {_COLUMNS}) SELECT at / {STEP} * {STEP} AS slot, who, {_MEANS}"  # noqa: S608
        " FROM samples WHERE at >= ? AND at < ? GROUP BY slot, who",
        (first, edge),
    )
    _forget(connection, "samples", now - DAY)
    _forget(connection, "means", now - MONTH)


def _forget(connection: sqlite3.Connection, table: str, oldest: int) -> None:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    if count > ROWS:
        (at,) = connection.execute(f"SELECT at FROM {table} ORDER BY at LIMIT 1 OFFSET ?", (count - ROWS,)).fetchone()  # noqa: S608
        oldest = max(oldest, at)
    connection.execute(f"DELETE FROM {table} WHERE at < ?", (oldest,))  # noqa: S608


def series(
    connection: sqlite3.Connection, metrics: tuple[str, ...], since: int, until: int, step: int
) -> list[tuple[str, int, float, int]]:
    """Return the mean of a sum of metrics per task and time slot: (task, slot, value, number of samples or means).

    The value is the sum over the instances of a task. A slot without samples is left out.

    Args:
        connection: of `database.open_to_read`.
        metrics: names of METRICS to add up.
        since: seconds since 1970, the start of slot 0.
        until: seconds since 1970.
        step: seconds of a slot.
    """
    assert set(metrics) <= set(METRICS)  # noqa: S101 - the statement contains these names
    (raw,) = connection.execute("SELECT min(at) FROM samples").fetchone()
    edge = max(since, raw if raw is not None else until)
    value = " + ".join(f"coalesce({name}, 0)" for name in metrics)
    sql = (
        "WITH points AS ("  # noqa: S608 - our own names
        f" SELECT at, who, {value} AS value FROM means WHERE at >= :since AND at + {STEP} <= :edge"
        f" UNION ALL SELECT at, who, {value} FROM samples WHERE at >= :edge AND at < :until"
        "), slots AS (SELECT (at - :since) / :step AS slot, who, avg(value) AS value, count(*) AS count"
        " FROM points GROUP BY slot, who)"
        " SELECT task, slot, sum(value), sum(count) FROM slots JOIN sampled ON sampled.id = who"
        " GROUP BY task, slot ORDER BY task, slot"
    )
    found = connection.execute(sql, {"since": since, "until": until, "edge": edge, "step": step})
    return [(task, slot, value, count) for task, slot, value, count in found]
