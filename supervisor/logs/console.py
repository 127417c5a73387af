"""The supervisor's own stdout, for `log.to = "inherit"`: each line after the name of its task, in a colour of its own.

It is somebody else's pipe or terminal, who may stop to read. So nothing is written that might have to wait: what does
not fit now stays in the FIFO of the task, and the other tasks, whose lines go to files, are not held up.
"""

from __future__ import annotations

import os
import select
import stat

from supervisor.logs.file import Loss
from supervisor.logs.format import Origin, prefixed

ATOMIC = 4096
"""PIPE_BUF: a pipe that poll(2) calls writable takes as much without waiting."""

COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


class Console:
    """One for all tasks."""

    def __init__(self, fd: int = 1) -> None:
        """`fd`: where it goes."""
        self._fd = fd
        self._file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._colour = os.isatty(fd) and not os.environ.get("NO_COLOR")
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._width = 0
        self._colours: dict[str, str] = {}
        self._open_by = ""

    def know(self, key: str) -> None:
        """There is this instance: names are as wide as the widest."""
        if key not in self._colours:
            self._colours[key] = COLOURS[len(self._colours) % len(COLOURS)]
            self._width = max(self._width, len(key.removesuffix(":1")))

    def append(self, origin: Origin, data: bytes) -> tuple[int, Loss]:
        """Writes lines. Returns how many bytes of them are through, and what is lost of those."""
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
        """Nothing more comes from there: its last line ends."""
        if self._open_by == f"{origin.run} {origin.stream}":
            self._open_by = ""
            os.write(self._fd, b"\n")

    def _piece(self, data: bytes, begin: int, prefix: bytes, *, goes_on: bool) -> tuple[int, bytes]:
        """As much of it as may be written at once: its end, and what is written."""
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
        self.know(key)
        name = key.removesuffix(":1").ljust(self._width)
        return f"\033[{self._colours[key]}m{name} | \033[0m".encode() if self._colour else f"{name} | ".encode()

    def _writable(self) -> bool:
        return self._file or any(events & (select.POLLOUT | select.POLLERR) for _, events in self._poll.poll(0))


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
