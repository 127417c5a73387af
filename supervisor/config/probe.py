"""The addresses of probes: a URL to ask, a port to connect to."""

from __future__ import annotations

import re

from supervisor.config.errors import Wrong
from supervisor.config.key import Type
from supervisor.config.values import filled
from supervisor.config.wording import quote
from supervisor.config.world import Scope

_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]?#]+)"
_URL = re.compile(rf"https?://{_HOST}(?::(?P<port>\d+))?(?:[/?#]\S*)?", re.ASCII)
_ADDRESS = re.compile(rf"{_HOST}:(?P<port>\d+)", re.ASCII)


def _checked(shape: re.Pattern[str], what: str, example: str, value: object) -> str:
    text = filled(value)
    match = shape.fullmatch(text)
    if not match:
        raise Wrong(f'{quote(text)} is not {what}; allowed: "{example}"')
    port = match["port"]
    if port and not (len(port) <= 5 and 1 <= int(port) <= 65535):
        raise Wrong(f"{quote(text)}: the port is out of range; allowed: 1 to 65535")
    return text


def http(value: object, _scope: Scope) -> str:
    """A URL with http or https."""
    return _checked(_URL, "a URL", "http://127.0.0.1:8000/health", value)


def tcp(value: object, _scope: Scope) -> str:
    """HOST:PORT; an IPv6 address in brackets."""
    return _checked(_ADDRESS, "an address", "127.0.0.1:5432", value)


HTTP = Type("URL", http)
TCP = Type("HOST:PORT", tcp)
