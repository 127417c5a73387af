"""What a kind of probe is: one question, one answer.

A kind is a module with

- `BY`: who asks. "prober": the helper @prober does, in a thread that may block. "child": the question is a process,
  which the parent makes as it makes a task.
- of a "prober" kind, `ask(probe, opened)`: asks and returns what is wrong, "" for nothing; an OSError is wrong as well.
  `opened(socket)` is told of each connection, so that a question that takes too long can be cut off.
- of a "child" kind, `words(probe)`: the command; `wrong(code, signal)`: what an end of it means, "" for nothing wrong.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

Opened = Callable[[socket.socket], None]


def connect(address: str, timeout: float, opened: Opened) -> socket.socket:
    """A connection to "HOST:PORT", "[IPV6]:PORT" or "unix:PATH".

    Raises:
        OSError: there is none.
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
