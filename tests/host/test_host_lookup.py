"""Look-ups without a free descriptor, and retries after an error."""

import errno
import itertools
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor.host import clock, lookup, mark, procfs
from supervisor.host.cgroup import Cgroup
from supervisor.host.interface import ConfigTouched
from supervisor.host.loop import Loop
from supervisor.host.retry import FIRST, LAST, Retries


@contextmanager
def at_most(files: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def reserve(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The spare descriptors, and all others are taken."""
    monkeypatch.setattr(lookup, "_spare", [])
    monkeypatch.setattr(lookup, "_owner", os.getpid())
    lookup.fill()
    taken = [os.open(os.devnull, os.O_RDONLY)]
    with at_most(max(map(int, os.listdir("/proc/self/fd"))) + 1):
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    for fd in [*taken, *lookup._spare]:
        os.close(fd)


LOOKS = [
    lambda: procfs.stat(os.getpid()).alive,
    procfs.pids,
    lambda: procfs.environment(os.getpid()),
    lambda: procfs.writes_to(os.getpid()),
    lambda: mark.of(os.getpid()) or True,
    lambda: Cgroup("/proc/self/nowhere").alive() is False,
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_up_uses_a_descriptor_of_the_reserve(reserve: None, look) -> None:
    with pytest.raises(OSError, match="Too many open files"):
        os.open("/proc/self/stat", os.O_RDONLY)
    assert look()
    assert len(lookup._spare) == lookup.SPARE, "it is whole again"


@pytest.mark.parametrize("look", LOOKS)
def test_without_a_descriptor_nothing_is_reported(look) -> None:
    with at_most(3), pytest.raises(OSError, match="Too many open files"):
        look()


def test_a_child_has_no_reserve(reserve: None) -> None:
    """It may have closed these numbers, and opened other files with them."""
    pid = os.fork()
    if pid == 0:
        os._exit(int(lookup._release()))
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM, errno.EACCES, errno.EMFILE])
def test_a_cgroup_is_gone_only_when_the_kernel_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    assert Cgroup(str(tmp_path / "gone")).alive() is False
    monkeypatch.setattr("supervisor.host.cgroup._content", refused)
    with pytest.raises(OSError, match=os.strerror(number)):
        Cgroup(str(tmp_path)).alive()


class Clock:
    """Turned by the test."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        patched.setattr(clock, "now", lambda: self.now)


def test_a_failed_attempt_is_repeated_with_back_off_and_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    time, said, tries = Clock(monkeypatch), [], []
    retries = Retries(lambda level, text: said.append(text))

    def attempt() -> list[ConfigTouched]:
        tries.append(time.now)
        if len(tries) < 8:
            raise OSError(errno.EMFILE, "Too many open files")
        return [ConfigTouched()]

    assert retries.attempt("look", attempt) == []
    told = []
    while (at := retries.next_deadline()) is not None:
        time.now = at
        told += retries.due(at)
    assert told == [ConfigTouched()]
    waits = [later - before for before, later in itertools.pairwise(tries)]
    assert waits[0] == pytest.approx(FIRST)
    assert waits[-1] == LAST
    assert said == ["cannot look: Too many open files; tried again until it works", "works again: look"]


def test_an_attempt_that_requests_another_one_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Clock(monkeypatch)
    retries = Retries(lambda level, text: None)
    error = OSError(errno.EIO, "Input/output error")

    def attempt() -> list[ConfigTouched]:
        retries.later("look", attempt, error)
        return []

    attempt()
    for _ in range(3):
        at = retries.next_deadline()
        assert at is not None
        time.now = at
        assert retries.due(at) == []
    assert retries.next_deadline() is not None


def test_a_reader_that_fails_is_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loses no event, delays no other reader, and does not keep the loop busy."""
    monkeypatch.setattr("supervisor.host.loop.REST", 0.05)
    said: list[str] = []
    loop = Loop(lambda level, text: said.append(text))
    ours, theirs = os.pipe()
    calls = 0

    def reader(_: int) -> list[ConfigTouched]:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise OSError(errno.EMFILE, "Too many open files")
        os.read(ours, 1)
        return [ConfigTouched()]

    loop.watch(ours, reader)
    os.write(theirs, b"x")
    assert loop.wait(5) == []
    assert loop.wait(0) == []
    assert calls == 1
    occurred = []
    while not occurred:
        occurred = loop.wait(5)
    assert occurred == [ConfigTouched()]
    assert calls == 3
    assert len(said) == 1
    loop.unwatch(ours)
    os.close(ours)
    os.close(theirs)
