"""Reading a log: every generation in order and once, whatever is renamed meanwhile."""

import gzip
import os
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path
from typing import BinaryIO

import pytest

from supervisor.logs import generations
from supervisor.logs.read import Reader
from supervisor.logs.rotate import rotate

KEEP = 100


class Log:
    """A log and what a scribe does to it, step by step; its lines are numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said = 0
        self.missing: list[str] = []
        self.readers: list[Reader] = []

    def write(self, count: int = 3) -> None:
        with self.path.open("ab") as file:
            for _ in range(count):
                self.said += 1
                file.write(b"%d\n" % self.said)

    def rotate(self, keep: int = KEEP) -> None:
        rotate(str(self.path), keep)

    def pack(self, number: int, *, leave: bool = False) -> None:
        """Compresses a generation, as the scribe does; `leave`: the moment before the original is removed."""
        plain = Path(f"{self.path}.{number}")
        packed = Path(f"{plain}.gz")
        packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
        found = plain.stat()
        os.utime(packed, ns=(found.st_atime_ns, found.st_mtime_ns))
        if not leave:
            plain.unlink()

    def follower(self, *, whole: bool = False) -> Reader:
        self.readers.append(Reader(str(self.path), self.missing.append, whole=whole))
        return self.readers[-1]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    one = Log(tmp_path / "web.log")
    yield one
    for reader in one.readers:
        reader.close()


def numbers(follower: Reader) -> list[int]:
    return [int(line) for line in follower.more()]


@pytest.mark.parametrize("packed", list(product([False, True], repeat=4)), ids=str)
def test_every_generation_in_its_order_compressed_or_not(log: Log, packed: tuple[bool, ...]) -> None:
    log.write()
    follower = log.follower()
    for _ in packed:
        log.write()
        log.rotate()
    log.write()
    for number, wanted in enumerate(packed, 1):
        if wanted:
            log.pack(number)
    assert numbers(follower) == list(range(4, log.said + 1))
    log.write()
    assert numbers(follower) == list(range(log.said - 2, log.said + 1)), "it goes on where it was"
    assert log.missing == []


def test_a_file_during_its_compression_is_read_once(log: Log) -> None:
    log.write()
    follower = log.follower()
    for _ in range(3):
        log.write()
        log.rotate()
    log.write()
    for number in (1, 2, 3):
        log.pack(number, leave=True)
    assert numbers(follower) == list(range(4, 16))


def test_generations_with_the_same_content_are_distinguished(log: Log) -> None:
    log.path.write_bytes(b"1\n")
    follower = log.follower()
    for moment in range(1, 6):
        os.utime(log.path, ns=(moment, moment))
        log.rotate()
        log.path.write_bytes(b"1\n")
        log.pack(1)
    assert numbers(follower) == [1] * 5
    assert log.missing == []


def test_generations_with_the_same_time_are_distinguished(log: Log) -> None:
    """Of one clock tick of the file system."""
    log.path.touch()
    follower = log.follower()
    for _ in range(5):
        log.write()
        os.utime(log.path, ns=(1, 1))
        log.rotate()
        log.pack(1)
    log.write()
    assert numbers(follower) == list(range(1, 19))
    assert log.missing == []


def rotated_before(moment: int, log: Log, rotations: int, *, packs: bool) -> Callable[[str, int], BinaryIO | None]:
    """`generations.opened`, before a certain call of which it is rotated."""
    looks, really = count(), generations.opened

    def meanwhile(path: str, number: int) -> BinaryIO | None:
        if next(looks) == moment:
            for _ in range(rotations):
                log.write()
                log.rotate()
                log.write()
                if packs:
                    log.pack(1)
        return really(path, number)

    return meanwhile


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("rotations", [1, 2, 5])
@pytest.mark.parametrize("behind", [0, 4])
def test_a_rotation_at_any_moment_of_a_read(
    log: Log, monkeypatch: pytest.MonkeyPatch, behind: int, rotations: int, packs: bool
) -> None:
    """Before the first file that a read opens, before the second one, and so on."""
    for moment in range(20):
        follower = log.follower()
        begin = log.said
        for _ in range(behind):
            log.write()
            log.rotate()
        log.write()
        with monkeypatch.context() as patch:
            patch.setattr(generations, "opened", rotated_before(moment, log, rotations, packs=packs))
            seen = numbers(follower)
        assert [*seen, *numbers(follower)] == list(range(begin + 1, log.said + 1)), moment
    assert log.missing == []


def test_a_removed_file_is_reported_once_and_reading_goes_on(log: Log) -> None:
    log.write()
    follower = log.follower()
    log.write()
    for _ in range(6):
        log.rotate(keep=2)
        log.write()
    assert numbers(follower) == [4, 5, 6, *range(log.said - 8, log.said + 1)], (
        "its own is read to its end, then what is kept"
    )
    assert len(log.missing) == 1
    log.write()
    assert len(numbers(follower)) == 3
    assert len(log.missing) == 1


def test_a_removed_file_shows_nothing_of_the_generations_before_it(log: Log) -> None:
    for moment in range(1, 4):
        log.write()
        os.utime(log.path, ns=(moment, moment))
        log.rotate()
    log.write()
    follower = log.follower()
    log.write()
    log.path.unlink()
    assert numbers(follower) == [13, 14, 15]
    log.write()
    os.utime(log.path, ns=(1 << 62, 1 << 62))
    log.rotate()
    log.write()
    assert numbers(follower) == list(range(16, 22))


def test_a_rotation_by_another_program_that_scribe_has_not_noticed_yet(log: Log) -> None:
    log.write()
    follower = log.follower()
    with log.path.open("ab") as old:
        log.path.rename(f"{log.path}.1")
        log.path.touch()
        old.write(b"4\n")
        old.flush()
        assert numbers(follower) == [4]
        old.write(b"5\n")
    log.path.write_bytes(b"6\n")
    assert numbers(follower) == [5, 6]
    assert log.missing == []


def test_a_rotation_by_another_program_without_a_number(log: Log) -> None:
    log.write()
    follower = log.follower()
    log.write()
    log.path.rename(f"{log.path}-20261121")
    os.utime(f"{log.path}-20261121", ns=(1, 1))
    log.write()
    assert numbers(follower) == list(range(4, 10))
    assert log.missing == []


def test_a_truncated_file_is_read_from_its_start(log: Log) -> None:
    log.write()
    follower = log.follower()
    log.path.write_bytes(b"4\n")
    assert numbers(follower) == [4]
    assert log.missing == ["the file was truncated"]


@pytest.mark.parametrize("before", [0, 2])
def test_a_file_that_is_created_later(log: Log, before: int) -> None:
    for number in range(before):
        log.write()
        log.rotate()
        if number == 0:
            log.pack(1)
    follower = log.follower()
    assert numbers(follower) == []
    begin = log.said
    for _ in range(3):
        log.write()
        log.rotate()
    log.write()
    assert numbers(follower) == list(range(begin + 1, begin + 13))
    assert log.missing == []


def test_an_incomplete_line_waits_for_its_rest_across_a_rotation(log: Log) -> None:
    log.path.write_bytes(b"")
    follower = log.follower()
    log.path.write_bytes(b"1")
    assert numbers(follower) == []
    log.rotate()
    log.pack(1)
    log.path.write_bytes(b"2\n3\n")
    assert numbers(follower) == [12, 3]


def test_a_date_as_the_number_of_a_generation_costs_no_time(log: Log) -> None:
    Path(f"{log.path}.20261121").write_bytes(b"1\n")
    follower = log.follower()
    log.path.write_bytes(b"2\n")
    assert numbers(follower) == [2]


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("rotations", [1, 2, 5])
@pytest.mark.parametrize("lines", [None, 5, 10, 1000])
def test_old_and_new_lines_have_no_gap_and_no_overlap(
    log: Log, monkeypatch: pytest.MonkeyPatch, lines: int | None, rotations: int, packs: bool
) -> None:
    """All lines or the last ones, and then the new ones: each once, whenever the file is rotated."""
    for moment in range(30):
        for number in range(1, 5):
            log.write()
            log.rotate()
            if packs and number > 2:
                log.pack(1)
        log.write()
        with monkeypatch.context() as patch:
            patch.setattr(generations, "opened", rotated_before(moment, log, rotations, packs=packs))
            reader = log.follower(whole=lines is None)
            seen = [int(line) for line in reader.last(lines)] if lines else []
        seen += [*numbers(reader), *numbers(reader)]
        begin = 1 if lines in (None, 1000) else seen[0]
        assert seen == list(range(begin, log.said + 1)), moment
        assert lines is None or len(seen) >= min(lines, log.said)
        for place in log.path.parent.iterdir():
            place.unlink()
        log.said = 0
    assert log.missing == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_is_written_between_the_last_lines_and_the_next_ones(log: Log, packed: bool) -> None:
    log.write()
    log.rotate()
    if packed:
        log.pack(1)
    log.write()
    with log.path.open("ab") as file:
        file.write(b"1")
    reader = log.follower()
    with log.path.open("ab") as file:
        file.write(b"7\n18\n")
    assert [int(line) for line in reader.last(4)] == [3, 4, 5, 6]
    assert numbers(reader) == [17, 18]
    with log.path.open("ab") as file:
        file.write(b"half")
    assert numbers(reader) == []
    assert list(reader.unfinished()) == [b"half"]


@pytest.mark.parametrize("last", [0, 100])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "no gzip"])
def test_a_damaged_generation_is_named_and_what_can_be_read_is_shown(log: Log, damage: str, last: int) -> None:
    log.write(20000)
    log.rotate()
    log.pack(1)
    log.write()
    log.rotate()
    log.write()
    log.pack(1)
    spoiled = Path(f"{log.path}.2.gz")
    data = spoiled.read_bytes()
    half = len(data) // 2
    broken = {"cut": data[:half], "overwritten": data[:half] + bytes(half), "no gzip": b"x" * 100}
    spoiled.write_bytes(broken[damage])
    reader = log.follower(whole=not last)
    seen = [*(int(line) for line in reader.last(last)), *numbers(reader)]
    assert seen[-6:] == list(range(20001, 20007))
    assert (len(seen) > 6) == (damage != "no gzip")
    if damage == "cut":
        assert seen[:-6] == list(range(seen[0], seen[0] + len(seen) - 6))
    if damage == "overwritten" and not last:
        assert seen[:5000] == list(range(1, 5001))
    assert len(log.missing) == 1
    assert log.missing[0].startswith(f"{spoiled} is damaged: ")
    assert numbers(reader) == []
    assert len(log.missing) == 1, "once"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_only_a_regular_file_is_a_generation(log: Log, number: int) -> None:
    """There may be a FIFO: an open would wait for ever, and a read would take data from its reader."""
    place = f"{log.path}.{number}" if number else str(log.path)
    os.mkfifo(place)
    held = os.open(place, os.O_RDWR)
    assert generations.opened(str(log.path), number) is None
    os.close(held)
