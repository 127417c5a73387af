"""@health: answer a load balancer, so that its questions cost the parent nothing.

    GET /live     200 as long as there is a supervisor
    GET /ready    200 when the machine may get work, else 503 and the reasons, one on each line
    GET /health   all of it as JSON; the status is that of /ready

The parent writes the answer to a file in the runtime directory, and replaces the file when the answer changes. This
helper reads the file again only then.

A living supervisor holds a lock, which the kernel releases when the supervisor dies. The tasks outlive it, and the next
supervisor comes within a second. So `/ready` stays as it was for `STALE` seconds. After that it is 503, because nobody
watches the tasks any more.

The helper has one thread, and no process for each client. It disconnects a client that is slow or sends too much.

    python -m supervisor.helpers.health LISTEN FILE
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

from supervisor.host import clock
from supervisor.host.deadlines import Alarm, first, overdue
from supervisor.host.parts import Loop
from supervisor.store import layout

STALE = 10.0
"""Seconds for which the last answer of a dead supervisor to `/ready` is still valid."""

PATIENCE = 5.0
"""Seconds that a client has to send its question and to read the answer."""

MOST = 256
"""Clients at a time; further ones wait in the kernel."""

NO_ROOM = 1.0
"""Seconds until the next client is accepted, when there was no descriptor for one."""

LONGEST = 8192
"""Bytes of a question."""

_FLOCK = struct.Struct("hhqqi0q")
_WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class PublishedHealth:
    """The answer that the parent has written, and whether the parent lives."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._said: dict[str, Any] = {"ready": False, "why": ["the supervisor has not reported its state yet"]}
        self._missed: float | None = None  # since when there is no supervisor
        self._lived = True  # at the last look that succeeded

    def live(self) -> bool:
        """Whether a supervisor holds its lock. When no descriptor is left for the look, the last answer counts."""
        try:
            fd = os.open(layout.lock(os.path.dirname(self._path)), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            return self._lived
        try:
            held = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        finally:
            os.close(fd)
        self._lived = bool(_FLOCK.unpack(held)[0] != fcntl.F_UNLCK)
        return self._lived

    def current(self) -> dict[str, Any]:
        """Return the newest answer; not ready once the supervisor has been missing for `STALE` seconds."""
        with suppress(OSError, ValueError):
            status = os.stat(self._path)
            if (status.st_ino, status.st_mtime_ns) != self._seen:
                with open(self._path, encoding="utf-8") as file:
                    self._said = json.load(file)
                self._seen = (status.st_ino, status.st_mtime_ns)
        if self.live():
            self._missed = None
            return self._said
        now = clock.now()
        self._missed = now if self._missed is None else self._missed
        if now - self._missed < STALE:
            return self._said
        return {**self._said, "ready": False, "why": ["the supervisor does not run"]}


def answer(published: PublishedHealth, question: bytes) -> bytes:
    """Return the complete answer to a complete question."""
    line, _, _ = question.partition(b"\r\n")
    words = line.decode(errors="replace").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _response(400, "not HTTP\n")
    method, path = words[0], words[1].partition("?")[0]
    if method not in ("GET", "HEAD"):
        return _response(405, "only GET\n")
    status, body, kind = _page(published, path)
    return _response(status, body, kind, head=method == "HEAD")


def _page(published: PublishedHealth, path: str) -> tuple[int, str, str]:
    if path == "/live":
        live = published.live()
        return (200 if live else 503), "live\n" if live else "the supervisor does not run\n", "text/plain"
    said = published.current()
    status = 200 if said["ready"] else 503
    if path == "/ready":
        return status, "".join(f"{why}\n" for why in said["why"]) or "ready\n", "text/plain"
    if path == "/health":
        return status, json.dumps(said) + "\n", "application/json"
    return 404, "allowed: /live, /ready, /health\n", "text/plain"


def _response(status: int, body: str, kind: str = "text/plain", *, head: bool = False) -> bytes:
    data = body.encode(errors="backslashreplace")
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

    def __init__(self, listener: socket.socket, published: PublishedHealth) -> None:
        self._listener = listener
        self._published = published
        self._clients: dict[int, Client] = {}
        self._loop = Loop()
        self._loop.watch(listener.fileno(), self._accept)
        self._pause = Alarm(self._listen_again)  # after there was no descriptor

    def turn(self) -> None:
        """Wait for an event, and handle it."""
        self._loop.turn((self,), clock.now)

    def next_deadline(self) -> float | None:
        """See `Timed`: a client that is too slow, or the end of a pause."""
        return first((*(client.deadline for client in self._clients.values()), self._pause.at))

    def due(self, now: float) -> None:
        """See `Timed`."""
        for client in [client for client in self._clients.values() if client.deadline <= now]:
            self._close(client)
        for alarm in overdue((self._pause,), now):
            alarm.due(now)

    def _accept(self, _: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor is left: a listener that stays ready would keep the loop awake
            self._accept_nobody()
            self._pause.at = clock.now() + NO_ROOM
            return
        connection.setblocking(False)
        client = Client(connection, clock.now() + PATIENCE)
        self._clients[connection.fileno()] = client
        self._loop.watch(connection.fileno(), lambda _: self._serve(client))
        if len(self._clients) >= MOST:
            self._accept_nobody()

    def _accept_nobody(self) -> None:
        """Accept no client for a while. Further clients wait in the kernel."""
        self._loop.suspend(self._listener.fileno())

    def _listen_again(self, _: float) -> None:
        self._loop.resume()

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
            self._loop.watch(client.socket.fileno(), lambda _: self._serve(client), select.EPOLLOUT)
        else:
            self._close(client)

    def _heard(self, client: Client) -> bool:
        """Whether the question is complete; then its answer is ready."""
        data = client.socket.recv(LONGEST)
        if not data:
            raise ConnectionResetError
        client.question += data
        whole = b"\r\n\r\n" in client.question
        if whole:
            client.rest = answer(self._published, client.question)
        elif len(client.question) > LONGEST:
            client.rest = _response(400, "too long\n")
        return bool(client.rest)

    def _close(self, client: Client) -> None:
        del self._clients[client.socket.fileno()]
        self._loop.unwatch(client.socket.fileno())
        with suppress(OSError):
            client.socket.shutdown(socket.SHUT_WR)
        client.socket.close()
        self._loop.resume()


def listen(address: str) -> socket.socket:
    """Return a listening socket at "HOST:PORT" or "unix:PATH". Replace a socket file without a listener.

    Raises:
        OSError: the socket cannot be made.
    """
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        with suppress(FileNotFoundError):
            os.unlink(path)
        made = socket.socket(socket.AF_UNIX)
        made.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - every user may ask
        made.listen(128)
    else:
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=128)
    made.setblocking(False)
    return made


def main() -> None:
    """Run until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        listener = listen(sys.argv[1])
    except OSError as error:
        sys.stderr.write(f"@health: cannot listen at {sys.argv[1]}: {error.strerror or error}\n")
        sys.exit(1)
    server = Server(listener, PublishedHealth(sys.argv[2]))
    while True:
        server.turn()


if __name__ == "__main__":
    main()
