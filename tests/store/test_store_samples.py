"""Samples in the history: raw for a day, means for a month, in bounded space; and how they are read."""

import json
import os

import pytest

from supervisor.store import database, samples
from supervisor.store.journal_reader import JournalReader
from supervisor.store.samples import METRICS, series, write
from supervisor.store.statefile import SAMPLES, StateReader

BASE = 1_800_000_000  # a multiple of five minutes


@pytest.fixture
def db(tmp_path):
    connection, _ = database.open_to_write(str(tmp_path / "history.db"))
    yield connection
    connection.close()


def sample(cpu: float, **changes) -> dict:
    return dict.fromkeys(METRICS, 1) | {"cpu": cpu} | changes


def count(db, table: str) -> int:
    return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_means_are_made_when_their_five_minutes_are_over(db):
    for n in range(41):
        write(db, BASE + 15 * n, {"web:1": sample(float(n)), "web:2": sample(2.0)})
    found = [tuple(row) for row in db.execute("SELECT at, instance, cpu FROM means JOIN sampled ON id = who")]
    assert found == [
        (BASE, "web:1", 9.5), (BASE, "web:2", 2.0), (BASE + 300, "web:1", 29.5), (BASE + 300, "web:2", 2.0),
    ]  # fmt: skip


def test_a_pause_of_scribe_leaves_a_gap_and_doubles_no_mean(db):
    for n in (0, 1, 100, 101, 200):
        write(db, BASE + 60 * n, {"web:1": sample(float(n))})
    assert [row[0] - BASE for row in db.execute("SELECT at FROM means")] == [0, 6000]


def test_samples_are_removed_after_a_day_and_means_after_a_month(db):
    write(db, BASE, {"web:1": sample(1.0)})
    write(db, BASE + 600, {"web:1": sample(2.0)})
    write(db, BASE + 86400 + 900, {"web:1": sample(3.0)})
    write(db, BASE + 86400 + 1800, {"web:1": sample(3.0)})
    assert [row[0] - BASE for row in db.execute("SELECT at FROM samples")] == [87300, 88200]
    assert [row[0] - BASE for row in db.execute("SELECT at FROM means")] == [0, 600, 87300]
    write(db, BASE + 32 * 86400, {"web:1": sample(3.0)})
    write(db, BASE + 32 * 86400 + 600, {"web:1": sample(3.0)})
    assert [row[0] - BASE for row in db.execute("SELECT at FROM means")] == [32 * 86400]


def test_many_instances_take_no_more_than_their_rows(db, monkeypatch):
    monkeypatch.setattr(samples, "ROWS", 100)
    for n in range(100):
        write(db, BASE + 60 * n, {f"web:{k}": sample(1.0) for k in range(10)})
    assert count(db, "samples") <= 100 + 10 * 6
    assert count(db, "means") <= 100 + 10


def test_a_series_takes_means_where_no_samples_are_left_and_adds_up_instances(db):
    for n in range(60):
        write(db, BASE + 60 * n, {"web:1": sample(10.0), "web:2": sample(5.0), "db:1": sample(1.0, read=7, written=8)})
    whole = series(db, ("cpu",), BASE, BASE + 3600, 900)
    assert [(task, slot, value) for task, slot, value, _ in whole] == [
        *(("db", slot, 1.0) for slot in range(4)), *(("web", slot, 15.0) for slot in range(4)),
    ]  # fmt: skip
    db.execute("DELETE FROM samples WHERE at < ?", (BASE + 1800,))
    assert [row[:3] for row in series(db, ("cpu",), BASE, BASE + 3600, 900)] == [row[:3] for row in whole]
    assert ("db", 0, 15.0) in [row[:3] for row in series(db, ("read", "written"), BASE, BASE + 3600, 3600)]
    assert series(db, ("cpu",), BASE + 7200, BASE + 9000, 900) == []


def test_the_newest_is_replaced_as_a_whole_and_read_once(tmp_path):
    newest = StateReader(SAMPLES, str(tmp_path))
    assert newest.read() == {}
    SAMPLES.write(str(tmp_path), {"at": 1.0, "every": 15.0, "instances": {}})
    assert newest.read()["at"] == 1.0
    assert newest.read() is newest.read()
    SAMPLES.write(str(tmp_path), {"at": 2.0, "every": 15.0, "instances": {}})
    assert newest.read()["at"] == 2.0
    (tmp_path / "samples/samples.json").write_text("torn {")
    assert newest.read() == {}


def test_the_runs_of_a_journal(tmp_path):
    def line(key: str, pid: int | None, number: int = 1) -> str:
        run = {"id": f"{key}/{number}@e", "pid": pid} if pid is not None else None
        return json.dumps({"instance": key, "state": "x", "run": run}, separators=(",", ":")) + "\n"

    path = tmp_path / "journal"
    living = JournalReader(str(path))
    assert living.runs() == {}
    path.write_text('{"journal":1}\n' + line("web:1", 5) + '{"fleet":"x"}\n' + line("db:1", 6) + line("gone:1", 7))
    assert sorted(living.runs()) == ["db:1", "gone:1", "web:1"]
    with path.open("a") as file:
        file.write(line("web:1", 8, 2) + '{"instance":"gone:1","gone":true}\n' + line("db:1", None) + line("new:1", 0))
        file.write('{"instance":"torn:1","run":{"pi')
    assert {key: run["pid"] for key, run in living.runs().items()} == {"web:1": 8}
    os.unlink(path)
    assert living.runs() == {}


def test_an_unreadable_journal_is_read_at_the_next_attempt(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    path.write_text('{"journal":1}\n{"instance":"web:1","run":{"id":"web:1/1@e","pid":5}}\n')
    living = JournalReader(str(path))

    def refused(*_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refused)
        assert living.runs() == {}
    assert sorted(living.runs()) == ["web:1"]
