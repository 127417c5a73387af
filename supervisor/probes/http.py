"""Probe by a URL that must answer with a good status, and with a certain text if the config names one.

The URL is "http://HOST[:PORT]/PATH", "https://…" with the certificates of the system, or "unix:SOCKET[:/PATH]". The
probe does not follow a redirection: it is an answer like any other.
"""

from __future__ import annotations

import re
import socket

from supervisor.core.definition import Probe
from supervisor.core.kind_key import Forms, KindKey, UnfitError
from supervisor.probes.interface import HOST, InProber, Kind, Opened, connect, matched

LONGEST = 1 << 20
"""Bytes of a body that the probe searches for the text."""

_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{HOST})(?::(?P<port>\d+))?(?P<path>[/?#]\S*)?",
    re.ASCII,
)
_UNIX = re.compile(r"unix:(?P<socket>[^:\s]+)(?P<path>:/\S*)?")
_STATUS = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?", re.ASCII)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


# -- the keys ---------------------------------------------------------------------------------------------------------


def url(value: object, forms: Forms) -> str:
    """Return a URL with http or https, or a Unix socket: "unix:PATH" or "unix:PATH:/REQUEST"."""
    text = forms.text(value)
    if not text.startswith("unix:"):
        return matched(_URL, text, 'is not a URL; allowed: "http://127.0.0.1:8000/health"')
    found = _UNIX.fullmatch(text)
    if not found:
        raise UnfitError(text, 'is not a Unix socket; allowed: "unix:/run/web.sock:/health"')
    return f"unix:{forms.path(found['socket'])}{found['path'] or ''}"


def status(value: object, _forms: Forms) -> tuple[int, int]:
    """Return one status, or a range of them, as a pair."""
    found = _STATUS.fullmatch(str(value)) if isinstance(value, str | int) else None
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise UnfitError(value, 'is not a range of statuses; allowed: 200, "200-299"')
    return int(found[1]), int(found[2] or found[1])


def contains(value: object, forms: Forms) -> str:
    """Return the text that an answer must contain."""
    return forms.literal(value)


def headers(value: object, forms: Forms) -> dict[str, str]:
    """Return the names and values of headers."""
    found = forms.texts(value, '{ Host = "example.org" }')
    for name, text in found.items():
        if not _HEADER.fullmatch(name) or not text.isprintable():
            raise UnfitError(name, "cannot be sent as a header; allowed: a name of a header, and printable text")
    return found


# -- the question -----------------------------------------------------------------------------------------------------


def ask(probe: Probe, opened: Opened) -> str:
    """Send one GET.

    Raises:
        OSError: no connection, no valid certificate, or no answer in time.
    """
    import http.client  # noqa: PLC0415 - the parent, which loads this file, does not need it

    secure, host, address, path = _parts(probe.values["http"])
    made = connect(address, probe.timeout, opened)
    try:
        if secure:
            made = _secured(made, host, opened)
        return _answer(made, host, path, probe)
    except http.client.HTTPException as error:
        return f"no HTTP: {type(error).__name__} {error}"
    finally:
        made.close()


def _parts(text: str) -> tuple[bool, str, str, str]:
    """Return whether the URL is https, the host for the server, the address, and the path."""
    if found := _UNIX.fullmatch(text):
        return False, "localhost", f"unix:{found['socket']}", (found["path"] or ":/")[1:]
    found = _URL.fullmatch(text)
    if not found:
        raise OSError(f"not a URL: {text}")
    secure = found["scheme"] == "https"
    port = found["port"] or ("443" if secure else "80")
    path = (found["path"] or "").partition("#")[0]
    return secure, found["host"], f"{found['host']}:{port}", path if path.startswith("/") else f"/{path}"


def _secured(made: socket.socket, host: str, opened: Opened) -> socket.socket:
    import ssl  # noqa: PLC0415 - 5 MB that only https needs

    context = ssl.create_default_context()
    wrapped = context.wrap_socket(made, server_hostname=host.strip("[]"), do_handshake_on_connect=False)
    opened(wrapped)
    try:
        wrapped.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise OSError(f"its certificate is not valid: {error.verify_message.rstrip('.')}") from None
    except ssl.SSLError as error:
        raise OSError(f"no TLS: {(error.reason or str(error)).replace('_', ' ')}") from None
    return wrapped


def _answer(made: socket.socket, host: str, path: str, probe: Probe) -> str:
    import http.client  # noqa: PLC0415 - see `ask`

    connection = http.client.HTTPConnection(host)
    connection.sock = made
    named = {"Host": host, "User-Agent": "supervisor", "Connection": "close", **probe.values["headers"]}
    connection.request("GET", path, headers=named)
    response = connection.getresponse()
    low, high = probe.values["status"]
    if not low <= response.status <= high:
        return f"http {response.status}"
    wanted = probe.values["contains"]
    if wanted and wanted.encode(errors="surrogateescape") not in response.read(LONGEST):
        return f"http {response.status} without {wanted!r}"
    return ""


KIND: Kind = InProber(
    doc="the status is in `status` (200 to 399), and the body has the text of `contains`",
    keys=(
        KindKey("http", "URL", url, "a URL that must answer, or unix:PATH:/REQUEST"),
        KindKey("status", "integer or string", status, "the good status codes", (200, 399)),
        KindKey("contains", "string", contains, "what the body must contain"),
        KindKey("headers", "table of strings", headers, "the headers of the request", {}, secret=True),
    ),
    ask=ask,
    needs=("http.client",),
)
