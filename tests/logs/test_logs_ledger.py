"""The ledger: a block that a killed scribe began is finished by the next one, exactly once."""

import os

import pytest

from supervisor.logs.ledger import Ledger
from supervisor.logs.pump import Pump

BLOCK = b"".join(b"line %d\n" % n for n in range(100))


@pytest.fixture
def fifo(tmp_path):
    """Its name; a writer holds it open, and a block is in it."""
    os.mkfifo(tmp_path / "web.out")
    writer = os.open(tmp_path / "web.out", os.O_RDWR | os.O_NONBLOCK)
    os.write(writer, BLOCK)
    yield "web.out"
    os.close(writer)


def left_in(path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("written", "in_file", "in_fifo"),
    [
        (b"", b"before\n", BLOCK),  # killed before the write
        (BLOCK[:50], b"before\n", BLOCK),  # in the middle of it
        (BLOCK, b"before\n" + BLOCK, b""),  # before it was taken out
    ],
)
def test_a_begun_block_is_finished(tmp_path, fifo, written, in_file, in_fifo):
    log = tmp_path / "web.log"
    log.write_bytes(b"before\n")
    Ledger(str(tmp_path / "ledger")).open(fifo, str(log), os.stat(log), len(BLOCK), BLOCK)
    with log.open("ab") as file:
        file.write(written)
    Ledger(str(tmp_path / "ledger")).finish(str(tmp_path), Pump())
    assert log.read_bytes() == in_file
    assert left_in(tmp_path / fifo) == in_fifo


def test_a_finished_block_is_not_written_again(tmp_path, fifo):
    log = tmp_path / "web.log"
    log.write_bytes(b"")
    ledger = Ledger(str(tmp_path / "ledger"))
    ledger.open(fifo, str(log), os.stat(log), len(BLOCK), BLOCK)
    log.write_bytes(BLOCK)
    ledger.close()
    Ledger(str(tmp_path / "ledger")).finish(str(tmp_path), Pump())
    assert left_in(tmp_path / fifo) == BLOCK


def test_the_file_may_have_been_rotated_meanwhile(tmp_path, fifo):
    log = tmp_path / "web.log"
    log.write_bytes(b"")
    Ledger(str(tmp_path / "ledger")).open(fifo, str(log), os.stat(log), len(BLOCK), BLOCK)
    log.write_bytes(BLOCK)
    log.rename(tmp_path / "web.log.1")
    Ledger(str(tmp_path / "ledger")).finish(str(tmp_path), Pump())
    assert left_in(tmp_path / fifo) == b""


def test_another_file_that_has_its_name_meanwhile_is_not_cut(tmp_path, fifo, monkeypatch):
    log, other = tmp_path / "web.log", tmp_path / "other"
    other.write_bytes(BLOCK)
    log.write_bytes(b"before\n")
    Ledger(str(tmp_path / "ledger")).open(fifo, str(log), os.stat(log), len(BLOCK), BLOCK)
    with log.open("ab") as file:
        file.write(BLOCK[:50])

    def meanwhile(path, stat=os.stat):
        found = stat(path)
        log.unlink()
        log.symlink_to(other)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", meanwhile)
        Ledger(str(tmp_path / "ledger")).finish(str(tmp_path), Pump())
    assert other.read_bytes() == BLOCK


def test_without_room_for_a_ledger_output_goes_on(tmp_path):
    ledger = Ledger(str(tmp_path / "gone/ledger"))
    ledger.finish(str(tmp_path), Pump())
    ledger.open("web.out", "/web.log", os.stat(tmp_path), 1, b"x")
    ledger.close()
    ledger.reopen()
    assert ledger.why.startswith("No such file or directory")
    (tmp_path / "gone").mkdir()
    ledger.reopen()
    assert ledger.why == ""
    assert (tmp_path / "gone/ledger").is_file()


def test_an_incomplete_or_older_ledger_does_no_harm(tmp_path, fifo):
    for found in (b"", b"\x00", b"\x01short", b"\xff" * 9000):
        (tmp_path / "ledger").write_bytes(found)
        Ledger(str(tmp_path / "ledger")).finish(str(tmp_path), Pump())
    assert left_in(tmp_path / fifo) == BLOCK
