"""Parse one datagram of sd_notify(3): bytes in, an event out. Nothing that anybody sends can make this fail.

A datagram consists of lines of KEY=VALUE. Unknown keys are ignored, as the protocol wants it, and so are values that
make no sense. `together` joins several datagrams that were read at once into one event. So a task that sends a thousand
datagrams costs the core no more than a task that sends the last of them.
"""

from __future__ import annotations

import os

from supervisor.core.events import Notified
from supervisor.core.immutable import immutable, replace

LONGEST = 4096
"""Bytes of a datagram that are read. The manual of sd_notify asks for small ones. systemd reads as many."""

LONGEST_STATUS = 200
"""Characters of a status that are shown."""

_CENTURY = 3_155_760_000.0
"""Seconds. A longer time is as good as for ever, and a timer must be able to hold it."""

_INFINITY = (1 << 64) - 1
"""Microseconds: what systemd's programs write for "never" (USEC_INFINITY)."""


@immutable
class Content:
    """A datagram: what it tells the core, and what it asks of the host."""

    event: Notified
    main_pid: int = 0
    stores: bool = False  # FDSTORE=1, which we do not support

    @property
    def says_nothing(self) -> bool:
        """Whether nothing in it means anything here, as with BARRIER=1."""
        return self == Content(Notified(self.event.run))


def parse(data: bytes, run: int) -> Content:
    """Parse one datagram of a process of this run."""
    found: dict[str, str] = {}
    for line in data.decode(errors="replace").split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            found[key] = value
    event = Notified(
        run,
        ready=found.get("READY") == "1",
        status=_status(found.get("STATUS")),
        reloading=found.get("RELOADING") == "1",
        stopping=found.get("STOPPING") == "1",
        errno=_errno(found.get("ERRNO", "")),
        alive=found.get("WATCHDOG") == "1",
        trigger=found.get("WATCHDOG") == "trigger",
        watchdog=_seconds(found.get("WATCHDOG_USEC", ""), for_ever=0.0),
        extend=_seconds(found.get("EXTEND_TIMEOUT_USEC", ""), for_ever=None),
    )
    return Content(event, _number(found.get("MAINPID", "")) or 0, found.get("FDSTORE") == "1")


def together(first: Notified, then: Notified) -> Notified:
    """Join two messages that were sent one after the other into one."""
    return replace(
        then,
        ready=first.ready or then.ready,
        status=first.status if then.status is None else then.status,
        reloading=then.reloading or (first.reloading and not then.ready),
        stopping=first.stopping or then.stopping,
        errno=then.errno or first.errno,
        alive=first.alive or then.alive,
        trigger=first.trigger or then.trigger,
        watchdog=first.watchdog if then.watchdog is None else then.watchdog,
        extend=first.extend if then.extend is None else then.extend,
    )


def _status(text: str | None) -> str | None:
    """Make the text fit for a line of a table and of a log."""
    if text is None:
        return None
    short = text if len(text) <= LONGEST_STATUS else text[: LONGEST_STATUS - 1] + "…"
    return "".join(letter if letter.isprintable() else "�" for letter in short)


def _errno(text: str) -> str:
    number = _number(text)
    return os.strerror(number) if number and number < 1 << 31 else ""  # what a C int holds


def _seconds(text: str, *, for_ever: float | None) -> float | None:
    """Parse microseconds. `for_ever`: the value for "never": a watchdog is off, an extension is none, as in systemd."""
    number = _number(text)
    if number == _INFINITY:
        return for_ever
    return None if number is None else min(number / 1e6, _CENTURY)


def _number(text: str) -> int | None:
    """Parse a whole number that fits into 64 bits. Return None if it is not one."""
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    number = int(text)
    return number if number <= _INFINITY else None
