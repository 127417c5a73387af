"""How a process that is not our child ended, and the descriptors that show it after a crash."""

import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.core.events import Status
from supervisor.host.pidfd import from_wait, kernel_tells, signal_name, status_of
from supervisor.host.sd_notify import Notifier
from supervisor.runs.fdstore import Store, received

needs_the_call = pytest.mark.skipif(not kernel_tells(), reason="needs PIDFD_GET_INFO with the exit status, Linux 6.15")


def child(act: str) -> int:
    """A child of ours that does this and ends."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        with suppress(BaseException):
            exec(act, {"os": os, "signal": signal})
        os._exit(99)
    return pid


@needs_the_call
@pytest.mark.parametrize(
    ("act", "status"),
    [
        ("os._exit(0)", Status(0)),
        ("os._exit(7)", Status(7)),
        ("os.kill(os.getpid(), signal.SIGKILL)", Status(None, "SIGKILL")),
    ],
)
def test_the_status_is_known_once_it_is_reaped(act: str, status: Status) -> None:
    pid = child(act)
    pidfd = os.pidfd_open(pid)
    assert select.select([pidfd], [], [], 20)[0]
    assert status_of(pidfd) is None, "still a zombie"
    os.waitpid(pid, 0)
    assert status_of(pidfd) == status
    os.close(pidfd)


def test_another_descriptor_has_no_status(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert status_of(file.fileno()) is None
    own = os.pidfd_open(os.getpid())
    assert status_of(own) is None
    os.close(own)


def test_statuses_in_words() -> None:
    assert from_wait(0x0300) == Status(3)
    assert from_wait(11 | 0x80) == Status(None, "SIGSEGV", core_dumped=True)
    assert signal_name(signal.SIGRTMIN + 3) == "SIGRTMIN+3"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"{tmp_path}/notify")
        made.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
        yield made


@pytest.fixture
def notifier(manager: socket.socket) -> Iterator[Notifier]:
    """Ours."""
    made = Notifier()
    yield made
    assert made._socket
    made._socket.close()


@needs_the_call
def test_a_stored_descriptor_comes_back_with_the_status(
    manager: socket.socket, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = child("signal.pause()")
    pidfd = os.pidfd_open(pid)
    Store(notifier, useful=True).store(pid, 77, pidfd)
    os.close(pidfd)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    text, fds, _flags, _sender = socket.recv_fds(manager, 1000, 1)
    assert text.decode().split("\n") == ["FDSTORE=1", f"FDNAME=run-{pid}-77", "FDPOLL=0"]

    monkeypatch.setattr("supervisor.runs.fdstore.received", lambda: {f"run-{pid}-77": fds[0]})
    back = Store(notifier, useful=True)
    assert back.status(pid, 78) is None, "another process had that pid"
    assert back.status(pid, 77) == Status(None, "SIGTERM")
    back.clear(lambda pid, birth: False)
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):  # not before everything is on record
        manager.recv(1000)
    back.flush()
    assert manager.recv(1000).decode().split("\n") == ["FDSTOREREMOVE=1", f"FDNAME=run-{pid}-77"]
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fds[0])


def test_the_descriptor_of_a_living_process_stays_stored(
    manager: socket.socket, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.runs.fdstore.received", lambda: {"run-5-6": os.open(os.devnull, os.O_RDONLY)})
    store = Store(notifier, useful=True)
    store.clear(lambda pid, birth: (pid, birth) == (5, 6))
    store.flush()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)


def test_foreign_descriptors_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("LISTEN_FDNAMES", "run-1-2:run-3-4:x")
    assert received() == {}
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize(
    "other", ["other", "run-", "run-x", "run-1", "run-1-2-3", "run--1-2", "run-\u0661-2", "\udcff"]
)
def test_descriptors_are_taken_by_name(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    """In a child, as they are at 3 and above, whatever else is there."""
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):
            null = os.open(os.devnull, os.O_RDONLY)
            for fd in (3, 4, 5):
                os.dup2(null, fd)
            names = f"run-1-2:{other}:run-1-2"
            os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3", "LISTEN_FDNAMES": names}
            assert received() == {"run-1-2": 3}
            assert not os.get_inheritable(3)
            for fd in (4, 5):
                with pytest.raises(OSError, match="Bad file"):
                    os.fstat(fd)
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
