"""To which run each line belongs: byte by byte, whoever died, whatever was rotated, compressed or removed meanwhile."""

import gzip
import os
import pwd
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from paper import Paper

from supervisor.logs import index
from supervisor.logs.access import Rules
from supervisor.logs.compress import Compressor
from supervisor.logs.file import LogFile
from supervisor.logs.format import Origin
from supervisor.logs.ledger import Ledger
from supervisor.logs.names import rotated
from supervisor.logs.run_reader import GONE, RunReader


class Log:
    """A log file and its writer, which may die."""

    def __init__(self, folder: Path, **rules: int | str | bool) -> None:
        self.path = folder / "log" / "web.log"
        self.path.parent.mkdir()
        self.folder = folder
        self.rules = Rules(**{"format": "raw", "compress": False, **rules})  # type: ignore[arg-type]
        self.missing: list[str] = []
        self.truth: dict[str, bytes] = {}
        self.begin()

    def begin(self) -> None:
        self.compressor = Compressor()
        self.file = LogFile(str(self.path), self.rules, Ledger(str(self.folder / "ledger")), self.compressor)

    def die(self) -> None:
        """Without a last word; and the next one comes."""
        self.close()
        self.begin()

    def close(self) -> None:
        self.file.close()
        self.compressed()
        self.compressor.close()

    def compressed(self) -> None:
        while (moment := self.compressor.next_deadline()) is not None:
            self.compressor.due(moment)

    def say(self, number: int, text: bytes, now: float = 0.0) -> None:
        run = f"web:1/{number}@e"
        self.truth[run] = self.truth.get(run, b"") + text
        origin = Origin("web:1", run, "out")
        lost = self.file.append(f"web:1.{number}@e.out", origin, text, len(text), (now, 1764448435.0))
        assert lost.bytes == 0
        self.file._ledger.close()

    def rotate(self) -> None:
        """As somebody else does it."""
        for number, place in sorted(rotated(str(self.path)).items(), reverse=True):
            os.rename(place, place.replace(f"log.{number}", f"log.{number + 1}"))
        os.rename(self.path, f"{self.path}.1")
        self.file._looked = -1.0

    def said(self, number: int) -> bytes:
        """By what is in the files."""
        reader = RunReader(str(self.path), f"web:1/{number}@e", self.missing.append)
        lines = [line + b"\n" for line in reader.more()]
        return b"".join([*lines, *reader.unfinished()])

    def right(self, *numbers: int) -> None:
        for number in numbers:
            assert self.said(number) == self.truth[f"web:1/{number}@e"], number


@pytest.fixture
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Log]:
    one = Log(tmp_path, **getattr(request, "param", {}))
    yield one
    one.close()


def test_each_run_has_its_own_output(log: Log) -> None:
    """Also incomplete lines, and two runs that write in turn."""
    log.say(1, b"begin 1\npanic 1")
    log.say(2, b"begin 2\n")
    log.say(1, b" and more\n")
    log.say(2, b"more 2\n")
    log.right(1, 2)
    assert log.said(3) == b""
    assert log.missing == []


def test_plain_lines_are_whole(tmp_path: Path) -> None:
    log = Log(tmp_path, format="plain")
    log.say(1, b"begin 1\npanic 1")
    log.say(2, b"begin 2\n")
    log.file.end("web:1.1@e.out")
    log.say(1, b"more 1\n")
    lines = {number: [line.split(b" out ")[1] for line in log.said(number).splitlines()] for number in (1, 2)}
    assert lines == {1: [b"begin 1", b"panic 1", b"more 1"], 2: [b"begin 2"]}
    log.close()


@pytest.mark.parametrize("log", [{"keep": 5}], indirect=True)
def test_the_index_has_few_entries(log: Log) -> None:
    """One for each run, and two for each generation."""
    for _ in range(100):
        log.say(1, b"x" * 50 + b"\n")
    assert len(index.read(str(log.path))) == 1


RULES = [{"max_size": 4096, "keep": 1000, "compress": compress} for compress in (False, True)]


@pytest.mark.parametrize("log", RULES, indirect=True, ids=["plain", "compressed"])
@pytest.mark.parametrize("seed", range(8))
def test_output_is_attributed_across_deaths_and_rotations(log: Log, seed: int) -> None:
    """Rotated by us or by another program; compressed now, later or not at all."""
    chance = random.Random(seed)
    for step in range(200):
        size = chance.choice((1, 30, 1000, 3000))
        log.say(step // 10 - chance.choice((0, 0, 1)), b"%d %s\n" % (step, b"x" * size))
        if chance.random() < 0.05:
            log.die()
        if chance.random() < 0.1:
            log.compressed()
        if chance.random() < 0.05:
            log.rotate()
    log.right(*(int(run.partition("/")[2].partition("@")[0]) for run in log.truth))
    assert log.missing == []


@pytest.mark.parametrize("log", RULES, indirect=True, ids=["plain", "compressed"])
def test_generations_with_the_same_size_and_time_are_distinguished(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood rotates several times within one clock tick of the file system."""
    for number in range(40):
        log.say(number, b"%04d%s\n" % (number, b"x" * 3000))
        os.utime(log.path, ns=(5, 5))
        log.compressed()
    log.right(*range(40))
    assert log.missing == []


@pytest.mark.parametrize("log", [{"max_size": 4096, "keep": 3}], indirect=True)
def test_output_removed_by_rotation_is_reported_as_removed(log: Log) -> None:
    """For runs of which a part is missing, and only for these. The index does not grow without bound."""
    block = b"%s\n" % (b"x" * 3000)
    for number in range(1, 100):
        log.say(number, block)
        log.say(number, block)
        log.right(number)
    assert log.missing == []
    log.say(100, block)
    assert log.said(98) == block
    assert log.missing == [GONE]
    for _ in range(40):
        log.say(100, block)
    for _ in range(40):
        log.say(100, block)
        log.missing.clear()
        assert log.said(100) == 4 * block
        assert log.missing == [GONE]
    log.missing.clear()
    assert log.said(50) == b""
    assert log.missing == [], "it is forgotten"
    assert len(index.read(str(log.path))) < 40
    assert sorted(os.listdir(log.path.parent)) == [".web.log.runs", "web.log", "web.log.1", "web.log.2", "web.log.3"]


@pytest.mark.parametrize("log", [{"max_size": 4096, "keep": 0}], indirect=True)
def test_keep_0_leaves_only_the_newest_output(log: Log) -> None:
    """A file may have the inode of the one that was removed before it."""
    for number in (1, 1, 2, 2, 2, 3, 3, 4):
        log.say(number, b"%d %s\n" % (number, b"x" * 3000))
        assert log.said(number)[-3003:] == log.truth[f"web:1/{number}@e"][-3003:]
    assert sorted(os.listdir(log.path.parent)) == [".web.log.runs", "web.log"]
    log.missing.clear()
    log.right(4)
    assert log.missing == []
    assert log.said(3) == b""
    assert log.missing == [GONE]


@pytest.mark.parametrize("size", [1, 100])
def test_a_new_file_in_place_of_a_removed_one(log: Log, size: int) -> None:
    log.say(1, b"one\n" * size)
    log.path.unlink()
    log.say(1, b"more\n", now=10.0)
    assert log.said(1) == b"more\n"
    assert log.missing == [GONE]


def test_truncated_and_removed_output_is_reported_as_removed(log: Log) -> None:
    log.say(1, b"one\n" * 100)
    os.truncate(log.path, 0)
    log.say(1, b"more\n")
    log.say(2, b"two\n")
    assert log.said(1) == b"more\n"
    assert log.missing == [GONE]
    log.missing.clear()
    log.right(2)
    log.path.unlink()
    log.say(2, b"into nothing\n")
    log.say(3, b"three\n", now=10.0)
    assert log.said(2) == b""
    assert log.missing == [GONE]
    log.right(3)


def test_a_copy_by_another_program_is_not_used_as_a_generation(log: Log) -> None:
    """`copytruncate` of logrotate: the copy may have any content."""
    log.say(1, b"one\n" * 100)
    Path(f"{log.path}.1").write_bytes(log.path.read_bytes())
    os.truncate(log.path, 0)
    log.say(2, b"two\n")
    assert log.said(1) == b""
    assert log.missing == [GONE]


def test_without_an_index_no_output_is_attributed(log: Log) -> None:
    log.say(1, b"one\n")
    Path(index.place(str(log.path))).unlink()
    assert log.said(1) == b""
    assert log.missing == [f"it is not known which run wrote what, because there is no {log.path.parent}/.web.log.runs"]
    log.missing.clear()
    log.say(2, b"two\n")
    log.right(2)
    assert log.said(1) == b""


@pytest.mark.parametrize("what", ["fifo", "link", "folder", "huge"])
def test_a_foreign_file_at_the_path_of_the_index_blocks_nothing(log: Log, what: str) -> None:
    """The directory may belong to the user of a task."""
    place, other = Path(index.place(str(log.path))), log.folder / "other"
    log.say(1, b"one\n")
    place.unlink()
    if what == "fifo":
        os.mkfifo(place)
    elif what == "link":
        place.symlink_to(other)
        other.write_text("mine\n")
    elif what == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"x\n")
        os.truncate(place, 1 << 40)
    log.die()
    for number in range(1000):
        log.say(number, b"%d\n" % number)
    log.die()
    if what == "link":
        assert other.read_text() == "mine\n"
    if what == "huge":
        log.rotate()
        log.say(100, b"100\n", now=10.0)
        log.right(100)
    assert log.path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
@pytest.mark.parametrize("log", [{"user": "nobody"}], indirect=True)
def test_no_file_that_the_user_may_not_change_gets_a_new_time(log: Log) -> None:
    """The user may write anything into the index, and make links to any file."""
    nobody, other = pwd.getpwnam("nobody"), log.folder / "other"
    for place in (log.folder, log.folder.parent, log.folder.parent.parent):
        place.chmod(0o755)
    os.chown(log.path.parent, nobody.pw_uid, nobody.pw_gid)
    other.write_text("mine\n")
    os.utime(other, ns=(5, 5))
    log.say(1, b"one\n")
    log.rotate()
    log.say(1, b"more\n")
    Path(f"{log.path}.1").unlink()
    Path(f"{log.path}.1").symlink_to(other)
    mark = index.Mark(2, other.stat().st_ino, 0, "web:1/1@e")
    Path(index.place(str(log.path))).write_text(mark.line())
    log.file._looked = -1.0
    log.path.unlink()
    log.say(1, b"again\n")
    assert other.stat().st_mtime_ns == 5


def test_incomplete_entries_are_ignored(log: Log) -> None:
    """As after a loss of power."""
    log.say(1, b"one\n")
    with open(index.place(str(log.path)), "ab") as file:
        file.write(b"1 99 x y\n\0\0\0\n1 5")
    log.die()
    log.say(2, b"two\n")
    log.right(1, 2)


def test_an_entry_that_cannot_be_written_is_written_later(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(index, "_append", full)
        for number in (1, 2, 3):
            log.say(number, b"%d\n" % number)
    log.say(4, b"4\n")
    log.right(1, 2, 3, 4)
    with monkeypatch.context() as patch:
        patch.setattr(index, "_append", full)
        for number in range(5, 1000):
            log.say(number, b"%d\n" % number)
    log.say(1000, b"1000\n")
    log.right(1, 2, 3, 4, 999, 1000)
    assert log.said(500) == b"", "it is not said to be of another run"


@pytest.mark.parametrize("log", RULES, indirect=True, ids=["plain", "compressed"])
def test_a_run_is_followed_to_its_end_and_no_further(log: Log) -> None:
    reader = RunReader(str(log.path), "web:1/2@e", log.missing.append)
    seen = []
    for step in range(300):
        log.say(step // 100 + 1, b"%04d %s\n" % (step, b"x" * 500))
        if step % 7 == 0:
            seen += [int(line[:4]) for line in reader.more()]
    log.compressed()
    seen += [int(line[:4]) for line in reader.more()]
    assert seen == list(range(100, 200))
    assert log.missing == []


@pytest.mark.parametrize("log", RULES[1:], indirect=True)
def test_a_file_that_is_rotated_and_compressed_during_a_read_is_found(log: Log) -> None:
    for number in (1, 1, 2):
        log.say(number, b"%d %s\n" % (number, b"x" * 2000))
    log.say(1, b"the last\n")
    reader = RunReader(str(log.path), "web:1/1@e", log.missing.append)
    lines = reader.more()
    next(lines)
    for number in (3, 4):
        log.say(number, b"%s\n" % (b"x" * 3000))
        log.compressed()
    assert list(lines)[-1] == b"the last"
    assert log.missing == []


def test_a_damaged_generation_is_named(log: Log) -> None:
    log.say(1, b"%s\n" % (b"one " * 1000))
    log.say(2, b"two\n")
    log.rotate()
    log.die()
    log.say(2, b"more\n")
    spoiled = Path(f"{log.path}.1.gz")
    plain = Path(f"{log.path}.1")
    data = gzip.compress(plain.read_bytes())
    spoiled.write_bytes(data[:10] + b"\xff" * (len(data) - 18) + data[-8:])
    os.utime(spoiled, ns=(1, plain.stat().st_mtime_ns))
    plain.unlink()
    assert log.said(2) == b"more\n"
    assert [one.startswith(f"{spoiled} is damaged: ") for one in log.missing] == [True]


@pytest.mark.parametrize("fmt", ["raw", "plain"])
def test_random_kills_of_a_scribe_that_many_runs_write_to(paper: Paper, fmt: str) -> None:
    """Each run has every one of its lines, also those that a scribe found late and the next one compressed."""
    paper.manifest(format=fmt, max_size=20_000, keep=1000, compress=True)
    chance = random.Random(7)
    truth = {}
    for number in range(1, 61):
        data = b"".join(b"%d.%d\n" % (number, line) for line in range(chance.choice((1, 10, 3000))))
        truth[number] = data
        if number % 5 == 1:
            paper.scribe()
        writer = paper.write(f"web:1.{number}@e.out", data)
        if number % 5:
            writer.join()
        else:
            writer.join(chance.uniform(0.0, 0.1))
            paper.kill()
    paper.scribe()
    paper.drained()
    missing: list[str] = []
    for number, data in truth.items():
        reader = RunReader(str(paper.log / "web.log"), f"web:1/{number}@e", missing.append)
        lines = [line.rpartition(b" ")[2] for line in reader.more()]
        assert lines == data.splitlines(), number
    assert missing == []
