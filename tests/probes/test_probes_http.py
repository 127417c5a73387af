"""http probes: which answers are good, and what is sent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.core.definition import Probe
from supervisor.probes import http


def question(url: str, **values: object) -> Probe:
    """An http probe with these values of its keys, and the default of each other key."""
    defaults = {key.name: key.default for key in http.KIND.keys}
    return Probe("http", {**defaults, "http": url, **values}, timeout=30.0)


class Server:
    """One that listens on a Unix socket, and answers each question with the same status."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.status = 200
        self.body = b"all ok"
        self.heard = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                made, _ = self.socket.accept()
            except OSError:  # it is over
                return
            with made:
                self.heard = made.recv(4096)
                head = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n" % (self.status, len(self.body))
                with suppress(BrokenPipeError):  # it has read enough
                    made.sendall(head + self.body)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "web.sock")
    yield made
    made.close()


@pytest.mark.parametrize(("more", "asked"), [("", "/"), (":/", "/"), (":/health?x=1", "/health?x=1")])
def test_http_over_a_unix_socket(server: Server, more: str, asked: str) -> None:
    probe = question(f"unix:{server.path}{more}", contains="ok", headers={"X-One": "1"})
    assert http.ask(probe, lambda _: None) == ""
    first, *headers = server.heard.decode().split("\r\n")
    assert first == f"GET {asked} HTTP/1.1"
    assert {"Host: localhost", "X-One: 1"} <= set(headers)


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ((200, 399), (200, 204, 301, 399), (400, 404, 503)),
        ((200, 299), (200, 299), (300, 302)),
        ((404, 404), (404,), (200, 403, 405)),
    ],
    ids=["as it is by default", "no redirection", "just one"],
)
def test_which_status_is_good(server: Server, wanted: tuple[int, int], good: tuple[int, ...], bad: tuple[int, ...]):
    probe = question(f"unix:{server.path}", status=wanted)
    for server.status in (*good, *bad):
        expected = "" if server.status in good else f"http {server.status}"
        assert http.ask(probe, lambda _: None) == expected


def test_a_text_is_looked_for_in_the_beginning_of_an_answer(server: Server) -> None:
    """A task that answers without an end costs its own question only, not the memory of the prober."""
    probe = question(f"unix:{server.path}", contains="all ok")
    for padding, expected in ((http.LONGEST - 6, ""), (http.LONGEST - 5, "http 200 without 'all ok'")):
        server.body = b"x" * padding + b"all ok"
        assert http.ask(probe, lambda _: None) == expected
    server.body = b"all is well"
    assert http.ask(probe, lambda _: None) == "http 200 without 'all ok'"


@pytest.mark.parametrize(
    ("url", "secure", "host", "address", "path"),
    [
        ("http://web", False, "web", "web:80", "/"),
        ("https://web", True, "web", "web:443", "/"),
        ("https://web:8443/health?x=1#part", True, "web", "web:8443", "/health?x=1"),
        ("http://[::1]:8000?x", False, "[::1]", "[::1]:8000", "/?x"),
        ("http://web#part", False, "web", "web:80", "/"),
        ("unix:/run/a.sock:/b:c", False, "localhost", "unix:/run/a.sock", "/b:c"),
    ],
)
def test_the_parts_of_an_address(url: str, secure: bool, host: str, address: str, path: str) -> None:
    assert http._parts(url) == (secure, host, address, path)
