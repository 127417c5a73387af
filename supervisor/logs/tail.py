"""Last words: what a run said last, so that `why` and the history can say it of one that failed.

Of each run that has ended the last lines of its stderr are kept, or of its stdout when it has said nothing there. They
are kept here for the history, for a while; and of the last run of each instance in a small file of the runtime
directory (memory), where `supctl why` and `show` find it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisor.logs.places import ERR

if TYPE_CHECKING:
    from supervisor.logs.format import Origin

BYTES = 2048
LINES = 10
RUNS = 512
"""Runs of which the last words are kept here: those of a second of a crash storm."""


class Tails:
    """The last words of the last runs."""

    def __init__(self, runtime_dir: str) -> None:
        """`runtime_dir`: files are made in its folder "said"."""
        self._folder = f"{runtime_dir}/said"
        self._kept: dict[str, tuple[str, list[str]]] = {}

    def grown(self, tail: bytes, block: bytes, take: int) -> bytes:
        """A tail, after so many bytes of a block."""
        if take >= BYTES:
            return block[take - BYTES : take]
        return (tail + block[:take])[-BYTES:]

    def keep(self, origin: Origin, tail: bytes) -> None:
        """A stream has ended."""
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
        """The last lines of a run that has ended, by its id; empty when it has said nothing, or long ago."""
        return self._kept.get(run, ("", []))[1]

    def _write(self, key: str, said: dict[str, Any]) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        path = f"{self._folder}/{key}"
        with open(f"{path}.new", "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(said, file)
        os.rename(f"{path}.new", path)


def read(runtime_dir: str, key: str) -> dict[str, Any]:
    """What the last run of an instance said last: {"run", "stream", "lines"}; empty when nothing is kept."""
    return _object(f"{runtime_dir}/said/{key}")


def _object(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
