"""Skipped firings in the history: each once, those that are alike in one row, and as many as the task keeps."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection, connect
from typing import Any

import pytest

from supervisor.core.definition import History, Task
from supervisor.core.run_record import KEYS
from supervisor.core.skip_record import SkipRecord, fault, skip_of
from supervisor.host import clock
from supervisor.store import database, history, spool
from supervisor.store.spool import Spool

BEFORE = """
CREATE TABLE runs (id INTEGER PRIMARY KEY, task TEXT NOT NULL, instance TEXT NOT NULL, name TEXT NOT NULL,
    epoch TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, row INTEGER NOT NULL, kind TEXT NOT NULL,
    trigger TEXT NOT NULL, attempt INTEGER NOT NULL, arguments TEXT, pid INTEGER, began REAL NOT NULL, ready REAL,
    ended REAL NOT NULL, last_ended REAL NOT NULL, lived REAL NOT NULL, code INTEGER, signal TEXT,
    core INTEGER NOT NULL, success INTEGER NOT NULL, reason TEXT NOT NULL, cpu REAL, memory INTEGER, tail TEXT,
    stopped TEXT);
INSERT INTO runs VALUES (1, 'tick', 'tick:1', 'tick', 'e', 1, 1, 0, 'triggered', 'schedule', 1, NULL, 100, 1000.0, NULL,
    1000.1, 1000.1, 0.1, 0, NULL, 0, 1, 'exit 0', 0.5, 1000, NULL, NULL);
PRAGMA user_version = 1;
"""
"""A file of the program that knew no skipped firings."""

TASK = Task("tick", history=History(keep=50))


def skip(due: float, reason: str = "run tick:1/1@e was still on", trigger: str = "schedule", **more: Any) -> SkipRecord:
    return skip_of(TASK, trigger, f"tick/{trigger}/{due:g}", due, reason, due) | more


def run(due: float) -> dict[str, Any]:
    return {
        "run": f"tick:1/{due:g}@e", "task": "tick", "instance": "tick:1", "name": "tick", "kind": "triggered",
        "trigger": "schedule", "attempt": 1, "arguments": None, "pid": 100, "began": due, "ready": None,
        "ended": due + 0.1, "code": 0, "signal": None, "core": False, "success": True, "reason": "exit 0", "cpu": 0.5,
        "memory": 1000, "keep": 50, "max_age": 1e9, "firing": f"tick/schedule/{due:g}", "due": due, "late": 0.25,
        "missed": 2,
    }  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Connection]:
    connection, _ = database.open_to_write(str(tmp_path / "history.db"))
    yield connection
    connection.close()


def write(db: Connection, *records: dict[str, Any], now: float = 2000.0) -> None:
    rejected: list[str] = []
    history.write(db, records, lambda _: "", now, lambda _, why: rejected.append(why))
    assert not rejected


def skipped(db: Connection, names: list[str] | None = None, **more: Any) -> list[tuple[str, int, str]]:
    """The last due time, the number of due times and the reason of each row."""
    found = history.skipped(db, names, **{"since": 0.0, "count": 100} | more)
    return [(one["firing"].rpartition("/")[2], one["missed"], one["skipped"]) for one in found]


def test_a_skipped_firing_has_the_keys_of_a_run_and_no_run(db: Connection) -> None:
    write(db, skip(1000.0), run(1001.0))
    (row,) = history.skipped(db, None, since=0.0, count=9)
    (ran,) = history.runs(db, ["tick:1"], failed=False, since=0.0, count=9)
    assert tuple(row) == tuple(ran) == KEYS
    assert (row["run"], row["runs"], row["due"]) == (None, 0, "1970-01-01T00:16:40.000Z")
    assert row["skipped"] == "run tick:1/1@e was still on"
    assert (ran["skipped"], ran["firing"], ran["due"]) == (None, "tick/schedule/1001", "1970-01-01T00:16:41.000Z")
    assert (ran["lateness_s"], ran["missed"], ran["result"]) == (0.25, 2, None)


def test_a_record_that_comes_twice_is_one_skip(db: Connection) -> None:
    """Also one that is in the middle of a row of several, and one that the next supervisor decides anew."""
    records = [skip(1000.0 + number) for number in range(5)]
    write(db, *records, *records)
    write(db, records[2], records[4], skip(1003.0, "missed; a later firing runs for it"))
    assert skipped(db) == [("1004", 5, "run tick:1/1@e was still on")]


def test_those_that_are_alike_share_a_row(db: Connection) -> None:
    missed = "missed; a later firing runs for it"
    write(db, *(skip(1000.0 + number, missed) for number in range(60)))
    write(db, skip(1100.0, "run tick:1/2@e was still on"), skip(1101.0, missed), skip(1102.0, missed))
    write(db, skip(1300.0, missed))  # of another freeze
    whys = ("missed; a later firing runs for it", "run tick:1/2@e was still on")
    assert skipped(db) == [("1059", 60, whys[0]), ("1100", 1, whys[1]), ("1102", 2, whys[0]), ("1300", 1, whys[0])]
    (first, *_) = history.skipped(db, None, since=0.0, count=9)
    assert (first["due"], first["last_due"]) == ("1970-01-01T00:16:40.000Z", "1970-01-01T00:17:39.000Z")


def test_firings_by_hand_do_not_share_a_row(db: Connection) -> None:
    write(db, *(skip(1000.0 + number, trigger="manual") for number in range(3)))
    assert len(skipped(db)) == 3


def test_a_run_replaces_the_skip_of_the_same_firing(db: Connection) -> None:
    """The supervisor died after it had told the history, and before the skip was final. The next one ran it."""
    write(db, skip(1000.0, "first"), skip(1001.0, "second"))
    write(db, run(1000.0))
    assert skipped(db) == [("1001", 1, "second")]
    write(db, skip(1000.0, "first"))  # of a spool file that was read late
    assert skipped(db) == [("1001", 1, "second")]


def test_each_task_keeps_its_number_of_skips_and_its_age(db: Connection) -> None:
    write(db, *(skip(1000.0 + number, f"reason {number}") for number in range(80)))
    assert len(skipped(db)) == 50
    assert skipped(db, count=2) == [("1078", 1, "reason 78"), ("1079", 1, "reason 79")]
    assert len(skipped(db, since=1070.0)) == 10
    assert skipped(db, ["t*"], count=1) == skipped(db, count=1)
    assert skipped(db, ["other"]) == []
    write(db, skip(2000.0, "young", max_age=100.0))
    history.forget(db, 2050.0)
    assert skipped(db) == [("2000", 1, "young")]


def test_a_file_of_an_older_program_is_read_and_extended(tmp_path: Path) -> None:
    path = str(tmp_path / "history.db")
    with closing(connect(path)) as connection:
        connection.executescript(BEFORE)
    with closing(database.open_to_read(path)) as reader:
        assert skipped(reader) == []
        assert [one["firing"] for one in history.of_task(reader, "tick")] == [None]
    connection, said = database.open_to_write(path)
    write(connection, run(1001.0), skip(1002.0))
    assert said == ""
    assert [one["firing"] for one in history.of_task(connection, "tick")] == [None, "tick/schedule/1001"]
    assert len(skipped(connection)) == 1
    connection.close()


def test_a_run_record_of_an_older_program_is_written(db: Connection) -> None:
    old = {key: value for key, value in run(1000.0).items() if key not in ("firing", "due", "late", "missed")}
    write(db, old)
    assert [one["due"] for one in history.of_task(db, "tick")] == [None]


def test_a_spool_without_a_reader_merges_skips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "HELD", 2)
    made = Spool(str(tmp_path), limit=100)
    made.put([skip(1.0)])
    for number in range(2, 50):
        made.put([skip(float(number))])
    made.put([skip(50.0, "another")])
    made.put([skip(51.0, "too many")])
    made.limit = 1 << 20
    assert "1 runs are not in it" in made.put([])
    files = [spool.read(f"{tmp_path}/{name}") for name in spool.waiting(str(tmp_path))]
    found = [one for file in files for one in file]
    assert [(one.get("times"), one.get("due")) for one in found] == [(1, 1.0), (None, None), (48, 2.0), (1, 50.0)]
    assert found[0]["at"] == pytest.approx(1.0 + clock.offset(), abs=5.0)


@pytest.mark.parametrize(
    "damage",
    [{"task": None}, {"times": "1"}, {"due": 1e300}, {"due": float("nan")}, {"keep": 1 << 70}, {"at": "now"}],
    ids=lambda one: next(iter(one)),
)
def test_a_damaged_record_is_refused(damage: dict[str, Any]) -> None:
    assert not fault(skip(1000.0))
    assert fault(skip(1000.0) | damage)
