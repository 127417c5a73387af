"""@scribe alone: real FIFOs, real files, real kills, byte by byte."""

import itertools
import json
import os
import pwd
import random
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
from supervisor.logs.compress import Compressor
from supervisor.logs.file import LogFile
from supervisor.logs.format import Origin
from supervisor.logs.ledger import Ledger
from supervisor.logs.names import rotated
from supervisor.store.statefile import LOSSES


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
    """Whatever @scribe was doing: each line is in the file once, in order."""
    paper.manifest(format=fmt)
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


def test_a_flood_of_identical_lines_loses_nothing(paper: Paper) -> None:
    """A block equal to the next one may be written twice, but is never missing."""
    paper.manifest(format="raw")
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
def test_a_flood_allocates_no_memory_for_each_block(paper: Paper, fmt: str) -> None:
    paper.manifest(format=fmt)
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
    """Without root there is a limit for all pipes (pipe-user-pages-soft).

    Then no event tells that more data arrived.
    """
    (tmp_path / "may_not.py").write_text(MAY_NOT)
    paper.manifest(format="raw")
    paper.scribe([sys.executable, str(tmp_path / "may_not.py")])
    data = numbered(12_000)
    with paper.open("web:1.1@e.out") as task:
        task.write(data)
        wait_for(lambda: paper.read("web.log") == data)


def test_the_last_output_of_a_run_comes_before_the_next_run(paper: Paper) -> None:
    """Also without a newline, and of a run that ended before @scribe saw it."""
    paper.manifest(format="raw")
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
    """All files together have what was written. Each begins and ends with a whole line and is not too large."""
    paper.manifest(format="raw", max_size=300_000, keep=1000, compress=compress)
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


def through(compressor: Compressor) -> None:
    """All steps that there are."""
    while (moment := compressor.next_deadline()) is not None:
        compressor.due(moment)


def rotates(log: Path, pieces: list[bytes], calls: int) -> bool:
    """Writes, rotates and compresses each piece. Whether it is through before the rename or unlink of this number."""
    number = itertools.count(1)

    def mortal(call: Callable[..., None]) -> Callable[..., None]:
        def called(*args: Any) -> None:
            if next(number) == calls:
                raise DeathError
            call(*args)

        return called

    compressor = Compressor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", mortal(os.rename))
        patch.setattr(os, "unlink", mortal(os.unlink))
        try:
            while pieces or log.exists():
                if not log.exists():
                    log.write_bytes(pieces.pop(0))
                rotate.rotate(str(log), 100)
                compressor.add(str(log))
                through(compressor)
        except DeathError:
            if compressor._job:
                os.close(compressor._job.source)
                os.close(compressor._job.target)
            return False
    return True


@pytest.mark.parametrize("held", ["from the begin", "meanwhile", "no longer"])
def test_a_file_with_a_writer_is_compressed_later(tmp_path: Path, held: str) -> None:
    """The program that renames a file may not be its writer: `logrotate`, half a second before @scribe notices."""
    log, old, packed = tmp_path / "web.log", tmp_path / "web.log.1", tmp_path / "web.log.1.gz"
    old.write_bytes(b"1\n")
    compressor = Compressor()
    files = []
    if held == "from the begin":
        files.append(old.open("ab"))
    compressor.add(str(log))
    compressor.due(0.0)
    assert bool(compressor._job) == (held != "from the begin")
    if held != "from the begin":
        files.append(old.open("ab"))
        files[0].write(b"2\n")
        files[0].flush()
    if held == "no longer":
        files.pop().close()
    through(compressor)
    assert old.exists()
    assert not packed.exists()
    for file in files:
        file.write(b"2\n" if held == "from the begin" else b"")
        file.close()
    compressor.add(str(log))
    through(compressor)
    assert zlib.decompress(packed.read_bytes(), 31) == b"1\n2\n"
    assert sorted(os.listdir(tmp_path)) == ["web.log.1.gz"]


def test_two_deaths_at_any_two_steps_of_rotation_and_compression(tmp_path: Path) -> None:
    """Intermediate states, such as a file beside its compressed copy, are never misread."""
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
def test_a_foreign_file_beside_a_log_blocks_nothing(paper: Paper, name: str) -> None:
    """The directory may belong to the user of a task: a FIFO there is never opened."""
    (paper.log / "web.log.2").write_bytes(b"old\n")
    os.mkfifo(paper.log / name)
    paper.manifest(format="raw")
    paper.scribe()
    for number in (1, 2):
        paper.write(f"web:1.{number}@e.out", b"%d\n" % number).join()
    wait_for(lambda: paper.read("web.log") == b"1\n2\n")


@pytest.fixture
def nobodys(tmp_path: Path) -> Path:
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
    return folder / "web.log"


@contextmanager
def compressing(log: Path) -> Iterator[None]:
    """What is done in it happens meanwhile."""
    compressor = Compressor()
    compressor.add(str(log), "nobody")
    compressor.due(0.0)
    yield
    through(compressor)


def test_a_compressed_file_keeps_its_owner(nobodys: Path) -> None:
    def known(path: Path) -> tuple[int, int, int, int]:
        found = path.stat()
        return found.st_uid, found.st_gid, found.st_mode, found.st_mtime_ns

    before = known(nobodys.with_name("web.log.1"))
    with compressing(nobodys):
        pass
    assert known(nobodys.with_name("web.log.1.gz")) == before
    assert os.listdir(nobodys.parent) == ["web.log.1.gz"]


def test_a_user_cannot_get_a_file_by_replacing_a_log(nobodys: Path, tmp_path: Path) -> None:
    """The user may change the directory at any moment, also during a compression."""
    mine, made = tmp_path / "mine", nobodys.with_name("web.log.gz.new")
    mine.write_text("root's\n")
    mine.chmod(0o600)
    with compressing(nobodys):
        made.unlink()
        made.symlink_to(mine)
    found = mine.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode), mine.read_text()) == (0, 0o600, "root's\n")


def test_the_last_line_is_read_from_the_opened_file(tmp_path: Path) -> None:
    """A moment later its name may be a FIFO that has no writer."""
    log, moved = tmp_path / "web.log", tmp_path / "moved"
    log.write_bytes(b"whole\n")

    class Meanwhile(Compressor):
        def add(self, path: str, user: str | None = None) -> None:
            log.rename(moved)
            log.write_bytes(b"half")

    compressor = Meanwhile()
    file = LogFile(str(log), Rules(), Ledger(str(tmp_path / "ledger")), compressor)
    file.append("web:1.1@e.out", Origin("web:1", "web:1/1@e", "out"), b"more\n", 5, (0.0, 1764448435.0))
    assert [line[-5:] for line in moved.read_bytes().splitlines()] == [b"whole", b" more"]
    file.close()


def test_rotated_files_are_compressed_and_old_ones_removed(paper: Paper) -> None:
    paper.manifest(format="raw", max_size=100_000, keep=3)
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
def test_bytes_are_written_unchanged(paper: Paper, data: bytes) -> None:
    paper.manifest(format="raw")
    paper.scribe()
    paper.write("web:1.1@e.out", data).join()
    paper.drained()
    wait_for(lambda: paper.read("web.log") == data)


def test_a_long_line_has_one_stamp(paper: Paper) -> None:
    paper.manifest()
    paper.scribe()
    paper.write("web:1.1@e.out", b"x" * 1_000_000 + b"\nnext\n").join()
    paper.drained()
    first, second = paper.read("web.log").splitlines()
    assert first.split(b" ", 2)[1:] == [b"out", b"x" * 1_000_000]
    assert second.split(b" ", 2)[1:] == [b"out", b"next"]


def test_an_incomplete_line_waits_a_moment_and_is_not_continued_by_another_run(paper: Paper) -> None:
    paper.manifest()
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


def test_a_fifo_is_removed_after_the_last_output_of_its_run(paper: Paper) -> None:
    paper.manifest()
    paper.scribe()
    for number in range(1, 4):
        paper.write(f"web:1.{number}@e.out", b"text\n").join()
    wait_for(lambda: paper.fifos() == ["web:1.3@e.out"], "the newest stays, it may be used again")
    paper.manifest(instances=())
    wait_for(lambda: paper.fifos() == [])
    assert paper.read("web.log").count(b"text") == 3


def test_a_scribe_that_ends_leaves_the_fifo_that_a_child_is_about_to_open(paper: Paper) -> None:
    """SIGTERM arrives while the next supervisor forks children, whose run numbers may be those of another journal."""
    paper.manifest(format="raw")
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


def test_the_last_output_of_a_run_is_recorded(paper: Paper) -> None:
    paper.manifest(stderr="separate")
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
def test_a_renamed_file_is_noticed(paper: Paper, hand: Callable[[Paper], None]) -> None:
    paper.manifest(format="raw")
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


def test_a_changed_manifest_is_in_force_at_once(paper: Paper) -> None:
    paper.manifest(format="raw")
    paper.scribe()
    with paper.open("web:1.1@e.out") as out:
        out.write(b"one\n")
        wait_for(lambda: paper.read("web.log") == b"one\n")
        paper.manifest(to=str(paper.log / "other.txt"), format="json")

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
def test_a_disk_that_refuses_writes_stops_no_task(
    paper: Paper, trouble: Callable[[Paper], Any], why: str, fmt: str
) -> None:
    """Dropped output is counted, for the supervisor and, as soon as possible, in the file."""
    paper.manifest(format=fmt)
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
def test_a_full_disk_stops_no_task_and_the_loss_is_reported(paper: Paper, fmt: str) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(paper.log)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        paper.manifest(format=fmt)
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


def test_a_flood_does_not_delay_a_quiet_task(paper: Paper) -> None:
    """While one task writes without end, a line of another task is soon in its file."""
    paper.manifest(format="raw", instances=("web:1", "web:2"))
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


def test_a_reader_of_stdout_that_stops_delays_no_other_output(paper: Paper) -> None:
    """`inherit` writes to the caller's pipe; files go on when it is full."""
    paper.manifest(format="raw", instances=("web:1", "loud:1"), loud={"to": "inherit"})
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
    paper.manifest(format="raw", instances=tuple(keys))
    command = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh", sys.executable]
    paper.scribe(command=command)
    writers: list[Any] = [paper.open(f"{key}.1@e.out") for key in keys]
    for key, writer in zip(keys, writers, strict=True):
        writer.write(f"{key}\n".encode())
    wait_for(lambda: len(paper.logs()) == len(keys))
    for writer in writers:
        writer.close()
    assert paper.process.poll() is None


def test_sigterm_writes_all_output_before_the_end(paper: Paper) -> None:
    paper.manifest(format="raw")
    data = numbered(8_000)
    with paper.open("web:1.1@e.out") as out:
        paper.scribe()
        writer = threading.Thread(target=out.write, args=(data,))
        writer.start()
        writer.join()
        paper.process.send_signal(signal.SIGTERM)
        assert paper.process.wait(30) == 0
    assert paper.read("web.log") == data


def link(paper: Paper, fifo: str, to: str) -> None:
    """As the supervisor does when somebody has removed the name of a FIFO."""
    (paper.output / fifo).symlink_to(f"/proc/{os.getpid()}/fd/{paper._held[to]}")


def test_a_removed_fifo_is_read_through_a_link_once_there_is_a_manifest(paper: Paper) -> None:
    """Somebody removes the runtime directory, twice. A run goes on to write to a FIFO without a name."""
    fifo = "web:1.1@e.out"
    paper.manifest(format="raw")
    with paper.open(fifo) as out:
        paper.scribe()
        out.write(b"before\n")
        wait_for(lambda: paper.read("web.log") == b"before\n")
        for word in (b"first", b"second"):
            shutil.rmtree(paper.run)
            out.write(word + b" removal\n")
            paper.process.send_signal(signal.SIGTERM)
            assert paper.process.wait(30) == 0
            paper.output.mkdir(parents=True, exist_ok=True)
            link(paper, fifo, fifo)
            out.write(word + b" scribe\n")
            paper.scribe()
            wait_for((paper.run / "scribe.ledger").exists)
            paper.manifest(format="raw")
            out.write(word + b" plan\n")
            paper.drained()
    wait_for(lambda: paper.fifos() == [fifo] and paper.read("web.log").count(b"\n") == 7)
    said = [b"%s %s\n" % (word, what) for word in (b"first", b"second") for what in (b"removal", b"scribe", b"plan")]
    assert paper.read("web.log") == b"before\n" + b"".join(said)


def test_a_link_that_leads_astray_is_not_read(paper: Paper) -> None:
    """The supervisor that made it is gone. Its descriptor is one of another process, or of another FIFO."""
    paper.manifest(format="raw", loud={"format": "raw"}, instances=("web:1", "loud:1"))
    with paper.open("loud:1.1@e.out") as other:
        link(paper, "web:1.1@e.out", "loud:1.1@e.out")
        (paper.output / "web:1.2@e.out").symlink_to("/proc/0/fd/1")
        paper.scribe()
        other.write(b"a line\n")
        wait_for(lambda: paper.read("loud.log") == b"a line\n")
    assert paper.logs() == ["loud.log"]


def test_a_scribe_that_starts_before_its_manifest_waits_for_it(paper: Paper) -> None:
    paper.write("web:1.1@e.out", b"early\n").join()
    paper.scribe()
    wait_for((paper.run / "scribe.ledger").exists)
    state = Path(f"/proc/{paper.process.pid}/stat")
    wait_for(lambda: state.read_text().rpartition(") ")[2].startswith("S"), "it has nothing to do")
    assert paper.logs() == []
    paper.manifest(format="raw")
    wait_for(lambda: paper.read("web.log") == b"early\n")
