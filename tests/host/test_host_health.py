"""@health alone: what it answers from its file, without a supervisor, and to clients that cost time."""

import errno
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.helpers import health

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""
READY = {"ready": True, "why": [], "name": "vm-7"}
NOT_READY = {"ready": False, "why": ["frozen by root", "web is essential: web is held"], "name": "vm-7"}


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Place:
    """A runtime directory, and a supervisor that holds its lock until it is told to end."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "health.json"
        self.lock = directory / "lock"
        self.holder: subprocess.Popen[bytes] | None = None
        self.published = health.PublishedHealth(str(self.file))

    def begin(self) -> None:
        words = [sys.executable, "-S", "-c", HOLD, str(self.lock)]
        self.holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdout
        self.holder.stdout.readline()

    def end(self) -> None:
        if self.holder:
            self.holder.communicate()
            self.holder = None

    def say(self, what: object) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(what))
        new.rename(self.file)

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        text = health.answer(self.published, f"{method} {path} HTTP/1.1\r\n\r\n".encode()).decode()
        head, _, body = text.partition("\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.begin()
    yield made
    made.end()


def test_before_the_supervisor_reported_its_state(place: Place) -> None:
    assert place.ask("/live") == (200, "live\n")
    assert place.ask("/ready") == (503, "the supervisor has not reported its state yet\n")
    place.file.write_text("{")
    assert place.ask("/ready")[0] == 503


def test_the_reported_state_is_answered(place: Place) -> None:
    place.say(READY)
    assert place.ask("/ready") == (200, "ready\n")
    assert place.ask("/health") == (200, json.dumps(READY) + "\n")
    place.say(NOT_READY)
    assert place.ask("/ready") == (503, "frozen by root\nweb is essential: web is held\n")
    assert place.ask("/health") == (503, json.dumps(NOT_READY) + "\n")
    assert place.ask("/ready", "HEAD") == (503, "")
    assert place.ask("/ready", "POST") == (405, "only GET\n")
    assert place.ask("/ready?from=lb")[0] == 503
    assert place.ask("/live")[0] == 200


def test_the_file_is_read_again_only_after_a_change(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.say(READY)
    read: list[object] = []
    load = json.load
    monkeypatch.setattr(json, "load", lambda file: read.append(file) or load(file))
    for _ in range(3):
        assert place.ask("/ready")[0] == 200
    assert len(read) == 1
    place.say(NOT_READY)
    assert [place.ask("/ready")[0] for _ in range(3)] == [503] * 3
    assert len(read) == 2


def test_without_a_supervisor_its_last_state_is_valid_for_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks go on, and the next supervisor comes soon. If it does not, nothing watches them."""
    clock = Clock()
    monkeypatch.setattr(health, "clock", clock)
    place.say(READY)
    assert place.ask("/ready")[0] == 200
    place.end()
    clock.time += 1000  # since nobody has asked
    assert place.ask("/live") == (503, "the supervisor does not run\n")
    assert place.ask("/ready")[0] == 200
    clock.time += health.STALE - 0.1
    assert place.ask("/ready")[0] == 200
    clock.time += 0.2
    assert place.ask("/ready") == (503, "the supervisor does not run\n")
    assert json.loads(place.ask("/health")[1]) == {**READY, "ready": False, "why": ["the supervisor does not run"]}
    place.begin()
    assert place.ask("/ready")[0] == 200
    place.end()
    assert place.ask("/ready")[0] == 200, "the moment begins anew"


# -- clients ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def address(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a server answers that has little patience and room for two."""
    monkeypatch.setattr(health, "PATIENCE", 0.5)
    monkeypatch.setattr(health, "MOST", 2)
    path = tmp_path / "health.sock"
    with closing(health.listen(f"unix:{path}")):
        pass  # what an earlier one has left
    listener = health.listen(f"unix:{path}")
    place.say(READY)
    over = threading.Event()
    server = health.Server(listener, place.published)

    def serve() -> None:
        while not over.is_set():
            server.turn()

    thread = threading.Thread(target=serve)
    thread.start()
    yield str(path)
    over.set()
    connected(str(path)).close()  # wakes it
    thread.join()
    for client in list(server._clients.values()):
        server._close(client)
    server._loop._epoll.close()
    listener.close()


def connected(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(30)
    made.connect(path)
    return made


def ask(path: str) -> bytes:
    with connected(path) as client:
        client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
        return client.recv(4096)


def test_every_user_may_connect_to_its_socket(address: str) -> None:
    assert stat.S_IMODE(os.stat(address).st_mode) == 0o666
    assert ask(address).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_silent_client_is_disconnected(address: str) -> None:
    began = time.monotonic()
    with connected(address) as mute:
        assert mute.recv(100) == b""
    assert time.monotonic() - began >= 0.4


def test_a_client_beyond_the_bound_waits_for_its_turn(address: str) -> None:
    """Descriptors are bounded, and each client gets an answer all the same."""
    began = time.monotonic()
    with connected(address), connected(address):
        assert ask(address).startswith(b"HTTP/1.1 200 OK\r\n")
    assert time.monotonic() - began >= 0.4


class Short(socket.socket):
    """A listener that has no descriptor for its first client."""

    calls = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.calls += 1
        if self.calls == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_without_a_descriptor_a_client_waits_and_the_loop_sleeps(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "NO_ROOM", 0.2)
    with closing(Short(fileno=health.listen(f"unix:{tmp_path}/health.sock").detach())) as listener:
        server = health.Server(listener, place.published)
        with connected(f"{tmp_path}/health.sock") as client:
            turns = 0
            while not server._clients:
                server.turn()
                turns += 1
            client.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            while server._clients:
                server.turn()
            assert client.recv(100).startswith(b"HTTP/1.1 ")
        assert turns <= 4
        server._loop._epoll.close()


def test_without_a_descriptor_the_last_state_stays(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.ask("/live")[0] == 200

    def refused(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", refused)
    assert place.ask("/live")[0] == 200
