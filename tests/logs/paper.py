"""A scribe by itself: a runtime directory, a manifest, FIFOs as the parent makes them, and writers."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from supervisor.logs import tail
from supervisor.store import manifest

PATIENCE = 60.0
"""Seconds; the bound of each wait, never a measured value."""


def wait_for(fact: Callable[[], Any], what: str = "") -> Any:
    """The value of `fact` as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := fact()):
        assert time.monotonic() < deadline, f"never came true: {what or fact}"
        time.sleep(0.005)
    return value


class Paper:
    """One scribe and everything around it."""

    def __init__(self, place: Path) -> None:
        self.run, self.log = place / "run", place / "log"
        self.log.mkdir()
        self.output = self.run / "output"
        self.output.mkdir(parents=True)
        self.process: subprocess.Popen[bytes]
        self._held: dict[str, int] = {}

    def manifest(
        self,
        instances: tuple[str, ...] = ("web:1",),
        loud: dict[str, Any] | None = None,
        group: str | None = None,
        **log: Any,
    ) -> None:
        """Writes the manifest; `log`: of the task "web", `loud` of the other one."""
        log = {"max_size": 1 << 40, **log}
        tasks = {"web": {"log": log, "user": None}, "loud": {"log": loud or {}, "user": None}}
        whole = {"log_dir": str(self.log), "group": group, "tasks": tasks, "instances": list(instances)}
        manifest.write(str(self.run), whole)

    def scribe(self, command: list[str] | None = None, **popen: Any) -> None:
        """Starts one."""
        words = [*(command or [sys.executable]), "-m", "supervisor.helpers.scribe", str(self.run)]
        self.process = subprocess.Popen(words, **popen)

    def kill(self) -> None:
        """As it is."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End this at the end of the test."""
        if hasattr(self, "process") and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        while self._held:
            os.close(self._held.popitem()[1])

    def open(self, fifo: str) -> FileIO:
        """A FIFO, held open for reading as the parent does, opened as a task has it."""
        path = self.output / fifo
        if not path.exists():
            os.mkfifo(path, 0o600)
            self._held[fifo] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return _Writer(os.open(path, os.O_RDWR), "wb")

    def write(self, fifo: str, data: bytes, until: threading.Event | None = None) -> threading.Thread:
        """A task that writes this and ends; with `until`, again and again."""
        file = self.open(fifo)

        def run() -> None:
            with file:
                file.write(data)
                while until and not until.is_set():
                    file.write(data)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def fifos(self) -> list[str]:
        return sorted(name for name in os.listdir(self.output) if "@" in name)

    def drained(self) -> None:
        """Waits until nothing is left in any FIFO, and the scribe has answered for it."""
        wait_for(self._empty)

    def _empty(self) -> bool:
        import array  # noqa: PLC0415
        import fcntl  # noqa: PLC0415
        import termios  # noqa: PLC0415

        count = array.array("i", [0])
        for fd in self._held.values():
            fcntl.ioctl(fd, termios.FIONREAD, count)
            if count[0]:
                return False
        return True

    def logs(self) -> list[str]:
        """The log files, without what lies beside them."""
        return sorted(name for name in os.listdir(self.log) if not name.startswith("."))

    def read(self, name: str) -> bytes:
        path = self.log / name
        return path.read_bytes() if path.exists() else b""

    def lines(self, name: str, fmt: str) -> bytes:
        """What was written, taken out of its format."""
        data = self.read(name)
        if fmt == "plain":
            stamped = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z out ")
            lines = data.split(b"\n")
            assert all(stamped.match(line) for line in lines[:-1])
            return b"\n".join(line[29:] for line in lines)
        if fmt == "json":
            return b"".join(json.loads(line)["message"].encode() + b"\n" for line in data.splitlines())
        return data

    def said(self, key: str) -> dict[str, Any]:
        return tail.read(str(self.run), key)


class _Writer(FileIO):
    """Writes all of it: a FIFO may take a part."""

    def write(self, data: Any) -> int:
        view = memoryview(data)
        while view:
            view = view[super().write(view) or 0 :]
        return len(data)
