"""Follow a request to its outcome, also when the connection breaks before.

A request that takes time gets a ticket. When the connection breaks, as at `supctl upgrade`, `supctl` connects again and
asks for the outcome by the id of the ticket. It gives up when the process of the supervisor has ended: the next
supervisor does not know the ticket. It knows firings, which are on disk: such a request is followed by their id.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from supervisor.control.refusal import RefusedError
from supervisor.core.exits import REFUSED, UNREACHABLE

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from typing import Any

    from supervisor.control.client import Connection

LIMIT = 60.0
"""Seconds until the supervisor must accept a connection again."""

PAUSE = 0.05
"""Seconds between two tries."""


def messages(
    connection: Connection,
    verb: str,
    request: dict[str, Any],
    every: float | None,
    lost: Callable[[int, int], str] | None = None,
) -> Iterator[dict[str, Any] | None]:
    """Yield every line of the supervisor but tickets, up to the last line of the request.

    Args:
        connection: to the supervisor.
        verb: the verb of the request.
        request: its arguments.
        every: seconds; after so much silence, None is yielded.
        lost: the verb's own words for the end of the supervisor before the outcome, see `_Supervisor`.

    Raises:
        UnreachableError: the supervisor closed the connection, and cannot be reached again.
        RefusedError: the supervisor has ended, so that the outcome cannot be known.
    """
    from supervisor.control.client import UnreachableError  # noqa: PLC0415 - not for --help

    ticket = firing = ""
    with closing(_Supervisor(connection, lost)) as supervisor:
        try:
            for line in connection.ask(verb, request, every):
                if line and "ticket" in line:
                    ticket = line["ticket"]["id"]
                else:
                    firing = (line or {}).get("progress", {}).get("firing") or firing
                    yield line
        except UnreachableError as error:
            broken = error
        else:
            return
        while ticket:
            try:
                with closing(supervisor.connected(broken)) as again:
                    for line in again.ask("ticket", {"id": firing or ticket, "wait": True}, every):
                        yield supervisor.outcome(line, again.pid, firing)
            except UnreachableError as error:
                if supervisor.given_up:
                    raise (UnreachableError(f"{error}; {_later(firing)}") if firing else error) from None
                broken = error
            else:
                return
        raise broken


class _Supervisor:
    """The process that was asked first."""

    def __init__(self, connection: Connection, lost: Callable[[int, int], str] | None) -> None:
        """Watch its end.

        `lost` returns the error for its end before the outcome. It gets its pid, and the pid of the supervisor that
        answers in its place (0: there is none).
        """
        self.given_up = False
        self._path, self._pid = connection.path, connection.pid
        self._lost = lost
        self._process = _pidfd(self._pid)

    def close(self) -> None:
        """Watch it no more."""
        if self._process >= 0:
            os.close(self._process)

    def connected(self, broken: Exception) -> Connection:
        """Return a new connection, as soon as one is accepted.

        Raises:
            UnreachableError: the process has ended (`broken`), or accepts none in time.
            RefusedError: the process has ended, and the verb has its own words for that.
        """
        from supervisor.control.client import Connection, UnreachableError  # noqa: PLC0415

        until = time.monotonic() + LIMIT
        while time.monotonic() < until:
            ended = self._has_ended()
            try:
                return Connection(self._path)
            except UnreachableError:
                if ended:
                    break
            time.sleep(PAUSE)
        self.given_up = True
        raise RefusedError(self._lost(self._pid, 0)) if self._lost and self._has_ended() else broken

    def outcome(self, line: dict[str, Any] | None, pid: int, firing: str = "") -> dict[str, Any] | None:
        """Return the line that the first request would have had in place of this one for its ticket, or its firing.

        Raises:
            RefusedError: the supervisor that answers, with this pid, does not know the ticket.
        """
        if line and "error" in line and not firing:
            lost = f"the supervisor ended before it had answered, and another one (pid {pid}) runs; see `supctl status`"
            text, code = (self._lost(self._pid, pid), REFUSED) if self._lost else (lost, UNREACHABLE)
            raise RefusedError(text, code)
        if line and "answer" in line:
            ticket: dict[str, Any] = line["answer"]["ticket"]
            return {name: ticket[name] for name in ("answer", "error", "exit") if name in ticket}
        return line

    def _has_ended(self) -> bool:
        return self._process >= 0 and bool(select.select([self._process], [], [], 0)[0])


def _later(firing: str) -> str:
    return f"`supctl ticket {firing}` waits for this firing again"


def _pidfd(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended (pidfd_open(2)); -1: there is none."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1
