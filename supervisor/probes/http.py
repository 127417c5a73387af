"""A URL that must answer with a good status, and with a certain text if one is named.

"http://HOST[:PORT]/PATH", "https://…" with the certificates of the system, or "unix:SOCKET[:/PATH]". Redirections are
answers like any other: not followed.
"""

from __future__ import annotations

import http.client
import re
import socket
from typing import TYPE_CHECKING

from supervisor.probes.interface import Opened, connect

if TYPE_CHECKING:
    from supervisor.core.definition import Probe

BY = "prober"

LONGEST = 1 << 20
"""Bytes of a body in which a text is looked for."""

_URL = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]+\]|[^/?#:]+)(?::(?P<port>\d+))?(?P<path>.*)", re.ASCII)
_UNIX = re.compile(r"(?P<address>unix:[^:]+)(?::(?P<path>/.*))?")


def ask(probe: Probe, opened: Opened) -> str:
    """One GET.

    Raises:
        OSError: no connection, no certificate, no time.
    """
    secure, host, address, path = _parts(probe.target[0])
    made = connect(address, probe.timeout, opened)
    try:
        if secure:
            made = _secured(made, host, opened)
        return _answer(made, host, path, probe)
    except http.client.HTTPException as error:
        return f"no HTTP: {type(error).__name__} {error}"
    finally:
        made.close()


def _parts(url: str) -> tuple[bool, str, str, str]:
    """Whether it is secure, the host as the server shall hear it, the address, and the path."""
    if found := _UNIX.fullmatch(url):
        return False, "localhost", found["address"], found["path"] or "/"
    found = _URL.fullmatch(url)
    if not found:
        raise OSError(f"not a URL: {url}")
    secure = found["scheme"] == "https"
    port = found["port"] or ("443" if secure else "80")
    path = found["path"].partition("#")[0]
    return secure, found["host"], f"{found['host']}:{port}", path if path.startswith("/") else f"/{path}"


def _secured(made: socket.socket, host: str, opened: Opened) -> socket.socket:
    import ssl  # noqa: PLC0415 - 5 MB that only https needs

    context = ssl.create_default_context()
    wrapped = context.wrap_socket(made, server_hostname=host.strip("[]"), do_handshake_on_connect=False)
    opened(wrapped)
    try:
        wrapped.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise OSError(f"its certificate is not good: {error.verify_message.rstrip('.')}") from None
    except ssl.SSLError as error:
        raise OSError(f"no TLS: {(error.reason or str(error)).replace('_', ' ')}") from None
    return wrapped


def _answer(made: socket.socket, host: str, path: str, probe: Probe) -> str:
    connection = http.client.HTTPConnection(host)
    connection.sock = made
    headers = {"Host": host, "User-Agent": "supervisor", "Connection": "close", **dict(probe.headers)}
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    low, high = probe.status
    if not low <= response.status <= high:
        return f"http {response.status}"
    if probe.contains and probe.contains.encode() not in response.read(LONGEST):
        return f"http {response.status} without {probe.contains!r}"
    return ""
