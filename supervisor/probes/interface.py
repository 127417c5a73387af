"""Define the interface of a kind of probe: its keys in the config, one question, one answer.

There are two sorts of kinds. They differ in where the question is asked:

- `InProber`: the helper @prober asks, in a thread that may block.
- `AsChild`: the question is a process, which the parent starts as it starts a task.

The parent loads every kind that is in use, and keeps it. So a file of a kind imports little; it names modules that only
the question needs in `needs`, and imports them in its function.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from supervisor.core.definition import Probe
from supervisor.core.immutable import immutable
from supervisor.core.kind_key import Forms, KindKey, UnfitError

Opened = Callable[[socket.socket], None]


@immutable
class InProber:
    """A kind whose questions @prober asks.

    `ask` returns what is wrong, "" for nothing. An OSError is a failure, too. It calls `opened` for each connection, so
    that the prober can close one that takes too long.
    """

    doc: str  # the probe succeeds if …
    keys: tuple[KindKey, ...]  # the first has the name of the kind
    ask: Callable[[Probe, Opened], str]
    needs: tuple[str, ...] = ()  # modules that @prober imports before the first question, which would be late otherwise


@immutable
class AsChild:
    """A kind whose questions are processes, with the user, directory and environment of the task."""

    doc: str  # the probe succeeds if …
    keys: tuple[KindKey, ...]  # the first has the name of the kind
    command: Callable[[Probe], tuple[str, ...]]  # what is executed, in the form of a task's `command`
    wrong: Callable[[int | None, str | None], str]  # of exit code and signal: what is wrong with that end, or ""


Kind = InProber | AsChild


HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]?#]+)"
"""A host in an address: a name, an IPv4 address, or an IPv6 address in brackets."""

_ADDRESS = re.compile(rf"{HOST}:(?P<port>\d+)", re.ASCII)
_AT_START = re.compile(r"\$\{SUPERVISOR_\w+\}")


def address(value: object, forms: Forms) -> str:
    """Return HOST:PORT (an IPv6 address in brackets), or "unix:PATH".

    Raises:
        UnfitError: it is neither.
    """
    text = forms.text(value)
    if text.startswith("unix:") and text != "unix:":
        return f"unix:{forms.path(text.removeprefix('unix:'))}"
    return matched(_ADDRESS, text, 'is not an address; allowed: "127.0.0.1:5432"')


def matched(shape: re.Pattern[str], text: str, why: str) -> str:
    """Return the text, if the pattern matches it and its group `port` is a port.

    A variable of an instance, such as `${SUPERVISOR_INSTANCE}`, counts as a digit.

    Raises:
        UnfitError: it does not match (`why`), or the port is out of range.
    """
    found = shape.fullmatch(_AT_START.sub("1", text))
    if not found:
        raise UnfitError(text, why)
    port = found["port"]
    if port and not (len(port) <= 5 and 1 <= int(port) <= 65535):
        raise UnfitError(text, "has a port that is out of range; allowed: 1 to 65535")
    return text


def connect(address: str, timeout: float, opened: Opened) -> socket.socket:
    """Connect to "HOST:PORT", "[IPV6]:PORT" or "unix:PATH".

    Raises:
        OSError: the connection failed.
    """
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        opened(made)
        made.settimeout(timeout)
        made.connect(address.removeprefix("unix:"))
        return made
    host, _, port = address.rpartition(":")
    made = socket.create_connection((host.strip("[]"), int(port)), timeout)
    opened(made)
    return made
