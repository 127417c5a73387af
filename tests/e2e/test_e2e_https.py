"""https probes with real certificates: one of a trusted authority is accepted; for others the reason is given."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from lab import Lab, wait_for

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall ok"


class Authority:
    """One that gives certificates."""

    def __init__(self, place: Path, name: str) -> None:
        self.place = place
        self.path = place / f"{name}.pem"
        self.key = place / f"{name}.key"
        self._openssl("req", "-x509", *self._new(name, self.key), "-days", "2", "-out", str(self.path))

    def certificate(self, name: str, days: int = 2) -> ssl.SSLContext:
        """What a server with this name needs."""
        request, key, path, names = (self.place / f"{name}{days}.{kind}" for kind in ("csr", "key", "crt", "ext"))
        names.write_text(f"subjectAltName=DNS:{name}")
        self._openssl("req", *self._new(name, key), "-out", str(request))
        self._openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.path), "-CAkey", str(self.key), "-CAcreateserial",
            "-days", str(days), "-extfile", str(names), "-out", str(path),
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path, key)
        return context

    def _new(self, name: str, key: Path) -> tuple[str, ...]:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        return (*curve, "-subj", f"/CN={name}", "-keyout", str(key))

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "trusted")


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        yield made
        with suppress(OSError):
            made.shutdown(socket.SHUT_RDWR)


def serve(listening: socket.socket, context: ssl.SSLContext) -> str:
    """Answers everybody, until it is closed. Returns where."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with suppress(OSError), context.wrap_socket(client, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(ANSWER)

    threading.Thread(target=answer, daemon=True).start()
    return f"https://localhost:{listening.getsockname()[1]}/health"


def probed(lab: Lab, url: str) -> None:
    probe = f'http = "{url}", contains = "ok", every = "50ms", timeout = "10s", failures = 1, restart = false'
    lab.start(f'[task.web]\nhealth = {{ {probe} }}\ncommand = "sleep 1000"\n')
    lab.up("web")


def test_a_certificate_of_a_trusted_authority_is_accepted(
    lab: Lab, authority: Authority, listening: socket.socket
) -> None:
    lab.env["SSL_CERT_FILE"] = str(authority.path)
    probed(lab, serve(listening, authority.certificate("localhost")))
    wait_for(lambda: lab.tasks()["web"]["health"] == "ok", "it is well")


@pytest.mark.parametrize(
    ("trusted", "name", "days", "why"),
    [
        (False, "localhost", 2, "unable to get local issuer certificate"),
        (True, "elsewhere.example", 2, "hostname mismatch, certificate is not valid for 'localhost'"),
        (True, "localhost", -1, "certificate has expired"),
    ],
    ids=["a stranger's", "of somebody else", "of yesterday"],
)
def test_an_invalid_certificate_fails_with_the_reason(
    lab: Lab, authority: Authority, listening: socket.socket, trusted: bool, name: str, days: int, why: str
) -> None:
    if trusted:
        lab.env["SSL_CERT_FILE"] = str(authority.path)
    probed(lab, serve(listening, authority.certificate(name, days)))
    event = lab.until("health", name="web", health="unwell")
    assert event["why"].startswith(f"unwell: its certificate is not valid: {why}"), event


def test_the_certificate_must_match_the_name_in_the_probe(
    lab: Lab, authority: Authority, listening: socket.socket
) -> None:
    """The name in the probe counts, not the address that it resolves to."""
    lab.env["SSL_CERT_FILE"] = str(authority.path)
    probed(lab, serve(listening, authority.certificate("localhost")).replace("localhost", "127.0.0.1"))
    event = lab.until("health", name="web", health="unwell")
    assert "certificate is not valid for '127.0.0.1'" in event["why"], event


def test_a_server_without_tls_fails_with_the_reason(lab: Lab, authority: Authority, listening: socket.socket) -> None:
    """A plain HTTP server on the port of an https probe."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with suppress(OSError), client:
                    client.recv(4096)
                    client.sendall(ANSWER)

    threading.Thread(target=answer, daemon=True).start()
    probed(lab, f"https://localhost:{listening.getsockname()[1]}/")
    assert "unwell: no tls: wrong version number" in lab.until("health", name="web", health="unwell")["why"]
