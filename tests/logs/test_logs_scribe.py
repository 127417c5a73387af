"""The scribe by itself: real FIFOs, real files, real kills; byte by byte."""

import itertools
import json
import os
import pwd
import random
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paper import Paper, wait_for

from supervisor.logs import rotate
from supervisor.logs.access import Rules
from supervisor.logs.file import LogFile
from supervisor.logs.format import Origin
from supervisor.logs.ledger import Ledger
from supervisor.logs.places import rotated
from supervisor.store.told import LOSSES


def numbered(count: int, begin: int = 0) -> bytes:
    return b"".join(b"%08d %s\n" % (number, b"x" * (number % 90)) for number in range(begin, begin + count))


def writing(paper: Paper, writer: threading.Thread) -> None:
    """Waits until the scribe that has just been started writes: one that is killed before has done nothing."""

    def looks() -> object:
        try:
            found = (paper.log / "web.log").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size

    before = looks()
    wait_for(lambda: looks() != before or not writer.is_alive())


@pytest.mark.parametrize("fmt", ["raw", "plain", "json"])
def test_random_kills_in_a_flood_lose_and_double_nothing(paper: Paper, fmt: str) -> None:
    """Whatever the scribe was doing: the lines are there, each once, in order."""
    paper.plan(format=fmt)
    data = numbered(500_000)
    paper.scribe()
    writer = paper.write("web:1.1@e.out", data)
    chance = random.Random(7)
    while writer.is_alive():
        if chance.random() < 0.7:  # else it may be killed while it finishes what the one before had begun
            writing(paper, writer)
        writer.join(chance.uniform(0.0, 0.2))
        paper.kill()
        paper.scribe()
    paper.drained()
    assert paper.lines("web.log", fmt) == data


def test_a_flood_of_one_and_the_same_line_loses_nothing(paper: Paper) -> None:
    """A block that looks like the next one may be there twice, but never not at all."""
    paper.plan(format="raw")
    data = b"y\n" * 2_000_000
    paper.scribe()
    writer = paper.write("web:1.1@e.out", data)
    while writer.is_alive():
        writer.join(0.3)
        paper.kill()
        paper.scribe()
    paper.drained()
    assert len(paper.read("web.log")) >= len(data)


@pytest.mark.parametrize("fmt", ["raw", "plain"])
def test_a_flood_needs_no_memory_anew_for_each_block(paper: Paper, fmt: str) -> None:
    paper.plan(format=fmt)
    paper.scribe()

    def faults() -> int:
        return int(Path(f"/proc/{paper.process.pid}/stat").read_text().rpartition(") ")[2].split()[7])

    data = numbered(20_000)
    paper.write("web:1.1@e.out", data).join()
    paper.drained()
    before = faults()
    for _ in range(20):
        paper.write("web:1.1@e.out", data).join()
    paper.drained()
    assert len(paper.read("web.log")) >= 21 * len(data)
    pages = 20 * len(data) / 4096
    assert faults() - before < pages / 4


MAY_NOT = """
import fcntl, runpy, sys
fcntl.F_SETPIPE_SZ = 0x7fffffff
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def test_a_scribe_that_may_not_enlarge_a_pipe_reads_on(paper: Paper, tmp_path: Path) -> None:
    """Who is no root has a limit for all pipes (pipe-user-pages-soft). Nothing tells then that more is there."""
    (tmp_path / "may_not.py").write_text(MAY_NOT)
    paper.plan(format="raw")
    paper.scribe([sys.executable, str(tmp_path / "may_not.py")])
    data = numbered(12_000)
    with paper.open("web:1.1@e.out") as task:
        task.write(data)
        wait_for(lambda: paper.read("web.log") == data)


def test_the_last_words_of_a_run_come_before_the_next_run(paper: Paper) -> None:
    """Also without a newline, and of a run that was over before the scribe came to it."""
    paper.plan(format="raw")
    paper.write("web:1.1@e.out", b"begin 1\npanic 1").join()
    paper.scribe()
    wait_for(lambda: paper.read("web.log"))
    paper.write("web:1.2@e.out", b"begin 2\n").join()
    wait_for(lambda: b"begin 2" in paper.read("web.log"))
    assert paper.read("web.log").split() == b"begin 1 panic 1begin 2".split()


def generations(path: Path) -> list[bytes]:
    """What a file and all that it was rotated to have in them, the oldest first."""
    places = [Path(place) for _, place in sorted(rotated(str(path)).items(), reverse=True)]
    pieces = [zlib.decompress(one.read_bytes(), 31) if one.suffix == ".gz" else one.read_bytes() for one in places]
    return [*pieces, *([path.read_bytes()] if path.exists() else [])]


@pytest.mark.parametrize("compress", [False, True])
def test_rotation_under_a_flood(paper: Paper, compress: bool) -> None:
    """All files together are what was written; each begins and ends with a whole line and is not too large."""
    paper.plan(format="raw", max_size=300_000, keep=1000, compress=compress)
    data = numbered(600_000)
    paper.scribe()
    writer = paper.write("web:1.1@e.out", data)
    chance, kills = random.Random(7), 0
    while writer.is_alive():
        writing(paper, writer)
        writer.join(chance.uniform(0.0, 0.02))
        paper.kill()
        paper.scribe()
        kills += 1
    paper.drained()
    assert kills > 3
    paper.kill()  # in the midst of a compression, perhaps
    pieces = generations(paper.log / "web.log")
    assert b"".join(pieces) == data
    assert len(pieces) > 20
    assert all(piece.endswith(b"\n") and len(piece) <= 300_000 for piece in pieces)


class DeathError(BaseException):
    """A kill before a system call: nothing catches it."""


class Inline:
    """A thread that is through as soon as it is started."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        self._target(*self._args)


def rotates(log: Path, pieces: list[bytes], calls: int) -> bool:
    """Writes, rotates and compresses each piece. Whether it is through before the rename or unlink of this number."""
    number = itertools.count(1)

    def mortal(call: Callable[..., None]) -> Callable[..., None]:
        def called(*args: Any) -> None:
            if next(number) == calls:
                raise DeathError
            call(*args)

        return called

    compressor = rotate.Compressor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "Thread", Inline)
        patch.setattr(os, "rename", mortal(os.rename))
        patch.setattr(os, "unlink", mortal(os.unlink))
        try:
            while pieces or log.exists():
                if not log.exists():
                    log.write_bytes(pieces.pop(0))
                rotate.rotate(str(log), 100)
                compressor.add(str(log))
                if select.select([compressor.fd], [], [], 0)[0]:
                    compressor.finished()
        except DeathError:
            return False
        finally:
            os.close(compressor.fd)
            os.close(compressor._done)
    return True


@pytest.mark.parametrize("held", ["from the begin", "meanwhile", "no longer"])
def test_what_somebody_still_writes_to_is_compressed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """Who has renamed it is not who writes to it: `logrotate`, half a second before the scribe has seen that."""
    log, old, packed = tmp_path / "web.log", tmp_path / "web.log.1", tmp_path / "web.log.1.gz"
    old.write_bytes(b"1\n")
    compressor = rotate.Compressor()
    files = []

    class Meanwhile(Inline):
        def start(self) -> None:
            super().start()
            if held != "from the begin":
                files.append(old.open("ab"))
                files[0].write(b"2\n")
                files[0].flush()
            if held == "no longer":
                files.pop().close()

    monkeypatch.setattr(threading, "Thread", Meanwhile)
    if held == "from the begin":
        files.append(old.open("ab"))
    compressor.add(str(log))
    assert bool(select.select([compressor.fd], [], [], 0)[0]) == (held != "from the begin")
    if held != "from the begin":
        compressor.finished()
    assert old.exists()
    assert not packed.exists()
    for file in files:
        file.write(b"2\n" if held == "from the begin" else b"")
        file.close()
    monkeypatch.setattr(threading, "Thread", Inline)
    compressor.add(str(log))
    compressor.finished()
    assert zlib.decompress(packed.read_bytes(), 31) == b"1\n2\n"
    assert sorted(os.listdir(tmp_path)) == ["web.log.1.gz"]
    os.close(compressor.fd)
    os.close(compressor._done)


def test_two_deaths_at_any_two_steps_of_rotation_and_compression(tmp_path: Path) -> None:
    """What is left in between, a file beside its compressed one, say, is never taken for something else."""
    whole = [b"piece %d\n" % number for number in range(4)]

    def story(*deaths: int) -> int:
        """How many of these deaths there were; all is there after each, and in the end."""
        log, pieces = tmp_path / "-".join(map(str, deaths)) / "web.log", list(whole)
        log.parent.mkdir()
        for count, calls in enumerate((*deaths, 0)):
            through = rotates(log, pieces, calls)
            assert b"".join(generations(log)) == b"".join(whole[: len(whole) - len(pieces)]), deaths
            if through:
                return count
        raise AssertionError

    first = next(n for n in itertools.count(1) if not story(n)) - 1
    assert first > 15
    for one in range(1, first + 1):
        assert next(n for n in itertools.count(1) if story(one, n) < 2)


@pytest.mark.parametrize("name", ["web.log.3", "web.log.gz.new"])
def test_what_somebody_has_put_beside_a_log_holds_up_nobody(paper: Paper, name: str) -> None:
    """The directory may be that of the user of a task: a FIFO there is opened by nobody."""
    (paper.log / "web.log.2").write_bytes(b"old\n")
    os.mkfifo(paper.log / name)
    paper.plan(format="raw")
    paper.scribe()
    for number in (1, 2):
        paper.write(f"web:1.{number}@e.out", b"%d\n" % number).join()
    wait_for(lambda: paper.read("web.log") == b"1\n2\n")


@pytest.fixture
def nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log in a directory of somebody else, of which one generation is to be compressed."""
    if os.geteuid():
        pytest.skip("needs root, to be somebody else")
    nobody, folder = pwd.getpwnam("nobody"), tmp_path / "logs"
    for place in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        place.chmod(0o755)
    folder.mkdir()
    (folder / "web.log.1").write_bytes(b"1\n")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    os.chown(folder / "web.log.1", nobody.pw_uid, 1)
    (folder / "web.log.1").chmod(0o640)
    monkeypatch.setattr(threading, "Thread", Inline)
    return folder / "web.log"


@contextmanager
def compressing(log: Path) -> Iterator[None]:
    """What is done in it happens meanwhile."""
    compressor = rotate.Compressor()
    compressor.add(str(log), "nobody")
    yield
    compressor.finished()
    os.close(compressor.fd)
    os.close(compressor._done)


def test_what_is_compressed_belongs_to_whom_it_has_belonged(nobodys: Path) -> None:
    def known(path: Path) -> tuple[int, int, int, int]:
        found = path.stat()
        return found.st_uid, found.st_gid, found.st_mode, found.st_mtime_ns

    before = known(nobodys.with_name("web.log.1"))
    with compressing(nobodys):
        pass
    assert known(nobodys.with_name("web.log.1.gz")) == before
    assert os.listdir(nobodys.parent) == ["web.log.1.gz"]


def test_what_the_user_of_a_task_puts_in_place_of_a_file_is_not_given_to_him(nobodys: Path, tmp_path: Path) -> None:
    """He may change his directory at any moment: also while a file in it is compressed."""
    mine, made = tmp_path / "mine", nobodys.with_name("web.log.gz.new")
    mine.write_text("root's\n")
    mine.chmod(0o600)
    with compressing(nobodys):
        made.unlink()
        made.symlink_to(mine)
    found = mine.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode), mine.read_text()) == (0, 0o600, "root's\n")


def test_it_is_the_file_that_was_opened_whose_last_line_counts(tmp_path: Path) -> None:
    """Its name may be that of a FIFO a moment later, which nobody would open from the other side."""
    log, moved = tmp_path / "web.log", tmp_path / "moved"
    log.write_bytes(b"whole\n")

    class Meanwhile(rotate.Compressor):
        def add(self, path: str, user: str | None = None) -> None:
            log.rename(moved)
            log.write_bytes(b"half")

    compressor = Meanwhile()
    file = LogFile(str(log), Rules(), Ledger(str(tmp_path / "ledger")), compressor)
    file.append("web:1.1@e.out", Origin("web:1", "web:1/1@e", "out"), b"more\n", 5, (0.0, 1764448435.0))
    assert [line[-5:] for line in moved.read_bytes().splitlines()] == [b"whole", b" more"]
    file.close()
    os.close(compressor.fd)
    os.close(compressor._done)


def test_what_is_rotated_is_compressed_and_what_is_too_old_goes(paper: Paper) -> None:
    paper.plan(format="raw", max_size=100_000, keep=3)
    paper.scribe()
    data = numbered(12_000)
    paper.write("web:1.1@e.out", data).join()
    paper.drained()
    wanted = ["web.log", "web.log.1.gz", "web.log.2.gz", "web.log.3.gz"]
    wait_for(lambda: paper.logs() == wanted)
    found = b"".join(zlib.decompress((paper.log / name).read_bytes(), 31) for name in reversed(wanted[1:]))
    assert data.endswith(found + paper.read("web.log"))


@pytest.mark.parametrize(
    "data",
    [
        b"half",
        b"a\nhalf",
        b"\n\n\n",
        b"nul \0 and \xff\xfe\n",
        b"x" * 700_000 + b"\n",
        b"y" * 300_000,
        b"short\n" + b"z" * 2_000_000 + b"\nend\n",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bytes_are_kept_as_they_are(paper: Paper, data: bytes) -> None:
    paper.plan(format="raw")
    paper.scribe()
    paper.write("web:1.1@e.out", data).join()
    paper.drained()
    wait_for(lambda: paper.read("web.log") == data)


def test_a_long_line_has_one_stamp(paper: Paper) -> None:
    paper.plan()
    paper.scribe()
    paper.write("web:1.1@e.out", b"x" * 1_000_000 + b"\nnext\n").join()
    paper.drained()
    first, second = paper.read("web.log").splitlines()
    assert first.split(b" ", 2)[1:] == [b"out", b"x" * 1_000_000]
    assert second.split(b" ", 2)[1:] == [b"out", b"next"]


def test_a_line_waits_a_moment_for_its_end_and_no_run_goes_on_with_anothers_line(paper: Paper) -> None:
    paper.plan()
    paper.scribe()
    with paper.open("web:1.1@e.out") as out, paper.open("web:1.1@e.err") as err:
        out.write(b"half ")
        err.write(b"error\n")
        wait_for(lambda: b"error\n" in paper.read("web.log"))
        wait_for(lambda: b"half " in paper.read("web.log"), "it is shown, though it has no end")
        out.write(b"a line, then a")
    with paper.open("web:1.2@e.out") as out:
        out.write(b"new run\n")
        wait_for(lambda: b"new run" in paper.read("web.log"))
    texts = [line.split(b" ", 2)[2] for line in paper.read("web.log").splitlines()]
    assert texts == [b"error", b"half a line, then a", b"new run"]


def test_a_fifo_goes_when_its_run_has_said_its_last_word(paper: Paper) -> None:
    paper.plan()
    paper.scribe()
    for number in range(1, 4):
        paper.write(f"web:1.{number}@e.out", b"text\n").join()
    wait_for(lambda: paper.fifos() == ["web:1.3@e.out"], "the newest stays, it may be used again")
    paper.plan(instances=())
    wait_for(lambda: paper.fifos() == [])
    assert paper.read("web.log").count(b"text") == 3


def test_a_scribe_that_ends_leaves_the_fifo_that_a_child_is_about_to_open(paper: Paper) -> None:
    """It is told to end while the next supervisor makes children; also with the numbers of another journal."""
    paper.plan(format="raw")
    paper.write("web:1.7@e.out", b"before\n").join()
    paper.scribe()
    wait_for(lambda: paper.read("web.log") == b"before\n")
    paper.open("web:1.1@f.out").close()
    wait_for(lambda: paper.fifos() == ["web:1.1@f.out"], "it is the newer one")
    paper.process.send_signal(signal.SIGTERM)
    assert paper.process.wait(30) == 0
    with paper.open("web:1.1@f.out") as out:
        out.write(b"after\n")
        paper.scribe()
        wait_for(lambda: paper.read("web.log") == b"before\nafter\n")


def test_the_last_words_of_a_run(paper: Paper) -> None:
    paper.plan(stderr="separate")
    paper.scribe()
    paper.write("web:1.1@e.err", b"".join(b"line %d\n" % number for number in range(30))).join()
    said = wait_for(lambda: paper.said("web:1"))
    assert said == {"run": "web:1/1@e", "stream": "err", "lines": [f"line {number}" for number in range(20, 30)]}


# -- somebody else's hands --------------------------------------------------------------------------------------------


def renamed(paper: Paper) -> None:
    (paper.log / "web.log").rename(paper.log / "web.log.old")


def removed(paper: Paper) -> None:
    (paper.log / "web.log").unlink()


def truncated(paper: Paper) -> None:
    os.truncate(paper.log / "web.log", 0)


def folder_removed(paper: Paper) -> None:
    shutil.rmtree(paper.log)


@pytest.mark.parametrize("hand", [renamed, removed, truncated, folder_removed])
def test_a_file_that_somebody_moves_is_noticed(paper: Paper, hand: Callable[[Paper], None]) -> None:
    paper.plan(format="raw")
    paper.scribe()
    with paper.open("web:1.1@e.out") as out:
        out.write(b"before\n")
        wait_for(lambda: paper.read("web.log") == b"before\n")
        hand(paper)

        def again() -> bool:
            out.write(b"after\n")
            return b"after\n" in paper.read("web.log")

        wait_for(again)
    assert b"before" not in paper.read("web.log")


def test_a_plan_that_changes_counts_at_once(paper: Paper) -> None:
    paper.plan(format="raw")
    paper.scribe()
    with paper.open("web:1.1@e.out") as out:
        out.write(b"one\n")
        wait_for(lambda: paper.read("web.log") == b"one\n")
        paper.plan(to=str(paper.log / "other.txt"), format="json")

        def moved() -> bool:
            out.write(b"two\n")
            return bool(paper.read("other.txt"))

        wait_for(moved)
    assert json.loads(paper.read("other.txt").splitlines()[0])["message"] == "two"


Healing = Callable[[], object]


@contextmanager
def read_only(paper: Paper) -> Iterator[Healing]:
    """The directory of the logs is a disk that is mounted read-only."""
    if os.geteuid():
        pytest.skip("needs root, to mount a disk")
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=2m", "none", str(paper.log)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        paper.scribe()
        yield lambda: subprocess.run(["mount", "-o", "remount,rw", str(paper.log)], check=True)
    finally:
        paper.close()
        subprocess.run(["umount", str(paper.log)], check=True)


FAILING = """
import errno, os, runpy, sys
def writev(fd, buffers, write=os.writev):
    if os.path.exists(sys.argv[1] + "/broken"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return write(fd, buffers)
os.writev = writev
del sys.argv[1:3]
runpy.run_module("supervisor.helpers.scribe", run_name="__main__", alter_sys=True)
"""
"""A scribe on a disk that fails."""


@contextmanager
def failing(paper: Paper) -> Iterator[Healing]:
    """Each write fails with EIO."""
    broken = paper.run / "broken"
    broken.touch()
    paper.scribe(command=[sys.executable, "-c", FAILING])
    yield broken.unlink


@pytest.mark.parametrize(
    ("trouble", "why"), [(read_only, "Read-only file system"), (failing, "Input/output error")], ids=["EROFS", "EIO"]
)
@pytest.mark.parametrize("fmt", ["raw", "plain"])
def test_a_disk_that_takes_nothing_stops_no_task(
    paper: Paper, trouble: Callable[[Paper], Any], why: str, fmt: str
) -> None:
    """What is dropped is counted, for the supervisor and in the file as soon as it can be said there."""
    paper.plan(format=fmt)
    data = numbered(3_000)
    with trouble(paper) as heal:
        with paper.open("web:1.1@e.out") as out:
            out.write(data)  # comes back: somebody reads
            paper.drained()
            counted = {"bytes": len(data), "lines": 3_000, "why": why}
            wait_for(lambda: counted.items() <= LOSSES.read(str(paper.run)).get("web:1", {}).items())
            assert paper.read("web.log") == b""
            heal()
            wait_for(lambda: b"are missing here" in paper.read("web.log"))
            out.write(b"room again\n")
            wait_for(lambda: b"room again\n" in paper.read("web.log"))
        says = f"[supervisor: {len(data)} bytes (3000 lines) are missing here: {why}]\nroom again\n"
        assert paper.lines("web.log", fmt) == says.encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
@pytest.mark.parametrize("fmt", ["raw", "plain"])
def test_a_full_disk_stops_no_task_and_says_what_is_missing(paper: Paper, fmt: str) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(paper.log)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        paper.plan(format=fmt)
        paper.scribe()
        with paper.open("web:1.1@e.out") as out:
            with (paper.log / "filler").open("wb") as filler:
                os.posix_fallocate(filler.fileno(), 0, 2 << 20)
            out.write(numbered(100_000))  # comes back: somebody reads
            paper.drained()
            (paper.log / "filler").unlink()
            wait_for(lambda: b"are missing here" in paper.read("web.log"), "it is said, though nothing more is written")
            out.write(b"room again\n")
            wait_for(lambda: b"room again\n" in paper.read("web.log"))
        lost = len(numbered(100_000))
        says = b"[supervisor: %d bytes (100000 lines) are missing here: No space left on device]\nroom again\n" % lost
        assert paper.lines("web.log", fmt) == says
    finally:
        paper.close()
        subprocess.run(["umount", str(paper.log)], check=True)


def test_a_flood_does_not_hold_up_a_quiet_task(paper: Paper) -> None:
    """While one task writes without end, a line of another one is in its file soon."""
    paper.plan(format="raw", instances=("web:1", "web:2"))
    paper.scribe()
    stop = threading.Event()
    flood = paper.write("web:1.1@e.out", numbered(5000), until=stop)
    with paper.open("web:2.1@e.out") as quiet:
        wait_for(lambda: len(paper.read("web.log")) > 5_000_000)
        for number in range(20):
            line = b"quiet %d\n" % number
            quiet.write(line)
            wait_for(lambda line=line: line in paper.read("web:2.log"))
    stop.set()
    flood.join()
    assert not flood.is_alive()


def test_a_reader_of_stdout_who_stops_holds_up_nobody_else(paper: Paper) -> None:
    """`inherit` goes to somebody else's pipe; files go on when it is full."""
    paper.plan(format="raw", instances=("web:1", "loud:1"), loud={"to": "inherit"})
    ours, theirs = os.pipe()
    paper.scribe(stdout=theirs)
    os.close(theirs)
    data = numbered(20_000)
    loud = paper.write("loud:1.1@e.out", data)
    with paper.open("web:1.1@e.out") as web:
        web.write(b"a line\n")
        wait_for(lambda: paper.read("web.log") == b"a line\n")
    heard = b""
    wanted = b"".join(b"loud | " + line for line in data.splitlines(keepends=True))
    while len(heard) < len(wanted):
        heard += os.read(ours, 1 << 16)
    assert heard == wanted
    loud.join()
    os.close(ours)


def test_more_instances_than_the_soft_limit_of_descriptors(paper: Paper) -> None:
    keys = [f"web:{number}" for number in range(1, 200)]
    paper.plan(format="raw", instances=tuple(keys))
    command = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh", sys.executable]
    paper.scribe(command=command)
    writers: list[Any] = [paper.open(f"{key}.1@e.out") for key in keys]
    for key, writer in zip(keys, writers, strict=True):
        writer.write(f"{key}\n".encode())
    wait_for(lambda: len(paper.logs()) == len(keys))
    for writer in writers:
        writer.close()
    assert paper.process.poll() is None


def test_sigterm_drains(paper: Paper) -> None:
    paper.plan(format="raw")
    data = numbered(8_000)
    with paper.open("web:1.1@e.out") as out:
        paper.scribe()
        writer = threading.Thread(target=out.write, args=(data,))
        writer.start()
        writer.join()
        paper.process.send_signal(signal.SIGTERM)
        assert paper.process.wait(30) == 0
    assert paper.read("web.log") == data


def test_while_there_is_no_plan_everything_stays_where_it_is(paper: Paper) -> None:
    """Somebody removes the runtime directory, and then the new one; nobody knows for a moment where output goes."""
    paper.plan(format="raw")
    with paper.open("web:1.1@e.out") as out:
        paper.scribe()
        out.write(b"before\n")
        wait_for(lambda: paper.read("web.log") == b"before\n")
        shutil.rmtree(paper.run)
        paper.output.mkdir(parents=True)
        paper.process.send_signal(signal.SIGHUP)
        ledger = paper.run / "scribe.ledger"
        wait_for(ledger.exists)
        out.write(b"meanwhile\n")
        paper.drained()
        shutil.rmtree(paper.run)
        paper.output.mkdir(parents=True)
        paper.plan(format="raw")
        paper.process.send_signal(signal.SIGHUP)
        wait_for(ledger.exists)
        out.write(b"after\n")
        wait_for(lambda: paper.read("web.log") == b"before\nmeanwhile\nafter\n")


def test_a_scribe_that_comes_before_its_plan_waits_for_it(paper: Paper) -> None:
    paper.write("web:1.1@e.out", b"early\n").join()
    paper.scribe()
    wait_for((paper.run / "scribe.ledger").exists)
    state = Path(f"/proc/{paper.process.pid}/stat")
    wait_for(lambda: state.read_text().rpartition(") ")[2].startswith("S"), "it has nothing to do")
    assert paper.logs() == []
    paper.plan(format="raw")
    wait_for(lambda: paper.read("web.log") == b"early\n")
