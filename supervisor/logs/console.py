"""The supervisor's own stdout, for `log.to = "inherit"`. Each line follows the coloured name of its task.

stdout may be a pipe or a terminal whose reader stops reading. So the scribe never makes a write that could block.
Output that does not fit now stays in the FIFO of the task. It does not delay other tasks, whose lines go to files.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress

from supervisor.logs.file import Loss
from supervisor.logs.format import Origin, prefixed

ATOMIC = 4096
"""PIPE_BUF: a pipe that poll(2) calls writable takes this many bytes without blocking."""

COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


class Console:
    """The stdout that all tasks share."""

    def __init__(self, fd: int = 1) -> None:
        """Write to the descriptor `fd`."""
        self._fd = fd
        self._file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._colour = os.isatty(fd) and not os.environ.get("NO_COLOR")
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._width = 0
        self._colours: dict[str, str] = {}
        self._open_by = ""

    def register(self, key: str) -> None:
        """Learn the name of an instance. All names are padded to the widest one."""
        if key not in self._colours:
            self._colours[key] = COLOURS[len(self._colours) % len(COLOURS)]
            self._width = max(self._width, len(key.removesuffix(":1")))

    def append(self, origin: Origin, data: bytes) -> tuple[int, Loss]:
        """Write lines. Return how many of their bytes are done with, and how many of these are lost."""
        prefix, done, who = self._prefix(origin.key), 0, f"{origin.run} {origin.stream}"
        while done < len(data) and self._writable():
            goes_on = self._open_by == who
            end, out = self._piece(data, done, prefix, goes_on=goes_on)
            if self._open_by and not goes_on:
                out = b"\n" + out
            try:
                _write_all(self._fd, out)
            except BlockingIOError:
                break
            except OSError as error:
                return len(data), Loss(len(data) - done, data.count(b"\n", done), f"stdout: {error.strerror}")
            self._open_by = "" if data[end - 1] == 0x0A else who
            done = end
        return done, Loss(0, 0, "")

    def end(self, origin: Origin) -> None:
        """End the last line of a stream that has ended. If the write would block, the next line ends it."""
        if self._open_by == f"{origin.run} {origin.stream}" and self._writable():
            with suppress(BlockingIOError):
                os.write(self._fd, b"\n")
                self._open_by = ""

    def _piece(self, data: bytes, begin: int, prefix: bytes, *, goes_on: bool) -> tuple[int, bytes]:
        """Return the end of the piece that one write may take, and the bytes to write."""
        room = len(data) if self._file else ATOMIC - len(prefix) - 1
        while True:
            end = min(len(data), begin + room)
            end = data.rfind(b"\n", begin, end) + 1 or end
            piece = data[begin:end]
            out = b"".join(prefixed(piece, len(piece), prefix, goes_on=goes_on))
            if len(out) < ATOMIC or self._file:
                return end, out
            room //= 2

    def _prefix(self, key: str) -> bytes:
        self.register(key)
        name = key.removesuffix(":1").ljust(self._width)
        return f"\033[{self._colours[key]}m{name} | \033[0m".encode() if self._colour else f"{name} | ".encode()

    def _writable(self) -> bool:
        return self._file or any(events & (select.POLLOUT | select.POLLERR) for _, events in self._poll.poll(0))


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
