"""The spool and the history: no run is lost, none is stored twice, storms take bounded space; and a damaged file."""

import mmap
import os
import pwd
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.helpers.historian import Database, Historian, LastLines
from supervisor.host import clock
from supervisor.host.parts import Loop
from supervisor.store import database, history, samples, spool
from supervisor.store.spool import Spool
from supervisor.usage.figures import figures, percentile

SILENT = LastLines(lambda run: False, lambda run: [])


def record(number: int, *, ended: float = 0.0, lived: float = 0.1, name: str = "web", **changes: object) -> dict:
    """One run of a task that has just crashed, unless it is changed."""
    at = ended or 1000.0 + number
    made = {
        "run": f"{name}:1/{number}@e", "task": name, "instance": f"{name}:1", "name": name, "kind": "continuous",
        "trigger": "restart", "attempt": 1, "arguments": None, "pid": 100 + number, "began": at - lived, "ready": None,
        "ended": at, "code": 1, "signal": None, "core": False, "success": False, "reason": "exit 1", "cpu": 0.5,
        "memory": 1000 + number, "keep": 1000, "max_age": 1e9,
    }  # fmt: skip
    return made | changes


@pytest.fixture
def db(tmp_path: Path):
    connection, _ = database.open_to_write(str(tmp_path / "history.db"))
    yield connection
    connection.close()


def write(db: sqlite3.Connection, *records: dict, now: float = 2000.0, tail=lambda _: "") -> None:
    history.write(db, records, tail, now)


def rows(db: sqlite3.Connection, *columns: str) -> list:
    found = [tuple(row) for row in db.execute(f"SELECT {', '.join(columns)} FROM runs ORDER BY id")]
    return [row[0] for row in found] if len(columns) == 1 else found


def ids(path: Path) -> list[str]:
    """Every run of a history, those that share a row too."""
    reader = database.open_to_read(str(path))
    found = [
        f"{key}/{n}@{epoch}"
        for key, epoch, first, last in reader.execute("SELECT instance, epoch, first, last FROM runs")
        for n in range(first, last + 1)
    ]
    reader.close()
    return found


# -- once and only once -----------------------------------------------------------------------------------------------


def test_a_record_that_comes_twice_is_one_run(db):
    write(db, record(1), record(2))
    write(db, record(2), record(1), record(3))
    assert rows(db, "first") == [1, 2, 3]


def test_the_first_record_of_a_run_counts(db):
    """The parent dies after it spooled the record. The next one did not see the end."""
    write(db, record(1))
    write(db, record(1, ended=1050.0, lived=50.0 - 0.9 + 0.0, code=None, reason="ended unseen, exit status unknown"))
    assert rows(db, "reason") == ["exit 1"]


def test_a_reused_number_is_another_run(db):
    write(db, record(1, pid=None, code=None, reason="cannot start: fork: no memory"), record(1, ended=1500.0))
    assert rows(db, "first", "ended") == [(1, 1001.0), (1, 1500.0)]


def test_a_record_that_comes_twice_within_a_storm(db):
    many = [record(n) for n in range(1, 41)]
    write(db, *many)
    write(db, *many[15:])
    assert rows(db, "first", "last")[-1] == (11, 40) or rows(db, "first", "last")[-1] == (10, 40)
    assert sum(last - first + 1 for first, last in rows(db, "first", "last")) == 40


# -- storms -----------------------------------------------------------------------------------------------------------


def test_a_storm_is_a_few_rows_and_loses_no_run(db):
    for n in range(1, 501):
        write(db, record(n), tail=lambda a: f"line of {a['run']}")
    found = rows(db, "first", "last", "lived", "cpu", "memory", "tail")
    assert len(found) == history.ROWS
    first, last, lived, cpu, memory, tail = found[-1]
    assert (first, last, memory, tail) == (10, 500, 1500, "line of web:1/500@e")
    assert lived == pytest.approx(49.1)
    assert cpu == pytest.approx(245.5)


@pytest.mark.parametrize(
    "other",
    [
        {"reason": "exit 2"}, {"trigger": "manual"}, {"lived": 11.0}, {"ended": 1030.0 + 91.0},
        {"arguments": ["--full"]}, {"success": True}, {"run": "web:1/32@e"}, {"run": "web:1/31@f"},
    ],
    ids=str,
)  # fmt: skip
def test_a_different_run_has_its_own_row(db, other):
    write(db, *(record(n) for n in range(1, 31)), record(31, **other))
    assert len(rows(db, "id")) == history.ROWS + 1


def test_storms_of_two_tasks_at_once(db):
    for n in range(1, 101):
        write(db, record(n), record(n, name="db"))
    assert len(rows(db, "id")) == 2 * history.ROWS


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_each_task_keeps_its_number_of_runs(db):
    for n in range(1, 21):
        write(db, record(n, reason=f"exit {n}", keep=5), record(n, name="db", reason=f"exit {n}"))
    assert rows(db, "task", "first")[:0] + [n for task, n in rows(db, "task", "first") if task == "web"] == [
        16, 17, 18, 19, 20,
    ]  # fmt: skip
    assert rows(db, "task").count("db") == 20


def test_runs_beyond_max_age_are_removed_also_of_a_removed_task(db):
    write(db, record(1, max_age=100.0), record(2, name="db", max_age=5000.0))
    history.forget(db, 2000.0)
    assert rows(db, "task") == ["db"]


# -- the spool --------------------------------------------------------------------------------------------------------


def left(directory: Path) -> list[dict]:
    return [one for name in spool.waiting(str(directory)) for one in spool.read(f"{directory}/{name}")]


def test_spooled_records_are_read_with_wall_clock_times(tmp_path):
    Spool(str(tmp_path)).put([record(1, ended=clock.now())])
    (one,) = left(tmp_path)
    assert one["ended"] == pytest.approx(time.time(), abs=5.0)
    assert one["run"] == "web:1/1@e"


def test_an_incomplete_line_is_rejected(tmp_path):
    Spool(str(tmp_path)).put([record(1), record(2)])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    assert [one["run"] for one in left(tmp_path)] == ["web:1/1@e"]


def test_a_spool_without_a_reader_merges_storms_and_counts_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "HELD", 3)
    made = Spool(str(tmp_path), limit=100)
    assert made.put([record(1)]) == ""
    said = made.put([record(2)])
    assert said.startswith("the history cannot keep up")
    for n in range(3, 200):
        assert made.put([record(n)]) == ""
    made.put([record(1, name=name) for name in "abcd"])  # two of them are one too many
    assert len(list(tmp_path.iterdir())) == 1, "what is on the way does not grow"
    spool.remove(str(tmp_path), spool.waiting(str(tmp_path)))
    assert made.put([record(200)]) == "the history keeps up again: 3 records had waited, 2 runs are not in it"
    told = left(tmp_path)
    assert told[0] == {"lost": 2}
    assert (told[1]["run"], told[1]["count"]) == ("web:1/2@e", 198)


def test_a_new_spool_counts_what_an_old_one_left(tmp_path):
    Spool(str(tmp_path)).put([record(1)])
    assert Spool(str(tmp_path), limit=100).put([record(2)]).startswith("the history cannot keep up")


def test_the_end_writes_held_records_and_counts_the_others(tmp_path):
    made = Spool(str(tmp_path), limit=100)
    assert made.finish() == 0
    made.put([record(1), record(1, name="db")])
    made.put([record(2)])
    assert made.has_held
    assert made.finish() == 3
    assert [one["run"] for one in left(tmp_path)] == ["web:1/1@e", "db:1/1@e", "web:1/2@e"]


def test_a_removed_spool_is_created_again(tmp_path):
    made = Spool(str(tmp_path / "spool"))
    made.put([record(1)])
    shutil.rmtree(tmp_path / "spool")
    assert made.put([record(2)]) == ""
    assert [one["run"] for one in left(tmp_path / "spool")] == ["web:1/2@e"]


def test_room_is_left_for_the_journal(tmp_path, monkeypatch):
    made = Spool(str(tmp_path))
    real = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*real[:2], 100, 30, 25, *real[5:])))
    assert "nearly full" in made.put([record(1)])
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*real[:2], 100, 30, 26, *real[5:])))
    assert "keeps up again" in made.put([record(2)])


def test_room_is_left_for_what_the_journal_may_yet_need(tmp_path, monkeypatch):
    made = Spool(str(tmp_path))
    real = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 100, 50, 50, *real[5:])))
    assert made.put([record(1)], claims=24 * 4096) == ""
    assert "nearly full" in made.put([record(2)], claims=25 * 4096)


def test_a_runtime_directory_that_is_full(tmp_path, monkeypatch):
    made = Spool(str(tmp_path))

    def full(fd: int, data: bytes) -> int:
        return 3

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert "no room" in made.put([record(1)])
    made.put([record(2)])
    assert [(one["run"], one.get("count")) for one in left(tmp_path)] == [("web:1/1@e", None), ("web:1/2@e", None)]


# -- the file ---------------------------------------------------------------------------------------------------------


def test_a_missing_column_is_read_as_null_and_added(tmp_path):
    path = str(tmp_path / "history.db")
    connection, _ = database.open_to_write(path)
    write(connection, record(1))
    connection.executescript("ALTER TABLE runs DROP COLUMN stopped; DROP TABLE lost")
    connection.close()
    with closing(database.open_to_read(path)) as reader:
        assert history.run(reader, "web/1")["stopped"] is None
        assert len(history.runs(reader, ["web:1"], failed=True, since=0.0, count=9)) == 1
    connection, said = database.open_to_write(path)
    write(connection, record(2, stopped="stop requested by root"))
    assert (said, rows(connection, "stopped")) == ("", [None, "stop requested by root"])
    connection.close()


def test_columns_of_a_later_version_are_left_alone(tmp_path):
    """A later version failed, and the earlier one writes to the same file again: the history stays."""
    path = str(tmp_path / "history.db")
    connection, _ = database.open_to_write(path)
    write(connection, record(1))
    for table in ("runs", "limits", "sampled", "samples", "means", "lost"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN later TEXT")
    connection.executescript("CREATE TABLE later (a); UPDATE runs SET later = 'of a later version'")
    connection.close()
    connection, said = database.open_to_write(path)
    write(connection, record(2, of_a_later_version=1), {"lost": 3})
    samples.write(connection, 1000.0, {"web:1": dict.fromkeys(samples.METRICS, 1)})
    samples.write(connection, 2000.0, {"web:1": dict.fromkeys(samples.METRICS, 1)})
    assert (said, rows(connection, "later")) == ("", ["of a later version", None])
    with closing(database.open_to_read(path)) as reader:
        assert [one["run"] for one in history.of_task(reader, "web")] == ["web:1/1@e", "web:1/2@e"]
    connection.close()


def test_a_file_of_another_version_is_renamed_with_its_version(tmp_path):
    """It is intact: an operator who installs that version again renames it back."""
    path = str(tmp_path / "history.db")
    connection, _ = database.open_to_write(path)
    write(connection, record(1))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(database.OtherVersionError, match="it has version 99, not 1"):
        database.open_to_read(path)
    connection, said = database.open_to_write(path)
    assert "it has version 99, not 1" in said
    assert rows(connection, "first") == []
    connection.close()
    (aside,) = tmp_path.glob("history.db.version-99-*Z")
    with closing(sqlite3.connect(aside)) as kept:
        assert rows(kept, "first") == [1]


def test_a_stopped_run_is_not_a_failure(db):
    write(db, record(1), record(2, stopped="stop requested by root"), record(3, stopped="a new config", success=True))
    assert [one["success"] for one in history.of_task(db, "web")] == [False, None, True]
    assert [one["run"] for one in history.runs(db, ["web:1"], failed=True, since=0.0, count=9)] == ["web:1/1@e"]
    found = figures(history.of_task(db, "web"))
    assert (found["runs"], found["failed"], found["success_rate"], found["mtbf_s"]) == (3, 1, 0.5, 0.3)
    assert figures(history.of_task(db, "web")[1:2])["success_rate"] is None


@pytest.mark.parametrize(
    ("durations", "median", "p95"),
    [
        ([(7.0, 1)], 7.0, 7.0),
        ([(1.0, 1), (2.0, 1)], 1.0, 2.0),
        ([(3.0, 1), (1.0, 1), (2.0, 1)], 2.0, 3.0),
        ([(float(n), 1) for n in range(20, 0, -1)], 10.0, 19.0),
        ([(float(n), 1) for n in range(1, 22)], 11.0, 20.0),
        ([(float(n), 1) for n in range(1, 101)], 50.0, 95.0),
        ([(50.0, 5), (0.1, 95)], 0.1, 0.1),
        ([(50.0, 6), (0.1, 94)], 0.1, 50.0),
        ([(1.0, 1), (9.0, 1), (5.0, 214)], 5.0, 5.0),
        ([(0.0, 3), (4.0, 4)], 4.0, 4.0),
    ],
)
def test_the_median_and_the_95th_percentile(durations, median, p95):
    """Nearest rank. A row of several runs counts as that many runs."""
    assert (percentile(durations, 0.5), percentile(durations, 0.95)) == (median, p95)
    shape = {"success": True, "start": "2026-11-21T14:02:11.123Z"}
    found = figures([{**shape, "duration_s": seconds, "runs": runs} for seconds, runs in durations])
    assert (found["median_s"], found["p95_s"], found["runs"]) == (median, p95, sum(runs for _, runs in durations))


def test_the_durations_of_a_history(db):
    for n in range(1, 21):
        write(db, record(n, lived=float(n), reason=f"exit {n}"))
    found = figures(history.of_task(db, "web"))
    assert (found["median_s"], found["p95_s"], found["mtbf_s"]) == (10.0, 19.0, 10.5)


@pytest.mark.parametrize("damage", ["garbage", "a torn middle"])
def test_a_damaged_file_is_set_aside_and_reported(tmp_path, damage):
    path = tmp_path / "history.db"
    connection, said = database.open_to_write(str(path))
    write(connection, *(record(n, reason="x" * 500 + str(n)) for n in range(1, 200)))
    connection.close()
    assert said == ""
    if damage == "garbage":
        path.write_bytes(b"not a database" * 1000)
    if damage == "a torn middle":
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(size // 2)
            file.write(os.urandom(8192))
    connection, said = database.open_to_write(str(path))
    assert "set aside as" in said
    write(connection, record(1))
    assert rows(connection, "first") == [1]
    assert len(list(tmp_path.glob("history.db.corrupt-*"))) >= 1
    connection.close()


def test_a_file_damaged_while_open_is_set_aside_too(tmp_path):
    said = []
    made = Database(lambda level, text: said.append(text))
    made.configure({"state_dir": str(tmp_path), "group": None})

    def broken(connection: sqlite3.Connection) -> None:
        if not said:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        history.write(connection, [record(1)], lambda _: "", 2000.0)

    assert made.do(broken)
    assert "set aside" in said[0]
    made.close()
    assert ids(tmp_path / "history.db") == ["web:1/1@e"]


def test_a_removed_file_is_created_again_and_reported(tmp_path):
    """Also its directory: data written to a file without a name would be lost."""
    said = []
    made = Database(lambda level, text: said.append(text))
    made.configure({"state_dir": str(tmp_path / "state"), "group": None})
    for number in (1, 2):
        assert made.do(lambda connection, number=number: history.write(connection, [record(number)], str, 2000.0))
        if number == 1:
            shutil.rmtree(tmp_path / "state")
    made.close()
    assert ids(tmp_path / "state/history.db") == ["web:1/2@e"]
    assert "was removed: it is created again" in said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_loses_no_run(tmp_path):
    """The files wait in the spool. When there is room again, each run is written once."""
    disk, run, said = tmp_path / "disk", tmp_path / "run", []
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("mount is not permitted")
    try:
        historian = Historian(str(run), Database(lambda level, text: said.append(text)), SILENT)
        run.mkdir()
        historian.attach(_NoLoop())
        historian.configure({"state_dir": str(disk), "group": None})
        made = Spool(str(run / "spool"))
        number = 0
        while not said:
            number += 1
            made.put([record(number, reason="x" * 20_000 + str(number))])
            historian.due(clock.now())
            assert number < 1000, "2 MB hold that much"
        assert "cannot be written" in said[0]
        made.put([record(number + 1)])
        historian.due(clock.now())
        assert historian.next_deadline() > clock.now() + 5, "it does not hammer on a full disk"
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        historian.due(clock.now())
        assert "written again" in said[1]
        assert spool.waiting(str(run / "spool")) == []
        historian.finish()
        assert ids(disk / "history.db") == [f"web:1/{n}@e" for n in range(1, number + 2)]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_failed_run_waits_for_its_last_output_within_a_bound(tmp_path):
    reading = {"web:1/1@e"}
    said = LastLines(reading.__contains__, lambda run: ["cannot open", "the door"])
    (tmp_path / "run").mkdir()
    historian = Historian(str(tmp_path / "run"), Database(lambda level, text: None), said)
    historian.attach(_NoLoop())
    historian.configure({"state_dir": str(tmp_path), "group": None})
    ended = clock.now()
    Spool(str(tmp_path / "run" / "spool")).put([record(1, ended=ended, lived=0.01)])
    historian.due(clock.now())
    assert ids(tmp_path / "history.db") == [] if (tmp_path / "history.db").exists() else True
    assert ended < historian.next_deadline() < ended + 2.0
    reading.clear()
    historian.due(clock.now())
    assert historian.next_deadline() is None
    Spool(str(tmp_path / "run" / "spool")).put([record(2, ended=ended, lived=0.01)])
    reading.add("web:1/2@e")
    historian.due(ended + 1.1)
    historian.finish()
    assert ids(tmp_path / "history.db") == ["web:1/1@e", "web:1/2@e"]
    reader = database.open_to_read(str(tmp_path / "history.db"))
    assert [row[0] for row in reader.execute("SELECT tail FROM runs")] == ["cannot open\nthe door"] * 2
    reader.close()


def test_a_spool_that_was_replaced_is_watched_again(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    historian = Historian(str(run), Database(lambda level, text: None), SILENT)
    loop = Loop()
    historian.attach(loop)
    historian.configure({"state_dir": str(tmp_path), "group": None})
    historian.due(clock.now())
    spools = Spool(str(run / "spool"))
    shutil.rmtree(run)
    run.mkdir()
    end = time.monotonic() + 20
    number = 0
    while not (tmp_path / "history.db").exists() or len(ids(tmp_path / "history.db")) < 3:
        assert time.monotonic() < end, "it looks at a directory that is gone"
        if not spool.waiting(str(run / "spool")) and number < 3:
            number += 1
            spools.put([record(number, ended=clock.now())])
        loop.turn([historian], clock.now, wait=historian.next_deadline() is not None)
    historian.finish()


class _NoLoop:
    def add_watch(self, watch, reader, every=0.0):
        pass


# -- deaths -----------------------------------------------------------------------------------------------------------


def _scribe(run: Path, state: Path) -> int:
    """A process that imports what is spooled until it is killed."""
    pid = os.fork()
    if pid:
        return pid
    try:
        historian = Historian(str(run), Database(lambda level, text: None), SILENT)
        historian.attach(_NoLoop())
        historian.configure({"state_dir": str(state), "group": None})
        while True:
            historian.due(clock.now())
    finally:
        os._exit(1)


def _parent(run: Path, first: int, count: int) -> int:
    """A process that spools accounts until it is killed; it repeats the last one that the one before may have told."""
    pid = os.fork()
    if pid:
        return pid
    try:
        made = Spool(str(run / "spool"))
        journal = run / "journal"
        for n in range(first, first + count):
            made.put([record(n, ended=clock.now(), lived=0.0001, began=n / 1000, reason=f"exit {n // 7}", keep=10**6)])
            new = journal.with_suffix(f".{os.getpid()}")
            new.write_text(str(n))  # the journal knows it from here on
            new.rename(journal)
    finally:
        os._exit(0)


def test_random_kills_of_scribe_and_parent_lose_no_run_and_double_none(tmp_path):
    run, state = Path(tempfile.mkdtemp(dir="/dev/shm")), tmp_path / "state"
    (run / "spool").mkdir(parents=True)
    state.mkdir()
    drawn, journal, wanted = random.Random(5), run / "journal", 4000
    journal.write_text("0")
    scribe = parent = 0
    deadline = time.monotonic() + 60
    try:
        while int(journal.read_text()) < wanted or spool.waiting(str(run / "spool")):
            assert time.monotonic() < deadline
            scribe = scribe or _scribe(run, state)
            told = int(journal.read_text())
            if not parent and told < wanted:
                parent = _parent(run, told + 1, wanted - told)
            victim = drawn.choice([scribe, parent or scribe])
            time.sleep(drawn.uniform(0.0, 0.02 if victim == parent else 0.4))  # the moment of death is what is drawn
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            scribe, parent = (0, parent) if victim == scribe else (scribe, 0)
    finally:
        for pid in filter(None, (scribe, parent)):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    shutil.rmtree(run)
    assert sorted(ids(state / "history.db"), key=_number) == [f"web:1/{n}@e" for n in range(1, wanted + 1)]


def _number(run: str) -> int:
    return int(run.partition("/")[2].partition("@")[0])


def test_power_loss_leaves_a_whole_history(tmp_path):
    """The three files as they are at random instants, opened elsewhere: whole, and each transaction in it or not."""
    state, copies = tmp_path / "state", tmp_path / "copies"
    state.mkdir()
    written = mmap.mmap(-1, 8)  # shared with the writer: the number of its newest run
    pid = os.fork()
    if pid == 0:
        try:
            connection, _ = database.open_to_write(str(state / "history.db"))
            for n in range(0, 100_000, 5):  # five at a time: all of them, or none
                write(connection, *(record(n + k, reason="x" * 300 + str(n + k), keep=400) for k in range(5)))
                written[:] = n.to_bytes(8)
        finally:
            os._exit(0)
    seen, attempt, deadline = set(), 0, time.monotonic() + 60
    try:
        while attempt < 40 or int.from_bytes(written[:]) < 300:
            assert time.monotonic() < deadline
            place, attempt = copies / str(attempt), attempt + 1
            place.mkdir(parents=True)
            for beside in random.Random(attempt).sample(("", "-wal", "-shm"), 3):
                if (state / f"history.db{beside}").exists():
                    shutil.copy(state / f"history.db{beside}", place)
        os.kill(pid, signal.SIGSTOP)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for place in copies.iterdir():
        seen.add(_whole(place / "history.db"))
    assert max(seen) > 100, "there was something to be lost"


def _whole(path: Path) -> int:
    """The newest run of a copy; 0 if it is broken.

    A copy takes time, in which a checkpoint may have moved pages. A loss of power does not do that. So such a copy may
    be broken. Then it is set aside, and that is never fatal.
    """
    connection, said = database.open_to_write(str(path))
    try:
        if said:
            return 0
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        numbers = [n for (n,) in connection.execute("SELECT first FROM runs ORDER BY id")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        assert not numbers or numbers[-1] % 5 == 4, "a transaction is there in half"
        return numbers[-1] if numbers else 0
    finally:
        connection.close()


# -- who may read -----------------------------------------------------------------------------------------------------


def _as(uid: int, gid: int, act) -> str:
    """What came of it, done by another user, as text."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = "?"
        try:
            os.setgroups([gid])
            os.setgid(65534)
            os.setuid(uid)
            text = str(act())
        except BaseException as error:  # noqa: BLE001 - it is what is tested
            text = repr(error)
        finally:
            os.write(theirs, text.encode())
            os._exit(0)
    os.close(theirs)
    with open(ours) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
@pytest.mark.parametrize("writer", ["is there", "has gone", "was killed"])
def test_a_member_of_the_group_can_always_read(tmp_path, writer):
    for place in (tmp_path, *tmp_path.parents[:3]):
        place.chmod(0o755)
    path, gid, nobody = tmp_path / "history.db", 54321, pwd.getpwnam("nobody").pw_uid
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        connection, _ = database.open_to_write(str(path), gid)
        write(connection, record(1), record(2))
        if writer == "has gone":
            connection.close()
        os.write(ready[1], b".")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    if writer == "was killed":
        os.kill(pid, signal.SIGKILL)
    if writer == "has gone":
        assert not (tmp_path / "history.db-wal").exists()
    assert _as(nobody, gid, lambda: ids(path)) == "['web:1/1@e', 'web:1/2@e']"
    assert "PermissionError" in _as(nobody, 54322, lambda: ids(path))
    os.write(done[1], b".")
    os.waitpid(pid, 0)
