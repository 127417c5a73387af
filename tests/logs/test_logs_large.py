"""One large write in one call of write(2): no event tells that the writer continues, so the reader must check again."""

import os
import random
import select
import sys
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from paper import Paper, wait_for
from test_logs_journald import ELSEWHERE, Journald

from supervisor.host import clock
from supervisor.logs import intake
from supervisor.logs import output as outputs
from supervisor.logs.output import LONG_LINE, Output
from supervisor.logs.stream import PATIENCE

MEGABYTE = 1_000_000


def piece(size: int, kind: str) -> bytes:
    """A text of about this size: without any newline, with one at 64 KiB, or in lines of 64 bytes."""
    if kind == "one line":
        return b"z" * size
    if kind == "64 KiB":
        return b"z" * 65_535 + b"\n" + b"y" * (size - 65_536)
    return b"".join(b"%062d\n" % number for number in range(size // 63))


def says_something(paper: Paper, keys: list[str], log: Callable[[], bytes]) -> list[FileIO]:
    """Tasks whose FIFO the scribe has looked at and emptied, so that only the kernel can tell of what comes next."""
    tasks = [paper.open(f"{key}.1@e.out") for key in keys]
    for task in tasks:
        task.write(b"hello\n")
    wait_for(lambda: log().count(b"hello") == len(keys))
    paper.drained()
    return tasks


def all_at_once(tasks: list[FileIO], data: bytes) -> None:
    """Each task writes this in one call, all of them at the same time, and ends."""

    def write(task: FileIO) -> None:
        with task:
            task.write(data)

    threads = [threading.Thread(target=write, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a task waits in write(2) for ever"


@pytest.mark.parametrize(
    ("megabytes", "kind", "fmt", "tasks"),
    [
        (1.2, "one line", "raw", 1),
        (2, "one line", "plain", 1),
        (10, "one line", "json", 1),
        (1.2, "one line", "plain", 16),
        (2, "64 KiB", "raw", 1),
        (10, "64 KiB", "plain", 1),
        (1.2, "64 KiB", "json", 16),
        (10, "lines", "raw", 1),
        (2, "lines", "plain", 16),
        (1.2, "lines", "json", 1),
    ],
)
def test_a_large_write_ends_and_is_in_the_file(paper: Paper, megabytes: float, kind: str, fmt: str, tasks: int) -> None:
    keys = [f"web:{number}" for number in range(1, tasks + 1)]
    paper.manifest(format=fmt, instances=tuple(keys))
    paper.scribe()
    data = piece(int(megabytes * MEGABYTE), kind)
    all_at_once(says_something(paper, keys, lambda: b"".join(map(paper.read, paper.logs()))), data)
    paper.drained()
    wanted = (b"hello\n" + data).replace(b"\n", b"")
    for name in paper.logs():
        wait_for(lambda name=name: paper.lines(name, fmt).replace(b"\n", b"") == wanted, name)


@pytest.mark.parametrize(("megabytes", "kind"), [(2, "one line"), (1.2, "64 KiB"), (2, "lines")])
def test_a_large_write_ends_and_is_on_stdout(paper: Paper, megabytes: float, kind: str) -> None:
    ours, theirs = os.pipe()
    heard = bytearray()
    paper.manifest(to="inherit")
    paper.scribe(stdout=theirs)
    os.close(theirs)

    def listen() -> None:
        while block := os.read(ours, 1 << 16):
            heard.extend(block)

    threading.Thread(target=listen, daemon=True).start()
    data = piece(int(megabytes * MEGABYTE), kind)
    all_at_once(says_something(paper, ["web:1"], lambda: bytes(heard)), data)
    wanted = (b"hello\n" + data).replace(b"\n", b"")
    wait_for(lambda: bytes(heard).replace(b"web | ", b"").replace(b"\n", b"") == wanted)


@pytest.mark.parametrize(("megabytes", "kind"), [(1.2, "one line"), (2, "64 KiB")])
def test_a_large_write_ends_and_is_in_the_journal(paper: Paper, tmp_path: Path, megabytes: float, kind: str) -> None:
    journald = Journald(str(tmp_path / "socket"))
    paper.manifest(to="journal")
    paper.scribe(command=[sys.executable, "-c", ELSEWHERE, journald.place])
    (task,) = [paper.open("web:1.1@e.out")]
    task.write(b"hello\n")
    assert journald.entry()["MESSAGE"] == b"hello"
    paper.drained()
    data = piece(int(megabytes * MEGABYTE), kind)
    writer = threading.Thread(target=all_at_once, args=([task], data))
    writer.start()
    wanted, said = data.replace(b"\n", b""), b""
    while len(said) < len(wanted):
        said += journald.entry()["MESSAGE"]
    assert said == wanted
    writer.join()
    journald.close()


# -- a model of a pipe, and the real reader ---------------------------------------------------------------------------


class Pipe:
    """A FIFO and its writer, as Linux has them, for an epoll that tells of edges (fs/pipe.c).

    The kernel reports a write when it is over. It also reports one that stops for want of room, if the pipe was empty
    when it last went on. The writer may go on at any moment at which there is room: `chance` says when.
    """

    def __init__(self, chance: random.Random, writes: list[bytes]) -> None:
        self.room = 65536
        self.data = b""
        self.edge = False
        self._chance = chance
        self.writes = writes
        self._rest = b""  # of the write that waits for room

    @property
    def over(self) -> bool:
        """Whether everything was written."""
        return not self._rest and not self.writes

    def perhaps(self) -> None:
        """Between two steps of the reader: the writer goes on, or not."""
        if self._chance.random() < 0.4:
            self.goes_on()

    def goes_on(self) -> None:
        if not self._rest and self.writes:
            self._rest = self.writes.pop(0)
        if not self._rest or len(self.data) >= self.room:
            return
        was_empty = not self.data
        some = self.room - len(self.data)
        self.data, self._rest = self.data + self._rest[:some], self._rest[some:]
        self.edge = self.edge or was_empty or not self._rest


class Model:
    """In the place of `Pump`: the pipe is the model's, whatever the descriptor."""

    why = ""
    most = 256 * 1024

    def __init__(self, pipe: Pipe, *, grows: bool) -> None:
        self.pipe = pipe
        self._grows = grows

    def peek(self, _fd: int, most: int) -> bytes | None:
        self.pipe.perhaps()
        return self.pipe.data[:most] or None

    def consume(self, _fd: int, count: int) -> None:
        self.pipe.perhaps()
        self.pipe.data = self.pipe.data[count:]
        self.pipe.perhaps()

    def unread(self, _fd: int) -> int:
        self.pipe.perhaps()
        return len(self.pipe.data)

    def holds(self, _fd: int) -> bool:
        return False

    def forget(self, _fd: int) -> None:
        pass

    def enlarged(self, _fd: int, _number: int = 1) -> int:
        if self._grows:
            self.pipe.room = 1 << 20
        self.pipe.perhaps()
        return self.pipe.room


class NoWatch:
    """In the place of inotify."""

    def __init__(self, _mask: int) -> None:
        pass

    def set(self, _places: object) -> None:
        pass

    def names(self) -> list[str]:
        return []


class Loop:
    """Has the readers, and tells them of an edge."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def add_watch(self, watch: object, reader: object) -> None:
        pass

    def watch(self, _fd: int, reader: Any, mask: int) -> None:
        assert mask & select.EPOLLET
        self.readers.append(reader)


def some_writes(chance: random.Random) -> list[bytes]:
    sizes = [1, 100, 5000, 40_000, LONG_LINE, 70_000, 400_000, 1_200_000, 2_500_000]
    ends = [b"", b"\n", b"\n" + b"x" * 50, b"\n" + b"x" * 30_000]
    return [
        b"begin\n" * chance.randint(0, 1) + b"z" * chance.choice(sizes) + chance.choice(ends)
        for _ in range(chance.randint(1, 4))
    ]


class Reading:
    """The real reader over the model of a pipe, in virtual time."""

    def __init__(self, folder: Path, pipe: Pipe) -> None:
        self._pipe = pipe
        fifo = folder / "output" / "web:1.1@e.out"
        fifo.parent.mkdir()
        os.mkfifo(fifo)
        self._loop = Loop()
        self._output = Output(str(folder))
        self._output.attach(self._loop)  # type: ignore[arg-type]
        log = {"to": str(folder / "log"), "format": "raw"}
        self._output.configure({"tasks": {"web": {"log": log}}, "instances": ["web:1"], "log_dir": ""})

    def until_it_sleeps(self, now: float) -> float | None:
        """Turns until the reader has nothing to do at once. Returns when it wants to be woken."""
        for _ in range(10_000):
            if self._pipe.edge:
                self._pipe.edge = False
                self._loop.readers[0](select.EPOLLIN)
            moment = self._output.next_deadline()
            if moment is None or moment > now:
                return moment
            self._output.due(now)
        raise AssertionError("it never sleeps")

    def close(self) -> None:
        self._output.finish()
        self._output._journal.close()
        for stream in self._output._streams.values():
            os.close(stream.fd)


@pytest.mark.parametrize("seed", range(150))
def test_bytes_in_a_fifo_are_always_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever is written, and whenever the writer continues: no byte waits longer than an incomplete line may."""
    chance = random.Random(seed)
    pipe = Pipe(chance, [b"hello\n"])
    model = Model(pipe, grows=chance.random() < 0.7)
    monkeypatch.setattr(outputs, "Pump", lambda: model)
    monkeypatch.setattr(outputs, "enlarged", model.enlarged)
    monkeypatch.setattr(intake, "Watch", NoWatch)
    monkeypatch.setattr(clock, "sleep", lambda _: pipe.perhaps())
    reading, now, stalled = Reading(tmp_path, pipe), 0.0, 0
    pipe.goes_on()
    reading.until_it_sleeps(now)
    pipe.writes = some_writes(chance)
    wanted = b"hello\n" + b"".join(pipe.writes)
    while not pipe.over or pipe.data:
        pipe.goes_on()
        moment = reading.until_it_sleeps(now)
        if pipe.data and not pipe.edge:
            assert moment is not None, f"{len(pipe.data)} bytes are in the FIFO, and nobody will look"
            assert moment <= now + PATIENCE
            now, stalled = moment, stalled + 1
    reading.close()
    assert (tmp_path / "log").read_bytes() == wanted
    assert stalled < 200
