"""Output: what tasks write, from their FIFOs to where it shall go."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor.host.inotify import IN_CREATE, Watch
from supervisor.store import plan

if TYPE_CHECKING:
    from supervisor.helpers.part import Loop

BLOCK = 65536
COLOURS = ("36", "33", "32", "35", "34", "31", "96", "93", "92", "95", "94", "91")


class Stream:
    """One FIFO: what was read and is no whole line yet."""

    def __init__(self, path: str, colour: str) -> None:
        name = os.path.basename(path).removesuffix(".out").removesuffix(".err")
        self.name = name.removesuffix(":1").encode()
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # its own writer: no end without end, when all others die
        self._start, self._end = (f"\033[{colour}m".encode(), b"\033[0m") if colour else (b"", b"")
        self._rest = b""

    def read(self, width: int) -> bytes:
        """What has come, with a prefix on each line; a line that is longer than a block is cut there."""
        try:
            data = os.read(self.fd, BLOCK)
        except BlockingIOError:
            return b""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) >= BLOCK:
            lines.append(self._rest)
            self._rest = b""
        return self._prefixed(lines, width)

    def flush(self, width: int) -> bytes:
        """The last line of a task that ended without a newline."""
        rest, self._rest = self._rest, b""
        return self._prefixed([rest], width) if rest else b""

    def _prefixed(self, lines: list[bytes], width: int) -> bytes:
        prefix = self._start + self.name.ljust(width) + b" | " + self._end
        return b"".join(prefix + line + b"\n" for line in lines)


class Output:
    """Every FIFO of the runtime directory. A part of @scribe."""

    def __init__(self, runtime_dir: str) -> None:
        """`runtime_dir`: where the FIFOs are."""
        self.directory = plan.folder(runtime_dir)
        self._streams: dict[str, Stream] = {}
        self._watch = Watch(IN_CREATE)
        self._watch.set(((self.directory, "*.out"), (self.directory, "*.err")))
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._width = 0
        self._loop: Loop | None = None

    def attach(self, loop: Loop) -> None:
        """See `Part`."""
        self._loop = loop
        loop.watch(self._watch.fd, lambda _: self._look())
        self._look()

    def planned(self, plan: dict[str, object]) -> None:
        """See `Part`."""

    def deadline(self) -> float | None:
        """See `Part`."""
        return None

    def due(self, now: float) -> None:
        """See `Part`."""

    def _look(self) -> None:
        """Opens the FIFOs that are new."""
        self._watch.concerned()
        for name in sorted(os.listdir(self.directory)):
            if name not in self._streams and name.endswith((".out", ".err")):
                colour = COLOURS[len(self._streams) // 2 % len(COLOURS)] if self._colour else ""
                stream = self._streams[name] = Stream(os.path.join(self.directory, name), colour)
                if self._loop:
                    self._loop.watch(stream.fd, self._reader(stream))
        self._width = max((len(stream.name) for stream in self._streams.values()), default=0)

    def _reader(self, stream: Stream) -> Callable[[int], None]:
        return lambda _: write_all(stream.read(self._width))

    def finish(self) -> None:
        """See `Part`."""
        for stream in self._streams.values():
            while data := stream.read(self._width):
                write_all(data)
            write_all(stream.flush(self._width))


def write_all(data: bytes) -> None:
    """To stdout, however long that takes."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except BlockingIOError:  # somebody made the terminal non-blocking
            select.select([], [1], [])
