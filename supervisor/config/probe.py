"""Questions that are put to a task: where, how, and what a good answer is.

`${SUPERVISOR_INSTANCE}` in an address is filled in for each instance, so that replicas can have ports of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from supervisor.config.errors import Wrong
from supervisor.config.interpolate import interpolate
from supervisor.config.key import Type
from supervisor.config.values import filled, string
from supervisor.config.wording import quote, show
from supervisor.config.world import Scope
from supervisor.core.definition import Probe

_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]?#]+)"
_URL = re.compile(rf"https?://{_HOST}(?::(?P<port>\d+))?(?:[/?#]\S*)?", re.ASCII)
_ADDRESS = re.compile(rf"{_HOST}:(?P<port>\d+)", re.ASCII)
_UNIX_URL = re.compile(r"unix:(?P<path>[^:\s]+)(?::(?P<request>/\S*))?")
_STATUS = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?", re.ASCII)
_AT_START = re.compile(r"\$\{SUPERVISOR_\w+\}")

_HTTP_ONLY = ("status", "contains", "headers")


def _checked(shape: re.Pattern[str], what: str, example: str, value: object, scope: Scope) -> str:
    text = interpolate(filled(value), scope.world.environ, at_start=True)
    match = shape.fullmatch(_AT_START.sub("1", text))
    if not match:
        raise Wrong(f'{quote(text)} is not {what}; allowed: "{example}"')
    port = match["port"]
    if port and not (len(port) <= 5 and 1 <= int(port) <= 65535):
        raise Wrong(f"{quote(text)}: the port is out of range; allowed: 1 to 65535")
    return text


def http(value: object, scope: Scope) -> str:
    """A URL with http or https, or a Unix socket: "unix:PATH" or "unix:PATH:/REQUEST"."""
    if isinstance(value, str) and value.startswith("unix:"):
        text = interpolate(value, scope.world.environ, at_start=True)
        found = _UNIX_URL.fullmatch(text)
        if not found:
            raise Wrong(f'{quote(text)} is not a Unix socket; allowed: "unix:/run/web.sock:/health"')
        request = f":{found['request']}" if found["request"] else ""
        return f"unix:{os.path.join(scope.folder, found['path'])}{request}"
    return _checked(_URL, "a URL", "http://127.0.0.1:8000/health", value, scope)


def tcp(value: object, scope: Scope) -> str:
    """HOST:PORT, an IPv6 address in brackets; or "unix:PATH"."""
    if isinstance(value, str) and value.startswith("unix:") and len(value) > len("unix:"):
        text = interpolate(value, scope.world.environ, at_start=True)
        return f"unix:{os.path.join(scope.folder, text.removeprefix('unix:'))}"
    return _checked(_ADDRESS, "an address", "127.0.0.1:5432", value, scope)


def status(value: object, _scope: Scope) -> tuple[int, int]:
    """One status, or a range of them."""
    found = _STATUS.fullmatch(str(value)) if isinstance(value, str | int) else None
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise Wrong(f'{show(value)} is no range of statuses; allowed: 200, "200-299"')
    return int(found[1]), int(found[2] or found[1])


def headers(value: object, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Names and values."""
    if not isinstance(value, dict):
        raise Wrong(f'{show(value)} is not a table; allowed: {{ Host = "example.org" }}')
    found = []
    for name, text in value.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not string(text).isprintable():
            raise Wrong(f"{quote(name)} cannot be sent; allowed: a name of a header, and printable text")
        found.append((name, interpolate(string(text), scope.world.environ, at_start=True)))
    return tuple(found)


def text(value: object, _scope: Scope) -> str:
    """What an answer must contain."""
    return filled(value)


def build(values: Mapping[str, Any], **defaults: Any) -> Probe:  # noqa: ANN401 - the keys of a probe
    """The probe of a table that has been checked."""
    kind = next(kind for kind in ("http", "tcp", "command") if kind in values)
    rest = {key: value for key, value in values.items() if key != kind}
    target = values[kind]
    return Probe(kind, (target,) if isinstance(target, str) else target, **{**defaults, **rest})


def one_kind(values: Mapping[str, Any]) -> None:
    """What is about HTTP goes with http only.

    Raises:
        Wrong: it stands beside another kind.
    """
    alone = [key for key in _HTTP_ONLY if key in values and "http" not in values]
    if alone:
        raise Wrong(problems=[((key,), "is about answers of http; allowed: together with http") for key in alone])


def listen(value: object, scope: Scope) -> str:
    """Where the supervisor itself answers: HOST:PORT, or "unix:PATH"."""
    return tcp(value, scope)


HTTP = Type("URL", http)
TCP = Type("HOST:PORT", tcp)
STATUS = Type("status or range", status)
HEADERS = Type("table of strings", headers)
TEXT = Type("string", text)
LISTEN = Type("HOST:PORT | unix:PATH", listen)
