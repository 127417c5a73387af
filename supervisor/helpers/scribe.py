"""@scribe: reads what tasks write and puts it, line by line with the task's name before it, on the supervisor's stdout.

Started by the parent as soon as a task has `log.to = "inherit"`. It finds the FIFOs by looking into their
directory, whenever that changes. It may block on its stdout as long as it likes: tasks that write then wait, the
parent never does. A scribe that is killed loses nothing that it had not read.

    python -m supervisor.helpers.scribe DIRECTORY
"""

from __future__ import annotations

import os
import select
import signal
import sys

from supervisor.host.inotify import IN_CREATE, Watch

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


class Scribe:
    """Every FIFO of a directory."""

    def __init__(self, directory: str, wake: int) -> None:
        """`wake` is a descriptor that ends a wait."""
        self.directory = directory
        self._streams: dict[str, Stream] = {}
        self._poll = select.epoll()
        self._watch = Watch(IN_CREATE)
        self._watch.set(((directory, "*"),))
        self._poll.register(self._watch.fd, select.EPOLLIN)
        self._poll.register(wake, select.EPOLLIN)
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._width = 0
        self.look()

    def look(self) -> None:
        """Opens the FIFOs that are new."""
        self._watch.concerned()
        for name in sorted(os.listdir(self.directory)):
            if name not in self._streams:
                colour = COLOURS[len(self._streams) // 2 % len(COLOURS)] if self._colour else ""
                stream = self._streams[name] = Stream(os.path.join(self.directory, name), colour)
                self._poll.register(stream.fd, select.EPOLLIN)
        self._width = max((len(stream.name) for stream in self._streams.values()), default=0)

    def turn(self, timeout: float | None) -> bool:
        """Waits for something and writes it out. False when nothing came. One block per task and turn: fair."""
        ready = {fd for fd, _ in self._poll.poll(timeout)}
        if self._watch.fd in ready:
            self.look()
        write_all(b"".join(s.read(self._width) for s in self._streams.values() if s.fd in ready))
        return bool(ready)

    def finish(self) -> None:
        """Writes out everything that is there."""
        while self.turn(0):
            pass
        write_all(b"".join(stream.flush(self._width) for stream in self._streams.values()))


def write_all(data: bytes) -> None:
    """To stdout, however long that takes."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except BlockingIOError:  # somebody made the terminal non-blocking
            select.select([], [1], [])


def main() -> None:
    """Runs until SIGTERM, then drains."""
    ended: list[int] = []
    wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    os.makedirs(sys.argv[1], mode=0o700, exist_ok=True)
    scribe = Scribe(sys.argv[1], wake)
    try:
        while not ended:
            scribe.turn(None)
        os.read(wake, 100)
        scribe.finish()
    except BrokenPipeError:  # nobody reads the supervisor's stdout any more
        sys.exit(0)


if __name__ == "__main__":
    main()
