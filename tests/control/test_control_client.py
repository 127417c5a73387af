"""The client side: a closed connection, nonsense and a refusal have different errors."""

import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from supervisor.control import wire
from supervisor.control.client import Connection, UnreachableError, default_socket


@pytest.fixture
def path(place: Path) -> str:
    return str(place / "s")


@pytest.fixture
def listening(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)
        one.listen()
        yield one


def served(listening: socket.socket, *answers: bytes, reads: bool = True) -> Thread:
    """Takes one caller, reads a line unless told otherwise, answers and hangs up."""

    def serve() -> None:
        caller, _ = listening.accept()
        with caller:
            if reads:
                caller.recv(1 << 20)
            for answer in answers:
                caller.sendall(answer)

    thread = Thread(target=serve)
    thread.start()
    return thread


def test_no_socket(path: str) -> None:
    with pytest.raises(UnreachableError, match="it is not running; start it, or name another socket"):
        Connection(path)


def test_a_socket_that_nobody_answers(path: str, listening: socket.socket) -> None:
    listening.close()
    with pytest.raises(UnreachableError, match="it is not running"):
        Connection(path)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((), "closed the connection before it answered"),
        ((b'{"v": 1, "ans',), "closed the connection before it answered"),
        ((b"HTTP/1.1 400 Bad Request\r\n",), "no supervisor answers"),
        ((b"[1]\n",), "no supervisor answers"),
    ],
)
def test_an_invalid_answer(path: str, listening: socket.socket, answers: tuple[bytes, ...], says: str) -> None:
    thread = served(listening, *answers)
    connection = Connection(path)
    with pytest.raises(UnreachableError, match=says):
        list(connection.ask("status", {}))
    connection.close()
    thread.join()


def test_a_client_refused_before_its_request_reads_the_reason(path: str, listening: socket.socket) -> None:
    thread = served(listening, wire.encode(error="no", exit=5), reads=False)
    connection = Connection(path)
    thread.join()
    (message,) = connection.ask("status", {"much": "x" * 1_000_000})
    assert message is not None
    assert message["error"] == "no"
    connection.close()


def test_a_big_answer_in_pieces_and_the_next_one(path: str, listening: socket.socket) -> None:
    big = wire.encode(answer="x" * 3_000_000)
    thread = served(listening, wire.encode(progress=1) + big[:100], big[100:] + wire.encode(answer=2))
    connection = Connection(path)
    progress, answer = connection.ask("status", {})
    assert progress == {"v": 1, "progress": 1}
    assert answer is not None
    assert len(answer["answer"]) == 3_000_000
    assert [message["answer"] for message in connection.ask("status", {}) if message] == [2]
    connection.close()
    thread.join()


def test_a_timeout_is_returned_as_none(path: str, listening: socket.socket) -> None:
    connection = Connection(path)
    caller, _ = listening.accept()
    answers = connection.ask("status", {}, every=0.01)
    assert next(answers) is None
    caller.sendall(b'{"v": 1, "answ')
    assert next(answers) is None
    caller.sendall(b'er": 1}\n')
    assert next(message for message in answers if message) == {"v": 1, "answer": 1}
    caller.close()
    connection.close()


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [("{place}", "{place}/supervisor/supervisor.sock"), ("relative", "/tmp/supervisor-54321/supervisor.sock")],
)
def test_where_a_user_looks(place: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, expected: str) -> None:
    monkeypatch.setattr("os.getuid", lambda: 54321)
    monkeypatch.setattr("os.path.exists", lambda path: False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime.format(place=place))
    assert default_socket() == expected.format(place=place)
