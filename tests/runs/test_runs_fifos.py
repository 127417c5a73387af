"""FIFOs of tasks and the processes that hold them, on the real kernel."""

import os
import resource
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from supervisor.runs import fifos as fifo
from supervisor.runs.fifos import NOW_AND_THEN, ROOM, SPARE, Fifos, _runs
from supervisor.spawn import fd_holder
from supervisor.spawn.fd_holder import MANY, FdHolder, _receive

PATIENCE = 15.0


@pytest.fixture
def holder() -> Iterator[FdHolder]:
    """As the spawner has it."""
    made = FdHolder()
    yield made
    made._ours.close()
    made.theirs.close()


def pair(folder: Path, number: int, key: str = "web:1") -> tuple[str, ...]:
    return tuple(f"{folder}/output/{key}.{number}@e.{stream}" for stream in ("out", "err"))


def unexpected(level: str, text: str) -> None:
    raise AssertionError(f"{level}: {text}")


def test_data_in_a_fifo_outlives_its_writer_and_its_reader(tmp_path: Path, holder: FdHolder) -> None:
    fifos = Fifos(holder, unexpected)
    assert fifos.make("web:1", pair(tmp_path, 1)) == pair(tmp_path, 1)
    assert sorted(os.listdir(tmp_path / "output")) == ["web:1.1@e.err", "web:1.1@e.out"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "output").iterdir()} == {0o600}
    say(pair(tmp_path, 1)[0], b"last words\n")
    assert heard(pair(tmp_path, 1)[0]) == b"last words\n"
    with pytest.raises(OSError, match="Not a directory"):
        fifos.make("web:1", (f"{tmp_path}/output/web:1.1@e.out/x",))


def say(path: str, data: bytes) -> None:
    writer = os.open(path, os.O_RDWR)
    os.write(writer, data)
    os.close(writer)


def heard(path: str) -> bytes:
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    data = os.read(reader, 100)
    os.close(reader)
    return data


def test_the_next_supervisor_holds_the_fifos_of_the_last_one(tmp_path: Path, holder: FdHolder) -> None:
    before, after = Fifos(holder, unexpected), Fifos(holder, unexpected)
    before.make("web:1", pair(tmp_path, 1))
    say(pair(tmp_path, 1)[1], b"last words\n")
    after.take_over(f"{tmp_path}/output")
    close_all(before)
    assert heard(pair(tmp_path, 1)[1]) == b"last words\n"


@pytest.mark.parametrize("how", ["the directory", "its names"])
def test_what_somebody_has_removed_gets_a_name_again(tmp_path: Path, holder: FdHolder, how: str) -> None:
    fifos = Fifos(holder, unexpected)
    old, new = (fifos.make("web:1", pair(tmp_path, number)) for number in (1, 2))
    fifos.sweep(["web:1"])
    assert fifos.is_there()
    for path in old:
        os.unlink(path)
    assert fifos.is_there(), "the scribe has read them"
    writer = os.open(new[0], os.O_RDWR)
    if how == "the directory":
        shutil.rmtree(tmp_path / "output")
    else:
        for path in new:
            os.unlink(path)
    assert not fifos.is_there()
    fifos.renew()
    assert fifos.is_there()
    os.write(writer, b"later words\n")
    assert heard(new[0]) == b"later words\n"
    os.close(writer)
    close_all(fifos)


def test_the_next_supervisor_finds_what_has_no_name_at_the_task(tmp_path: Path, holder: FdHolder) -> None:
    """Also if the first one has left a link, and its descriptor is now another one."""
    before, after = Fifos(holder, unexpected), Fifos(holder, unexpected)
    out, err = before.make("web:1", pair(tmp_path, 1))
    with open(out, "r+b", buffering=0) as one, open(err, "r+b", buffering=0) as two:
        task = subprocess.Popen(
            ["sh", "-c", "read word; echo $word; exec sleep 1000"], stdin=-1, stdout=one, stderr=two
        )
    shutil.rmtree(tmp_path / "output")
    before.renew()
    close_all(before)
    stranger = os.open(os.devnull, os.O_RDONLY)
    after.find(out.removesuffix(".out"), task.pid)
    after.take_over(f"{tmp_path}/output")
    after.sweep(["web:1"])
    assert after.is_there()
    assert task.stdin
    task.stdin.write(b"words\n")
    task.stdin.close()
    assert select.select([after._held["web:1"][out, err][0]], [], [], 30)[0]
    task.kill()
    task.wait()
    assert heard(out) == b"words\n"
    os.close(stranger)
    close_all(after)


def test_a_link_of_an_earlier_supervisor_that_leads_astray_is_removed(tmp_path: Path, holder: FdHolder) -> None:
    after = Fifos(holder, unexpected)
    (tmp_path / "output").mkdir()
    path = tmp_path / "output" / "web:1.1@e.out"
    os.mkfifo(tmp_path / "other")
    other = os.open(tmp_path / "other", os.O_RDWR)
    path.symlink_to(f"/proc/{os.getpid()}/fd/{other}")
    after.take_over(f"{tmp_path}/output")
    assert not path.is_symlink()
    assert not after._held
    os.close(other)


def close_all(fifos: Fifos) -> None:
    for held in fifos._held.values():
        for fds in held.values():
            for fd in fds:
                os.close(fd)


def test_a_fifo_that_scribe_removed_is_closed(tmp_path: Path, holder: FdHolder) -> None:
    fifos, open_before = Fifos(holder, unexpected), len(os.listdir("/proc/self/fd"))
    for number in range(1, 30):
        fifos.make("web:1", pair(tmp_path, number))
        for path in pair(tmp_path, number):
            os.unlink(path)
    assert len(os.listdir("/proc/self/fd")) == open_before + 2
    fifos.sweep(["web:1"])
    assert len(os.listdir("/proc/self/fd")) == open_before + 2, "an instance that is there does it at its next start"
    fifos.sweep([])
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_an_old_fifo_with_a_writer_does_not_keep_later_ones(tmp_path: Path, holder: FdHolder) -> None:
    """A process that left its run, by root's hand for example, still writes: @scribe waits for its end."""
    fifos, open_before = Fifos(holder, unexpected), len(os.listdir("/proc/self/fd"))
    for number in range(1, 300):
        fifos.make("web:1", pair(tmp_path, number))
        if number > 2 * SPARE:
            for path in pair(tmp_path, number):
                os.unlink(path)
    assert len(os.listdir("/proc/self/fd")) - open_before < 2 * (2 * SPARE + 2 * NOW_AND_THEN)
    close_all(fifos)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> int:
    """For so many runs beyond those that each instance may have."""
    monkeypatch.setattr(fifo, "ROOM", 20)
    return 20


def test_each_run_of_a_crash_loop_without_scribe_has_its_own_fifo(tmp_path: Path, holder: FdHolder) -> None:
    """So its last line, without a newline, is not continued by the first line of the next run."""
    fifos = Fifos(holder, unexpected)
    for number in range(1, 101):
        assert fifos.make("web:1", pair(tmp_path, number)) == pair(tmp_path, number)
        say(pair(tmp_path, number)[0], b"last words of %d" % number)
    for number in range(1, 101):
        assert heard(pair(tmp_path, number)[0]) == b"last words of %d" % number
    close_all(fifos)


def test_a_crash_loop_without_a_scribe_has_a_bound(tmp_path: Path, holder: FdHolder, room: int) -> None:
    fifos, open_before = Fifos(holder, unexpected), len(os.listdir("/proc/self/fd"))
    most = SPARE + room
    given = [fifos.make("web:1", pair(tmp_path, number)) for number in range(1, 101)]
    assert given[most - 1 :] == [pair(tmp_path, most)] * (101 - most)
    assert len(os.listdir("/proc/self/fd")) == open_before + 2 * most
    given = [fifos.make("web:2", pair(tmp_path, number, "web:2")) for number in range(1, 101)]
    assert len(set(given)) == SPARE, "one that takes all the room takes nothing from the others"
    for number in range(1, 3):
        for path in pair(tmp_path, number):
            os.unlink(path)
    assert fifos.make("web:1", pair(tmp_path, 101)) == pair(tmp_path, 101)
    close_all(fifos)


def test_few_descriptors_bound_the_fifos_too(tmp_path: Path, holder: FdHolder, monkeypatch: pytest.MonkeyPatch) -> None:
    fifos = Fifos(holder, unexpected)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (160, 160))
    given = [fifos.make("web:1", pair(tmp_path, number)) for number in range(1, 101)]
    assert len(set(given)) == SPARE + 160 // 8
    close_all(fifos)


def test_held_fifos_are_bounded(tmp_path: Path, holder: FdHolder) -> None:
    """Of a thousand starts only the last one is held, and a few not taken back yet. Their output is there."""
    fifos = Fifos(holder, unexpected)
    for number in range(1, 1001):
        fifos.make("web:1", pair(tmp_path, number))
        if number < 1000:
            for path in pair(tmp_path, number):
                os.unlink(path)
    say(pair(tmp_path, 1000)[0], b"last words\n")
    close_all(fifos)
    assert heard(pair(tmp_path, 1000)[0]) == b"last words\n"
    messages = list(iter(lambda: _receive(holder.theirs), None))
    assert len(messages) <= MANY + 1
    for fd in [fd for message in messages for fd in message]:
        os.close(fd)


@pytest.fixture
def many_files() -> Iterator[None]:
    """As the parent has them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_there_is_room_for_a_thousand_runs(tmp_path: Path, holder: FdHolder) -> None:
    fifos = Fifos(holder, unexpected)
    runs = [pair(tmp_path, 1, f"web:{index}") for index in range(1, 1001)]
    for index, run in enumerate(runs):
        assert fifos.make(f"web:{index + 1}", run) == run
        say(run[1], b"last words\n")
    close_all(fifos)
    assert all(heard(run[1]) == b"last words\n" for run in runs)


@pytest.mark.usefixtures("many_files")
def test_there_is_room_for_a_crash_storm_without_a_reader(tmp_path: Path, holder: FdHolder) -> None:
    fifos = Fifos(holder, unexpected)
    room = min(ROOM, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
    for number in range(1, 3 * SPARE):
        for index in range(1, 200):
            given = fifos.make(f"web:{index}", pair(tmp_path, number, f"web:{index}"))
    say(given[0], b"last words\n")
    close_all(fifos)
    assert heard(given[0]) == b"last words\n"
    assert len(os.listdir(tmp_path / "output")) == 2 * (199 * SPARE + room)


def test_no_start_fails_when_there_is_no_room(tmp_path: Path, holder: FdHolder) -> None:
    """It is reported once. When there is room again, all FIFOs are held."""
    holder._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    said: list[str] = []
    fifos = Fifos(holder, lambda level, text: said.append(f"{level}: {text}"))
    runs = [pair(tmp_path, 1, f"web:{index}") for index in range(1, 101)]
    for index, run in enumerate(runs):
        assert fifos.make(f"web:{index + 1}", run) == run
    assert said == ["warning: a crash of the supervisor may lose output of tasks: Resource temporarily unavailable"]
    holder._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    fifos.make("web:0", pair(tmp_path, 1, "web:0"))
    for run in runs:
        say(run[0], b"last words\n")
    close_all(fifos)
    assert all(heard(run[0]) == b"last words\n" for run in runs)


def test_the_fifo_of_a_failed_start_is_removed(tmp_path: Path, holder: FdHolder) -> None:
    fifos, ours = Fifos(holder, unexpected), pair(tmp_path, 1)
    with pytest.raises(OSError, match="too long"):
        fifos.make("web:1", (ours[0], ours[1] + "x" * 300))
    with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        fifos.make("web:1", ours)
    assert os.listdir(tmp_path / "output") == []


@contextmanager
def no_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_fifo_that_could_not_be_taken_over_is_taken_over_later(tmp_path: Path, holder: FdHolder) -> None:
    before, after = Fifos(holder, unexpected), Fifos(holder, unexpected)
    before.make("web:1", pair(tmp_path, 1))
    (tmp_path / "fd_holder.new").mkdir()
    with pytest.raises(IsADirectoryError):
        after.take_over(f"{tmp_path}/output")
    open_before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "fd_holder.new").rmdir()
    for _ in range(2):
        after.take_over(f"{tmp_path}/output")
    assert (tmp_path / "fd_holder").read_text().split()[0] == str(os.getpid())
    assert len(os.listdir("/proc/self/fd")) == open_before
    close_all(before)
    close_all(after)


def test_runs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """The older run may have written last. Which epoch is older can be read only from the files."""
    (tmp_path / "output").mkdir()
    names = ["web:1.9@old.out", "web:1.10@old.out", "web:1.1@new.out", "web:1.2@new.out"]
    for name, moment in zip(names, (3, 2, 5, 4), strict=True):
        os.mkfifo(tmp_path / "output" / name)
        os.utime(tmp_path / "output" / name, (moment, moment))
    assert [os.path.basename(run[0]) for run in _runs(f"{tmp_path}/output")] == names


# -- without a parent -------------------------------------------------------------------------------------------------


@contextmanager
def staying(kept: FdHolder, parent: str = "") -> Iterator[int]:
    """A spawner that stays, as its parent is gone. It never looks again by itself."""
    pid = os.fork()
    if pid == 0:
        fd_holder.LOOK_FIRST = 1000.0
        kept._ours.close()
        fd_holder.stay(kept.theirs, parent)
        os._exit(7)
    yield pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def ended(pid: int, within: float) -> bool:
    pidfd = os.pidfd_open(pid)
    found = bool(select.select([pidfd], [], [], within)[0])
    os.close(pidfd)
    return found


def test_a_spawner_that_stays_notices_a_successor_at_once(tmp_path: Path, holder: FdHolder) -> None:
    """A living one: a file of a dead supervisor, or one whose pid was reused, does not count."""
    fifos = Fifos(holder, unexpected)
    fifos.make("web:1", pair(tmp_path, 1))
    say(pair(tmp_path, 1)[0], b"last words\n")
    (tmp_path / "fd_holder").write_text(f"{os.getpid()} 1")
    with staying(holder) as pid:
        assert not ended(pid, 0.3)
        holder.in_charge(str(tmp_path))
        assert ended(pid, PATIENCE)
    close_all(fifos)


def test_a_parent_that_is_still_dying_is_no_successor(tmp_path: Path, holder: FdHolder) -> None:
    """The kernel closes its descriptors before it becomes a zombie."""
    fifos = Fifos(holder, unexpected)
    fifos.make("web:1", pair(tmp_path, 1))
    say(pair(tmp_path, 1)[0], b"last words\n")
    holder.in_charge(str(tmp_path))
    with staying(holder, fd_holder.identity(os.getpid())) as pid:
        assert not ended(pid, 0.3)
    close_all(fifos)


def test_a_spawner_that_stays_ends_when_there_is_nothing_to_hold(tmp_path: Path, holder: FdHolder) -> None:
    fifos = Fifos(holder, unexpected)
    fifos.make("web:1", pair(tmp_path, 1))
    close_all(fifos)
    holder._ours.close()
    with staying(holder) as pid:
        assert ended(pid, PATIENCE)
