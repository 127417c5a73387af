"""Time: monotonic for decisions, RFC 3339 in UTC for people and for data that outlives a boot."""

from __future__ import annotations

import time

from supervisor.host.lookup import with_reserve

now = time.monotonic
wall = time.time
sleep = time.sleep
cpu = time.thread_time


def stamp(at: float | None = None) -> str:
    """Return a monotonic moment as RFC 3339 with milliseconds ("2026-11-21T14:02:11.123Z"), by today's wall clock."""
    wall = time.time() + (0.0 if at is None else at - now())
    return rfc3339(wall)


def offset() -> float:
    """Return the seconds that turn a monotonic moment into seconds since 1970, by today's wall clock."""
    return time.time() - now()


def rfc3339(wall: float) -> str:
    """Return seconds since 1970 as RFC 3339 with milliseconds."""
    millis = round(wall * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000))
    return f"{whole}.{millis % 1000:03d}Z"


@with_reserve
def moment(text: str) -> float:
    """Return the monotonic moment of an RFC 3339 time, by today's wall clock.

    Raises:
        ValueError: it is not RFC 3339.
    """
    from datetime import datetime  # noqa: PLC0415 - only a freeze that ends by itself needs it

    return now() + datetime.fromisoformat(text).timestamp() - time.time()


class Stamps:
    """RFC 3339 for callers that need it a thousand times a second: it makes the greater part once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def of(self, wall: float) -> str:
        """Return seconds since 1970 as RFC 3339."""
        second = int(wall)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        return f"{self._text}{int((wall - second) * 1000):03d}Z"
