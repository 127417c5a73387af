"""@health: answers a load balancer, so that whoever asks, and however often, costs the parent nothing.

    GET /live     200 as long as there is a supervisor
    GET /ready    200 when the machine may get work, else 503 and why not, a line each
    GET /health   all of it as JSON; the status is that of /ready

What it says is a file in the runtime directory, which the parent replaces whenever it becomes different; it is read
again only then. Whether there is a supervisor is told by the lock that it holds, which the kernel drops with it. The
tasks outlive a supervisor that has died, and the next one comes within a second; so `/ready` stays as it was for
`STALE`, and is 503 after that, as nobody watches the tasks any more.

One thread, no process per client; a client that is slow or talks too much is hung up on.

    python -m supervisor.helpers.health LISTEN FILE
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import socket
import struct
import sys
import time  # noqa: TID251 - a helper has a clock of its own
from contextlib import suppress
from typing import Any

STALE = 10.0
"""Seconds for which a dead supervisor's last word on `/ready` holds."""

PATIENCE = 5.0
"""Seconds that a client has for its question and for taking the answer."""

MOST = 256
"""Clients at a time; further ones wait in the kernel."""

LONGEST = 8192
"""Bytes of a question."""

_FLOCK = struct.Struct("hhqqi0q")
_WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Knowledge:
    """What the parent has written, and whether it lives."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._said: dict[str, Any] = {"ready": False, "why": ["the supervisor has not said anything yet"]}
        self._missed: float | None = None  # since when there is no supervisor

    def live(self) -> bool:
        """Whether a supervisor holds its lock."""
        try:
            fd = os.open(os.path.join(os.path.dirname(self._path), "lock"), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            held = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        finally:
            os.close(fd)
        return bool(_FLOCK.unpack(held)[0] != fcntl.F_UNLCK)

    def said(self) -> dict[str, Any]:
        """The newest word, with what a missing supervisor makes of it."""
        with suppress(OSError, ValueError):
            status = os.stat(self._path)
            if (status.st_ino, status.st_mtime_ns) != self._seen:
                with open(self._path, encoding="utf-8") as file:
                    self._said = json.load(file)
                self._seen = (status.st_ino, status.st_mtime_ns)
        if self.live():
            self._missed = None
            return self._said
        now = time.monotonic()
        self._missed = now if self._missed is None else self._missed
        if now - self._missed < STALE:
            return self._said
        return {**self._said, "ready": False, "why": ["there is no supervisor"]}


def answer(knowledge: Knowledge, question: bytes) -> bytes:
    """The whole answer to a whole question."""
    line, _, _ = question.partition(b"\r\n")
    words = line.decode(errors="replace").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _response(400, "not HTTP\n")
    method, path = words[0], words[1].partition("?")[0]
    if method not in ("GET", "HEAD"):
        return _response(405, "only GET\n")
    status, body, kind = _page(knowledge, path)
    return _response(status, body, kind, head=method == "HEAD")


def _page(knowledge: Knowledge, path: str) -> tuple[int, str, str]:
    if path == "/live":
        live = knowledge.live()
        return (200 if live else 503), "live\n" if live else "there is no supervisor\n", "text/plain"
    said = knowledge.said()
    status = 200 if said["ready"] else 503
    if path == "/ready":
        return status, "".join(f"{why}\n" for why in said["why"]) or "ready\n", "text/plain"
    if path == "/health":
        return status, json.dumps(said) + "\n", "application/json"
    return 404, "allowed: /live, /ready, /health\n", "text/plain"


def _response(status: int, body: str, kind: str = "text/plain", *, head: bool = False) -> bytes:
    data = body.encode()
    lines = (
        f"HTTP/1.1 {status} {_WORDS[status]}", f"Content-Type: {kind}; charset=utf-8", f"Content-Length: {len(data)}",
        "Cache-Control: no-store", "Connection: close", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + (b"" if head else data)


class Client:
    """One connection: first a question, then the rest of its answer."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.socket = connection
        self.deadline = deadline
        self.question = b""
        self.rest = b""


class Server:
    """The loop over all clients."""

    def __init__(self, listener: socket.socket, knowledge: Knowledge) -> None:
        self._listener = listener
        self._knowledge = knowledge
        self._clients: dict[int, Client] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._full = False

    def turn(self) -> None:
        """Waits for something, and deals with it."""
        first = min((client.deadline for client in self._clients.values()), default=None)
        for key, _ in self._selector.select(None if first is None else max(0.0, first - time.monotonic())):
            client = self._clients.get(key.fd)
            if client:
                self._serve(client)
            elif key.fileobj is self._listener:
                self._accept()
        now = time.monotonic()
        for client in [client for client in self._clients.values() if client.deadline <= now]:
            self._close(client)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._clients[connection.fileno()] = Client(connection, time.monotonic() + PATIENCE)
        self._selector.register(connection, selectors.EVENT_READ)
        if len(self._clients) >= MOST:
            self._selector.unregister(self._listener)
            self._full = True

    def _serve(self, client: Client) -> None:
        try:
            if not client.rest and not self._heard(client):
                return
            client.rest = client.rest[client.socket.send(client.rest) :]
        except BlockingIOError:
            return
        except OSError:
            client.rest = b""
        if client.rest:
            self._selector.modify(client.socket, selectors.EVENT_WRITE)
        else:
            self._close(client)

    def _heard(self, client: Client) -> bool:
        """Whether the question is whole; then its answer is there."""
        data = client.socket.recv(LONGEST)
        if not data:
            raise ConnectionResetError
        client.question += data
        whole = b"\r\n\r\n" in client.question
        if whole:
            client.rest = answer(self._knowledge, client.question)
        elif len(client.question) > LONGEST:
            client.rest = _response(400, "too long\n")
        return bool(client.rest)

    def _close(self, client: Client) -> None:
        del self._clients[client.socket.fileno()]
        self._selector.unregister(client.socket)
        with suppress(OSError):
            client.socket.shutdown(socket.SHUT_WR)
        client.socket.close()
        if self._full:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._full = False


def listen(address: str) -> socket.socket:
    """A listening socket at "HOST:PORT" or "unix:PATH"; a socket file that nobody listens at is replaced.

    Raises:
        OSError: it cannot be had.
    """
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        with suppress(FileNotFoundError):
            os.unlink(path)
        made = socket.socket(socket.AF_UNIX)
        made.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - what it says is for whoever may ask
        made.listen(128)
    else:
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=128)
    made.setblocking(False)
    return made


def main() -> None:
    """Runs until SIGTERM."""
    try:
        listener = listen(sys.argv[1])
    except OSError as error:
        sys.stderr.write(f"@health: cannot listen at {sys.argv[1]}: {error.strerror or error}\n")
        sys.exit(1)
    server = Server(listener, Knowledge(sys.argv[2]))
    while True:
        server.turn()


if __name__ == "__main__":
    main()
