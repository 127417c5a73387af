"""The parts of the host on the real kernel: errands, inotify, sd_notify, the log."""

import itertools
import os
import resource
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.host import errand, procfs
from supervisor.host.errand import Errands
from supervisor.host.inotify import Watch
from supervisor.host.interface import ConfigTouched, Done
from supervisor.host.log import Log
from supervisor.host.loop import Loop
from supervisor.host.sd_notify import Notifier
from supervisor.runs import proctree

PATIENCE = 15.0


# -- errands ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Loop:
    return Loop()


def outcomes(loop: Loop, count: int) -> list[Done]:
    """The next answers."""
    found: list[Done] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < deadline
        found += [one for one in loop.wait(0.1) if isinstance(one, Done)]
    return found


def reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def fails(kind: type[BaseException], *args: object) -> None:
    raise kind(*args)


def dies(number: int) -> None:
    os.kill(os.getpid(), number)


def hangs() -> None:
    signal.pause()


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("function", "arguments", "value", "error"),
    [
        (max, (1, 2), 2, ""),
        (bytes, (10_000_000,), bytes(10_000_000), ""),
        (fails, (OSError, 2, "No such file", "/x"), None, "No such file: /x"),
        (fails, (ValueError, "odd"), None, "ValueError: odd"),
        (fails, (SystemExit, 3), None, "its process ended without an answer"),
        (dies, (signal.SIGKILL,), None, "its process ended without an answer"),
        (dies, (signal.SIGTERM,), None, "its process ended without an answer"),
        (compile, ("lambda: 0", "", "eval"), None, "its process ended without an answer"),
    ],
    ids=["value", "large", "OSError", "ValueError", "exit", "SIGKILL", "SIGTERM", "not to be pickled"],
)
def test_how_an_errand_ends(
    loop: Loop, function: Callable[..., object], arguments: tuple[object, ...], value: object, error: str
) -> None:
    number = Errands(loop).run(0.0, function, *arguments)
    assert outcomes(loop, 1) == [Done(number, value, error)]
    reap()


def test_many_errands_at_once(loop: Loop) -> None:
    errands = Errands(loop)
    numbers = {errands.run(0.0, abs, -n): n for n in range(20)}
    assert {done.errand: done.value for done in outcomes(loop, 20)} == numbers
    assert errands.next_deadline() is None
    reap()


def test_an_errand_that_hangs_is_ended_when_its_time_is_over(loop: Loop) -> None:
    errands = Errands(loop)
    number = errands.run(100.0, hangs)
    assert errands.next_deadline() == 100.0 + errand.TIME_LIMIT
    assert errands.due(100.0 + errand.TIME_LIMIT - 0.1) == []
    assert errands.due(100.0 + errand.TIME_LIMIT) == [Done(number, None, "took longer than 60 s")]
    assert os.WTERMSIG(os.wait()[1]) == signal.SIGKILL
    assert errands.next_deadline() is None


def test_an_errand_holds_no_descriptor_of_ours(loop: Loop) -> None:
    with open(os.devnull), socket.socket() as ours:
        os.set_inheritable(ours.fileno(), True)
        Errands(loop).run(0.0, descriptors)
        assert set(outcomes(loop, 1)[0].value) <= {"0", "1", "2", "3", "4"}  # 4: the listing itself
    reap()


def test_without_a_process_the_errand_has_failed(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    errands = Errands(loop)
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", refuses)
    number = errands.run(0.0, abs, 1)
    assert errands.next_deadline() == 0.0
    assert errands.due(0.0) == [Done(number, None, "cannot fork: Resource temporarily unavailable")]
    assert len(os.listdir("/proc/self/fd")) == before


# -- inotify ----------------------------------------------------------------------------------------------------------


def told(watch: Watch) -> bool:
    """Whether it has something to tell; inotify queues before the system call that caused it returns."""
    return bool(select.select([watch.fd], [], [], 0)[0]) and watch.concerned()


@pytest.mark.parametrize(
    ("change", "tells"),
    [
        (lambda d: (d / "a.toml").write_text("x"), True),
        (lambda d: (d / "new").rename(d / "a.toml"), True),
        (lambda d: (d / "a.toml").rename(d / "a.toml~"), True),
        (lambda d: (d / "a.toml").unlink(), True),
        (lambda d: (d / "b.toml").write_text("x"), False),
        (lambda d: (d / "tasks.d" / "x.toml").write_text("x"), True),
        (lambda d: (d / "tasks.d" / "x.toml.swp").write_text("x"), False),
        (lambda d: (d / "tasks.d" / "sub").mkdir(), False),
        (lambda d: (d / "a.toml").read_text(), False),
        (lambda d: (d / "a.toml").chmod(0o600), False),
    ],
)
def test_which_changes_are_reported(tmp_path: Path, change: Callable[[Path], object], tells: bool) -> None:
    (tmp_path / "tasks.d").mkdir()
    for name in ("a.toml", "new"):
        (tmp_path / name).write_text("old")
    watch = Watch()
    assert watch.set(((str(tmp_path), "a.toml"), (str(tmp_path / "tasks.d"), "*.toml"))) == []
    change(tmp_path)
    assert told(watch) is tells
    assert not told(watch)
    os.close(watch.fd)


def test_a_file_is_reported_when_its_writer_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old")
    watch = Watch()
    watch.set(((str(tmp_path), "a.toml"),))
    with path.open("w") as file:
        assert not told(watch)
        file.write("half")
        file.flush()
        assert not told(watch)
    assert told(watch)
    os.close(watch.fd)


def test_other_places_and_missing_ones(tmp_path: Path) -> None:
    watch = Watch()
    missing = str(tmp_path / "missing")
    assert watch.set(((str(tmp_path), "a"), (missing, "*"))) == [missing]
    (tmp_path / "missing").mkdir()
    assert watch.set(((missing, "*"),)) == []
    (tmp_path / "a").write_text("no longer of interest")
    assert not told(watch)
    (tmp_path / "missing" / "b").write_text("of interest")
    assert told(watch)
    os.close(watch.fd)


def test_a_replaced_directory_is_reported_and_watched_again(tmp_path: Path) -> None:
    """As deployments do. The file in the new directory counts from then on."""
    place = tmp_path / "etc"
    place.mkdir()
    watch = Watch()
    watch.set(((str(place), "a"),))
    place.rename(tmp_path / "old")
    place.mkdir()
    assert told(watch)
    assert watch.set(((str(place), "a"),)) == []
    (place / "a").write_text("of interest")
    assert told(watch)
    (tmp_path / "old" / "a").write_text("no longer of interest")
    assert not told(watch)
    os.close(watch.fd)


def test_a_new_link_is_reported_at_once_and_a_new_file_when_written(tmp_path: Path) -> None:
    watch = Watch()
    watch.set(((str(tmp_path), "a"), (str(tmp_path), "b")))
    (tmp_path / "a").symlink_to("elsewhere")
    assert told(watch)
    with (tmp_path / "b").open("w") as file:
        assert not told(watch), "it is empty: that would be a thaw"
        file.write("x")
    assert told(watch)
    os.close(watch.fd)


def test_two_paths_to_one_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    watch = Watch()
    watch.set(((str(tmp_path / "link"), "a"), (str(tmp_path / "real"), "b")))
    for name in ("a", "b"):
        (tmp_path / "real" / name).write_text("of interest")
        assert told(watch), name
    os.close(watch.fd)


# -- sd_notify --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_gets_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        notifier = Notifier()
        notifier.send("READY=1", "STATUS=grün")
        assert manager.recv(1000).decode() == "READY=1\nSTATUS=grün"
        for _ in range(100_000):  # a manager that does not read: nothing blocks, nothing raises
            notifier.send("WATCHDOG=1")
            if not select.select([], [manager], [], 0)[1]:
                break
    notifier.send("STATUS=nobody there")
    assert notifier._socket
    notifier._socket.close()


def test_a_message_that_could_not_be_sent_is_sent_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 must not be lost at a full socket: `systemctl start` would wait for ever."""
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notifier = Notifier()
        while not notifier.late:
            notifier.send("STATUS=much")
        notifier.send("READY=1")
        while manager.recv(1000) != b"READY=1":
            notifier.again()
        assert not notifier.late
        assert notifier._socket
        notifier._socket.close()


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.send("READY=1")
    assert (notifier.late, notifier.next_deadline()) == (False, None)


@pytest.mark.parametrize(
    ("micros", "pid", "seconds"),
    [
        ("30000000", None, 15.0),
        ("30000000", "mine", 15.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("", None, None),
        ("-5", None, None),
        ("x", None, None),
        (None, None, None),
    ],
)
def test_how_often_the_watchdog_is_fed(
    monkeypatch: pytest.MonkeyPatch, micros: str | None, pid: str | None, seconds: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", micros), ("WATCHDOG_PID", str(os.getpid()) if pid == "mine" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert Notifier.watchdog() == seconds


# -- the chase --------------------------------------------------------------------------------------------------------


class Clock:
    """In place of the module `time`: each look at it takes a tenth of a second."""

    def __init__(self) -> None:
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        assert self.looks < 1000, "it goes on for ever"
        return self.looks / 10


@pytest.mark.parametrize("endless", ["_stop_marked", "find"])
def test_a_chase_has_an_end(monkeypatch: pytest.MonkeyPatch, endless: str) -> None:
    """Processes fork for ever, from the first pass on or later: the remaining ones are then reported."""
    births, looks = itertools.count(1), iter(range(1000))
    monkeypatch.setattr(proctree, "time", Clock())
    monkeypatch.setattr(proctree, "_stop_marked", lambda *_: endless == "_stop_marked" and next(looks) >= 0)
    monkeypatch.setattr(proctree, "_send", lambda *_: True)
    monkeypatch.setattr(proctree, "_wait", lambda *_: None)
    monkeypatch.setattr(proctree, "find", lambda _: [procfs.Stat(7, "bomb", "R", 1, 7, 7, next(births))])
    assert proctree.chase(proctree.Family(77, 7), 6).left == ("bomb (pid 7)",)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user than what it chases")
def test_a_process_that_may_not_be_signalled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set-user-ID program under a supervisor without root; here a process of root."""
    monkeypatch.setattr(proctree, "DYING", 0.0)
    beyond = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):  # it must never run on as a second pytest
            os.setgroups([])
            os.setresuid(65534, 65534, 65534)
            os.write(theirs, repr(proctree.chase(proctree.Family(77, beyond.pid), 0).left).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours) as file:
        told = file.read()
    os.waitpid(child, 0)
    lives = beyond.poll() is None
    beyond.kill()
    beyond.wait()
    assert lives
    assert told == repr((f"sleep (pid {beyond.pid})", "not permitted to signal 1 of them"))


# -- the log ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            continue


def test_the_log_has_levels_and_single_lines(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    log = Log(pipe[1], "warning")
    for level in ("debug", "info", "warning", "error"):
        log.write(level, f"{level}\nsecond line \udcff")
    lines = os.read(pipe[0], 65536).decode().splitlines()
    assert [line.partition("Z ")[2] for line in lines] == [
        "warning: warning second line \\xff",
        "error: error second line \\xff",
    ]


def test_under_the_journal_lines_begin_with_their_priority(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    log = Log(pipe[1], "debug")
    for level in ("debug", "info", "warning", "error"):
        log.write(level, "text")
    assert os.read(pipe[0], 65536) == b"<7>text\n<6>text\n<4>text\n<3>text\n"


def test_a_full_pipe_never_blocks_and_what_was_dropped_is_counted(pipe: tuple[int, int]) -> None:
    log = Log(pipe[1])
    written = 0
    while select.select([], [pipe[1]], [], 0)[1]:
        log.write("info", "x" * 10_000)
        written += 1
    for _ in range(7):
        log.write("info", "dropped")
    os.set_blocking(pipe[0], False)
    text = b""
    for _ in range(written):
        text += os.read(pipe[0], 4096)
    log.write("info", "again")
    text += os.read(pipe[0], 1 << 20)
    assert max(map(len, text.splitlines())) <= 4096
    assert b"7 lines of this log were dropped: stderr was full" in text
    assert text.endswith(b"info: again\n")


def test_nobody_reads_the_log_any_more(pipe: tuple[int, int]) -> None:
    old = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    log = Log(pipe[1])
    os.close(pipe[0])
    log.write("error", "nobody")
    signal.signal(signal.SIGPIPE, old)
    assert log._dropped == 1


# -- the loop ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.0, 30 * 86400.0, 1e12])
def test_no_sleep_is_too_long(timeout: float) -> None:
    """epoll takes at most 24.8 days; a freeze may last for years."""
    loop = Loop()
    read, write = os.pipe()
    os.write(write, b"x")
    loop.watch(read, lambda _: [ConfigTouched()])
    assert loop.wait(timeout) == [ConfigTouched()]
    loop.unwatch(read)
    os.close(read)
    os.close(write)


def test_a_loop_whose_number_is_too_large_for_select() -> None:
    """A service manager passes the kept descriptors of a thousand runs, all before the first descriptor of ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("too few descriptors are permitted here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    kept: list[int] = []
    try:
        while not kept or kept[-1] < 1024:
            kept.append(os.open(os.devnull, os.O_RDONLY))
        loop = Loop()
        assert loop._epoll.fileno() > 1023
        assert loop.wait(0.001) == []
        loop._epoll.close()
    finally:
        for fd in kept:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
