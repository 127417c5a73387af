"""FIFOs of tasks and who holds them, on the real kernel."""

import os
import resource
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from supervisor.host import fifo
from supervisor.host import keeper as keeper_module
from supervisor.host.fifo import NOW_AND_THEN, ROOM, SPARE, Fifos, _runs
from supervisor.host.keeper import MANY, Keeper, _receive

PATIENCE = 15.0


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """As the spawner has it."""
    made = Keeper()
    yield made
    made._ours.close()
    made.theirs.close()


def pair(folder: Path, number: int, key: str = "web:1") -> tuple[str, ...]:
    return tuple(f"{folder}/output/{key}.{number}@e.{stream}" for stream in ("out", "err"))


def unexpected(level: str, text: str) -> None:
    raise AssertionError(f"{level}: {text}")


def test_what_is_in_a_fifo_outlives_its_writer_and_its_reader(tmp_path: Path, keeper: Keeper) -> None:
    fifos = Fifos(keeper, unexpected)
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


def test_the_next_supervisor_holds_what_the_last_one_held(tmp_path: Path, keeper: Keeper) -> None:
    before, after = Fifos(keeper, unexpected), Fifos(keeper, unexpected)
    before.make("web:1", pair(tmp_path, 1))
    say(pair(tmp_path, 1)[1], b"last words\n")
    after.take_over(f"{tmp_path}/output")
    close_all(before)
    assert heard(pair(tmp_path, 1)[1]) == b"last words\n"


def close_all(fifos: Fifos) -> None:
    for held in fifos._held.values():
        for fds in held.values():
            for fd in fds:
                os.close(fd)


def test_what_the_scribe_has_removed_is_let_go(tmp_path: Path, keeper: Keeper) -> None:
    fifos, open_before = Fifos(keeper, unexpected), len(os.listdir("/proc/self/fd"))
    for number in range(1, 30):
        fifos.make("web:1", pair(tmp_path, number))
        for path in pair(tmp_path, number):
            os.unlink(path)
    assert len(os.listdir("/proc/self/fd")) == open_before + 2
    fifos.sweep(["web:1"])
    assert len(os.listdir("/proc/self/fd")) == open_before + 2, "an instance that is there does it at its next start"
    fifos.sweep([])
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_old_ones_that_somebody_still_writes_to_keep_no_later_ones(tmp_path: Path, keeper: Keeper) -> None:
    """Whoever has left a run, by root's hand say, and goes on writing: the scribe waits for his end."""
    fifos, open_before = Fifos(keeper, unexpected), len(os.listdir("/proc/self/fd"))
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


def test_each_run_of_a_crash_loop_without_a_scribe_has_its_own(tmp_path: Path, keeper: Keeper) -> None:
    """So its last line, without a newline, does not go on with the first one of the next run."""
    fifos = Fifos(keeper, unexpected)
    for number in range(1, 101):
        assert fifos.make("web:1", pair(tmp_path, number)) == pair(tmp_path, number)
        say(pair(tmp_path, number)[0], b"last words of %d" % number)
    for number in range(1, 101):
        assert heard(pair(tmp_path, number)[0]) == b"last words of %d" % number
    close_all(fifos)


def test_a_crash_loop_without_a_scribe_has_a_bound(tmp_path: Path, keeper: Keeper, room: int) -> None:
    fifos, open_before = Fifos(keeper, unexpected), len(os.listdir("/proc/self/fd"))
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


def test_few_descriptors_are_a_bound_as_well(tmp_path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    fifos = Fifos(keeper, unexpected)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (160, 160))
    given = [fifos.make("web:1", pair(tmp_path, number)) for number in range(1, 101)]
    assert len(set(given)) == SPARE + 160 // 8
    close_all(fifos)


def test_what_is_held_is_held_by_nobody_and_bounded(tmp_path: Path, keeper: Keeper) -> None:
    """Of a thousand starts only the last is held, and some that are not taken back yet; and what it says is there."""
    fifos = Fifos(keeper, unexpected)
    for number in range(1, 1001):
        fifos.make("web:1", pair(tmp_path, number))
        if number < 1000:
            for path in pair(tmp_path, number):
                os.unlink(path)
    say(pair(tmp_path, 1000)[0], b"last words\n")
    close_all(fifos)
    assert heard(pair(tmp_path, 1000)[0]) == b"last words\n"
    messages = list(iter(lambda: _receive(keeper.theirs), None))
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
def test_there_is_room_for_a_thousand_runs(tmp_path: Path, keeper: Keeper) -> None:
    fifos = Fifos(keeper, unexpected)
    runs = [pair(tmp_path, 1, f"web:{index}") for index in range(1, 1001)]
    for index, run in enumerate(runs):
        assert fifos.make(f"web:{index + 1}", run) == run
        say(run[1], b"last words\n")
    close_all(fifos)
    assert all(heard(run[1]) == b"last words\n" for run in runs)


@pytest.mark.usefixtures("many_files")
def test_there_is_room_for_a_storm_of_crashes_that_nobody_reads(tmp_path: Path, keeper: Keeper) -> None:
    fifos = Fifos(keeper, unexpected)
    room = min(ROOM, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
    for number in range(1, 3 * SPARE):
        for index in range(1, 200):
            given = fifos.make(f"web:{index}", pair(tmp_path, number, f"web:{index}"))
    say(given[0], b"last words\n")
    close_all(fifos)
    assert heard(given[0]) == b"last words\n"
    assert len(os.listdir(tmp_path / "output")) == 2 * (199 * SPARE + room)


def test_no_start_fails_when_there_is_no_room(tmp_path: Path, keeper: Keeper) -> None:
    """That is told once; and when there is some again, all is held."""
    keeper._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    said: list[str] = []
    fifos = Fifos(keeper, lambda level, text: said.append(f"{level}: {text}"))
    runs = [pair(tmp_path, 1, f"web:{index}") for index in range(1, 101)]
    for index, run in enumerate(runs):
        assert fifos.make(f"web:{index + 1}", run) == run
    assert said == [
        "warning: a crash of the supervisor may lose what a task says then: Resource temporarily unavailable"
    ]
    keeper._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    fifos.make("web:0", pair(tmp_path, 1, "web:0"))
    for run in runs:
        say(run[0], b"last words\n")
    close_all(fifos)
    assert all(heard(run[0]) == b"last words\n" for run in runs)


def test_what_was_made_for_a_start_that_failed_is_removed(tmp_path: Path, keeper: Keeper) -> None:
    fifos, ours = Fifos(keeper, unexpected), pair(tmp_path, 1)
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


def test_what_could_not_be_taken_over_is_taken_over_the_next_time(tmp_path: Path, keeper: Keeper) -> None:
    before, after = Fifos(keeper, unexpected), Fifos(keeper, unexpected)
    before.make("web:1", pair(tmp_path, 1))
    (tmp_path / "keeper.new").mkdir()
    with pytest.raises(IsADirectoryError):
        after.take_over(f"{tmp_path}/output")
    open_before = len(os.listdir("/proc/self/fd"))
    (tmp_path / "keeper.new").rmdir()
    for _ in range(2):
        after.take_over(f"{tmp_path}/output")
    assert (tmp_path / "keeper").read_text().split()[0] == str(os.getpid())
    assert len(os.listdir("/proc/self/fd")) == open_before
    close_all(before)
    close_all(after)


def test_runs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """The older one may have written last; which epoch is older only their files can tell."""
    (tmp_path / "output").mkdir()
    names = ["web:1.9@old.out", "web:1.10@old.out", "web:1.1@new.out", "web:1.2@new.out"]
    for name, moment in zip(names, (3, 2, 5, 4), strict=True):
        os.mkfifo(tmp_path / "output" / name)
        os.utime(tmp_path / "output" / name, (moment, moment))
    assert [os.path.basename(run[0]) for run in _runs(f"{tmp_path}/output")] == names


# -- without a parent -------------------------------------------------------------------------------------------------


@contextmanager
def staying(kept: Keeper, parent: str = "") -> Iterator[int]:
    """A spawner that stays, as its parent is gone. It never looks again by itself."""
    pid = os.fork()
    if pid == 0:
        keeper_module.LOOK_FIRST = 1000.0
        kept._ours.close()
        keeper_module.stay(kept.theirs, parent)
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


def test_who_stays_sees_a_successor_at_once(tmp_path: Path, keeper: Keeper) -> None:
    """A living one: the file of one that is gone, or whose pid is another's now, says nothing."""
    fifos = Fifos(keeper, unexpected)
    fifos.make("web:1", pair(tmp_path, 1))
    say(pair(tmp_path, 1)[0], b"last words\n")
    (tmp_path / "keeper").write_text(f"{os.getpid()} 1")
    with staying(keeper) as pid:
        assert not ended(pid, 0.3)
        keeper.in_charge(str(tmp_path))
        assert ended(pid, PATIENCE)
    close_all(fifos)


def test_a_parent_that_is_still_dying_is_no_successor(tmp_path: Path, keeper: Keeper) -> None:
    """The kernel closes what it had open before it is a zombie."""
    fifos = Fifos(keeper, unexpected)
    fifos.make("web:1", pair(tmp_path, 1))
    say(pair(tmp_path, 1)[0], b"last words\n")
    keeper.in_charge(str(tmp_path))
    with staying(keeper, keeper_module.identity(os.getpid())) as pid:
        assert not ended(pid, 0.3)
    close_all(fifos)


def test_who_stays_goes_when_there_is_nothing_to_hold(tmp_path: Path, keeper: Keeper) -> None:
    fifos = Fifos(keeper, unexpected)
    fifos.make("web:1", pair(tmp_path, 1))
    close_all(fifos)
    keeper._ours.close()
    with staying(keeper) as pid:
        assert ended(pid, PATIENCE)
