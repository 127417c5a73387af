"""The file of the firings: what was written before a program that knows more columns, and what it refuses."""

import sqlite3
from pathlib import Path

import pytest

from supervisor.core.firing import Firing, Input
from supervisor.core.last_runs import Record
from supervisor.store.firings import VERSION, Firings, NewerVersionError, open_to_write

VERSION_1 = """
CREATE TABLE firings (id TEXT PRIMARY KEY, task TEXT NOT NULL, trigger TEXT NOT NULL, due REAL NOT NULL,
    start REAL NOT NULL, times INTEGER NOT NULL, run TEXT, boot TEXT) WITHOUT ROWID;
CREATE INDEX firings_of_task ON firings (task);
CREATE TABLE over (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL, trigger TEXT NOT NULL,
    due REAL NOT NULL, times INTEGER NOT NULL, at REAL NOT NULL, run TEXT, reason TEXT NOT NULL);
CREATE INDEX over_of_task ON over (task, number);
CREATE TABLE marks (task TEXT NOT NULL, trigger TEXT NOT NULL, definition TEXT NOT NULL, mark REAL NOT NULL,
    PRIMARY KEY (task, trigger)) WITHOUT ROWID;
CREATE TABLE counts (task TEXT PRIMARY KEY, ran INTEGER NOT NULL, skipped INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO firings VALUES ('a/every/5', 'a', 'every', 5, 5, 1, 'a:1/3@e', 'boot'), ('b/schedule/9', 'b', 'schedule', 9, 10, 2, NULL, NULL);
INSERT INTO over VALUES (7, 'a/every/1', 'a', 'every', 1, 1, 2, 'a:1/2@e', 'exit 0');
INSERT INTO counts VALUES ('a', 1, 0);
PRAGMA user_version = 1;
"""  # noqa: E501


def opened(path: Path) -> Firings:
    store, said = open_to_write(str(path), Firings)
    assert not said
    return store


def test_a_file_of_version_1_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "firings.db"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    for _ in range(2):  # it is taken over once
        store = opened(path)
        with store:
            assert store.firings() == [
                (Firing("a/every/5", "a", "every", 5.0, 5.0), "a:1/3@e", "boot"),
                (Firing("b/schedule/9", "b", "schedule", 9.0, 10.0, 2), "", ""),
            ]
            assert not store.add(Firing("a/every/1", "a", "every", 1.0, 1.0))
            assert store.counts(["a"])["a"] == {
                "ran": 1, "skipped": 0, "missed": 0, "last": {"due": 1.0, "run": "a:1/2@e"}, "last_skip": None
            }  # fmt: skip
        store.close()
    store = opened(path)
    with store:
        assert store.end("a/every/5", 6.0, "exit 1", ran=True, success=False) == "a"
        store.add(Firing("c/manual/1", "c", "manual", 5.0, 5.0, input=Input(("x",))))
    store.close()


def test_a_firing_comes_back_as_it_was(tmp_path: Path) -> None:
    given = Input(("caf\udce9", "--", ""), (("A", "1\n2"), ("B", "=")), "/state/inputs/1")
    firing = Firing("c/manual/1", "c", "manual", 5.25, 6.5, 3, 2, "bob", given, on_time=True)
    store = opened(tmp_path / "firings.db")
    with store:
        assert store.add(firing)
    store.close()
    store = opened(tmp_path / "firings.db")
    with store:
        assert store.firings() == [(firing, "", "")]
    store.close()


def test_a_file_of_a_later_version_is_refused_and_stays_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "firings.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE firings (new)")
    connection.execute("INSERT INTO firings VALUES (7)")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(NewerVersionError):
        open_to_write(str(path), Firings)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM firings").fetchall() == [(7,)]
    connection.close()


def test_the_counts_and_the_last_firings_of_a_task(tmp_path: Path) -> None:
    store = opened(tmp_path / "firings.db")
    with store:
        for number, times in ((1, 1), (2, 3), (3, 1), (4, 2)):
            store.add(Firing(f"a/{number}", "a", "schedule", float(number), float(number), times))
        store.take("a/2", "a:1/1@e", "boot")
        store.end("a/1", 5.0, "run b was still on", ran=False)
        store.end("a/2", 6.0, "exit 0", ran=True)
        store.end("a/3", 7.0, "missed; catch_up is none", ran=False, missed=True)
        store.end("a/4", 8.0, "missed; a later firing runs for it", ran=False, missed=True)
        store.end("a/4", 9.0, "again", ran=False)  # it came twice
    assert store.counts(["a", "b"]) == {
        "a": {
            "ran": 1, "skipped": 6, "missed": 5, "last": {"due": 2.0, "run": "a:1/1@e"},
            "last_skip": {"due": 4.0, "why": "missed; a later firing runs for it"},
        },
        "b": {"ran": 0, "skipped": 0, "missed": 0, "last": None, "last_skip": None},
    }  # fmt: skip
    store.close()


def test_the_counts_of_a_removed_task_go_and_its_firings_when_they_are_old(tmp_path: Path) -> None:
    store = opened(tmp_path / "firings.db")
    with store:
        for task in "ab":
            for number in (1, 2):
                store.add(Firing(f"{task}/{number}", task, "schedule", float(number), float(number)))
                store.end(f"{task}/{number}", 100.0 * number, "why", ran=False)
        store.forget({"b"}, before=150.0)
        found = store.counts(["a", "b"])
        assert (found["a"]["skipped"], found["b"]["skipped"]) == (0, 2)
        assert store.add(Firing("a/1", "a", "schedule", 1.0, 1.0)), "its end is forgotten"
        assert not store.add(Firing("a/2", "a", "schedule", 2.0, 2.0))
        assert not store.add(Firing("b/1", "b", "schedule", 1.0, 1.0))
    store.close()


def test_the_records_of_the_last_runs_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "firings.db"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    records = {
        "a": Record(1e9 + 0.125, succeeded=True, failed="exit 1: café\n", expected=True, overdue=True),
        "b": Record(5.0),
    }
    store = opened(path)
    with store:
        assert store.last_runs() == {}
        for task, record in records.items():
            store.set_last_run(task, Record(1.0, failed="old"))
            store.set_last_run(task, record)
        store.set_last_run("c", Record(1.0))
        store.remove_last_run("c")
    store.close()
    store = opened(path)
    with store:
        assert store.last_runs() == records
    store.close()
