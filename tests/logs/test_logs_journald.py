"""journald: what it gets, over our own socket in its place."""

import array
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paper import Paper, wait_for

from supervisor.logs.format import Origin
from supervisor.logs.journald import JournalSink

ORIGIN = Origin("web:2", "web:2/7@e", "out")

ELSEWHERE = """
import runpy, sys
from supervisor.logs.journald import JournalSink
JournalSink.__init__.__defaults__ = (sys.argv[1],)
sys.argv = sys.argv[3:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""
"""A scribe whose journal is another one: what follows is "PLACE -m MODULE RUNTIME_DIR"."""

Entry = dict[str, bytes]


class Journald:
    """The other end."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.files = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(place)
        self._socket.settimeout(30)

    def entry(self) -> Entry:
        """The next one, by datagram or as a sealed file."""
        data, control, _, _ = self._socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        for _, _, passed in control:
            assert not data
            (fd,) = array.array("i", passed)
            data = os.pread(fd, os.fstat(fd).st_size, 0)
            with pytest.raises(PermissionError):
                os.ftruncate(fd, 0)  # sealed: nobody can change it under the reader
            os.close(fd)
            self.files += 1
        return parsed(data)

    def close(self) -> None:
        self._socket.close()


def parsed(data: bytes) -> Entry:
    """An entry of the native protocol: KEY=VALUE lines, and KEY, a length and so many bytes."""
    found: Entry = {}
    while data:
        line, _, data = data.partition(b"\n")
        key, is_text, value = line.partition(b"=")
        if not is_text:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        found[key.decode()] = value
    return found


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    made = Journald(str(tmp_path / "socket"))
    yield made
    made.close()


@pytest.fixture
def sink(journald: Journald) -> Iterator[JournalSink]:
    made = JournalSink(journald.place)
    yield made
    made.close()


def test_each_line_is_an_entry_with_its_fields(journald: Journald, sink: JournalSink):
    data = b"one\n\nlast, nul \0 and \xff, without an end"
    assert sink.append(ORIGIN, data) == (len(data), (0, 0, ""))
    first = journald.entry()
    assert first == {
        "SYSLOG_IDENTIFIER": b"web:2", "SUPERVISOR_TASK": b"web", "SUPERVISOR_INSTANCE": b"2",
        "SUPERVISOR_RUN": b"web:2/7@e", "SUPERVISOR_STREAM": b"out", "PRIORITY": b"6", "MESSAGE": b"one",
    }  # fmt: skip
    assert [journald.entry()["MESSAGE"] for _ in range(2)] == [b"", b"last, nul \0 and \xff, without an end"]


@pytest.mark.parametrize(
    ("stream", "line", "priority", "message"),
    [
        ("out", b"a line", b"6", b"a line"),
        ("err", b"a line", b"4", b"a line"),
        ("out", b"<3>a line", b"3", b"a line"),
        ("err", b"<7>a line", b"7", b"a line"),
        ("out", b"<8>a line", b"6", b"<8>a line"),
        ("out", b"MESSAGE=forged", b"6", b"MESSAGE=forged"),
    ],
)
def test_the_priority(journald: Journald, sink: JournalSink, stream: str, line: bytes, priority: bytes, message: bytes):
    sink.append(ORIGIN._replace(stream=stream), line + b"\n")
    entry = journald.entry()
    assert (entry["PRIORITY"], entry["MESSAGE"]) == (priority, message)


def test_the_only_instance_has_the_name_of_its_task(journald: Journald, sink: JournalSink):
    sink.append(Origin("web:1", "web:1/1@e", "out"), b"x\n")
    assert journald.entry()["SYSLOG_IDENTIFIER"] == b"web"


def test_a_line_that_is_too_long_for_a_datagram_goes_as_a_sealed_file(journald: Journald, sink: JournalSink):
    line = b"x" * 3_000_000
    assert sink.append(ORIGIN, b"before\n" + line + b"\nafter\n")[1].bytes == 0
    assert [journald.entry()["MESSAGE"] for _ in range(3)] == [b"before", line, b"after"]
    assert journald.files == 1


def test_a_busy_journald_takes_a_part_and_the_rest_is_not_lost(journald: Journald, sink: JournalSink):
    """Nothing waits in @scribe for a journald that does not read; the same lines are sent again."""
    lines = [b"%d\n" % number for number in range(1000)]
    data, heard = b"".join(lines), []
    while data:
        done, loss = sink.append(ORIGIN, data)
        assert loss.bytes == 0
        assert done < len(data) or len(heard) > 900, "a queue of datagrams is short"
        took, data = data[:done].splitlines(), data[done:]
        heard += [journald.entry()["MESSAGE"] for _ in took]
    assert heard == [line.rstrip() for line in lines]


def test_output_without_a_journald_is_counted_as_lost(tmp_path: Path):
    sink = JournalSink(str(tmp_path / "nobody"))
    done, loss = sink.append(ORIGIN, b"one\ntwo\n")
    sink.close()
    assert (done, loss) == (8, (8, 2, "journald: No such file or directory"))


def test_a_task_with_its_log_in_journald(paper: Paper, journald: Journald):
    """Through @scribe: each line of a flood once and in order. A line longer than a FIFO arrives in pieces."""
    paper.manifest(to="journal")
    paper.scribe(command=[sys.executable, "-c", ELSEWHERE, journald.place])
    lines = [b"%d" % number for number in range(2000)]
    long = b"y" * 1_000_000
    writer = paper.write("web:1.1@e.out", b"\n".join([*lines, long, b"after"]) + b"\n")
    assert [journald.entry()["MESSAGE"] for _ in lines] == lines
    rest = b""
    while not rest.endswith(b"after"):
        rest += journald.entry()["MESSAGE"]
    assert rest == long + b"after"
    writer.join()
    wait_for(lambda: paper.said("web:1"))
    assert os.listdir(paper.log) == []
