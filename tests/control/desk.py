"""A real server over a real loop, with a clock that the test turns, and a stand-in for the parent that answers."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor.control import wire
from supervisor.control.server import Client, Server
from supervisor.host.interface import Request
from supervisor.host.loop import Loop

PATIENCE = 20.0


class Desk:
    """The server and whoever answers: what `app` and `parent` are to it."""

    def __init__(self, directory: Path, group: int | None = None) -> None:
        self.loop = Loop()
        self.now = 1000.0
        self.path = str(directory / "supervisor.sock")
        self.server = Server(self.loop, lambda: self.now, {0: "root"}, group)
        self.asked: list[Request] = []
        self.lines: list[Line] = []
        self.answer: Callable[[Request], None] = lambda request: request.client.answer(request.arguments)

    def listen(self, mode: int = 0o600) -> "Desk":
        self.server.listen(self.path, mode)
        return self

    def turn(self, timeout: float = 0.0) -> None:
        """As the loop of the supervisor: wait, answer, and what had to wait for an answer."""
        for request in [*self.loop.wait(timeout), *self.server.due(self.now)]:
            self._answer(request)
        while self.server.next_deadline() == 0.0:
            for request in self.server.due(self.now):
                self._answer(request)

    def _answer(self, request: object) -> None:
        assert isinstance(request, Request)
        self.asked.append(request)
        self.answer(request)

    def close(self) -> None:
        """Everything, also what the clients forgot."""
        self.server.close()
        for line in self.lines:
            line.socket.close()

    def until(self, fact: Callable[[], Any]) -> Any:
        """Turns until `fact` is true."""
        deadline = time.monotonic() + PATIENCE
        while not (value := fact()):
            assert time.monotonic() < deadline, "never came true"
            self.turn(0.02)
        return value

    def connect(self) -> "Line":
        """A new client, accepted."""
        before = set(self.server.clients)
        line = Line(self)
        self.until(lambda: set(self.server.clients) - before)
        (line.client,) = set(self.server.clients) - before
        return line


class Line:
    """A client's end."""

    client: Client

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(desk.path)
        self.socket.setblocking(False)
        desk.lines.append(self)
        self.received = b""
        self.ended = False

    def send(self, data: bytes) -> None:
        """All of it, while the server turns."""
        while data:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                self.desk.turn(0.01)

    def ask(self, verb: str = "echo", **args: Any) -> dict[str, Any]:
        """A request and its answer."""
        self.send(wire.encode(verb=verb, args=args))
        return self.read()

    def read(self) -> dict[str, Any]:
        """The next line."""
        self.desk.until(lambda: self.take() or self.ended)
        line, newline, self.received = self.received.partition(b"\n")
        assert newline, "the server hung up"
        message: dict[str, Any] = wire.decode(line)
        return message

    def take(self) -> bool:
        """Reads what is there; whether a whole line is."""
        try:
            data = self.socket.recv(1 << 20)
            self.received += data
            self.ended = self.ended or not data
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.ended = True
        return b"\n" in self.received

    def hung_up(self) -> bool:
        """Whether the server hangs up (within the patience)."""

        def end() -> bool:
            self.take()
            return self.ended

        self.desk.until(end)
        return True
