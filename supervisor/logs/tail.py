"""Last words: the last output lines of a run. `why` and the history show them for a run that failed.

The scribe keeps the last stderr lines of each run that has ended. If the run wrote nothing to stderr, it keeps the last
stdout lines. This process keeps them for a while, for the history. For the last run of each instance, a small file in
the runtime directory (memory) has them too. `supctl why` and `show` read that file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisor.host import files
from supervisor.logs.names import ERR
from supervisor.store import layout

if TYPE_CHECKING:
    from supervisor.logs.format import Origin

BYTES = 2048
LINES = 10
RUNS = 512
"""The number of runs whose last words are kept here. It covers one second of a crash storm."""


class Tails:
    """The last words of the last runs."""

    def __init__(self, runtime_dir: str) -> None:
        """Keep the files in `runtime_dir`."""
        self._folder = layout.last_lines(runtime_dir)
        self._kept: dict[str, tuple[str, list[str]]] = {}

    def grown(self, tail: bytes, block: bytes, take: int) -> bytes:
        """Return a tail, extended by the first `take` bytes of a block."""
        if take >= BYTES:
            return block[take - BYTES : take]
        return (tail + block[:take])[-BYTES:]

    def add(self, origin: Origin, tail: bytes) -> None:
        """Keep the tail of a stream that has ended."""
        if not tail:
            return
        stream, _ = self._kept.get(origin.run, ("", []))
        if stream == ERR:
            return
        lines = tail.decode(errors="backslashreplace").splitlines()[-LINES:]
        self._kept.pop(origin.run, None)
        self._kept[origin.run] = (origin.stream, lines)
        while len(self._kept) > RUNS:
            del self._kept[next(iter(self._kept))]
        with suppress(OSError):
            self._write(origin.key, {"run": origin.run, "stream": origin.stream, "lines": lines})

    def of(self, run: str) -> list[str]:
        """Return the last lines of an ended run, by its id. Empty: it wrote nothing, or ended long ago."""
        if run in self._kept:
            return self._kept[run][1]
        said = read(os.path.dirname(self._folder), run.rpartition("/")[0])  # another process may have read it
        return list(said.get("lines", ())) if said.get("run") == run else []

    def _write(self, key: str, said: dict[str, Any]) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        files.replace(f"{self._folder}/{key}", json.dumps(said).encode())


def read(runtime_dir: str, key: str) -> dict[str, Any]:
    """Return the last words of an instance's last run: {"run", "stream", "lines"}; empty if none are kept."""
    return _object(f"{layout.last_lines(runtime_dir)}/{key}")


def _object(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
