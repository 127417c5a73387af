"""Read from the journal which runs live: for a helper that measures them and never asks the parent."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from supervisor.core.utf8 import json_object
from supervisor.store.journal_file import END

_NAMED = b'{"instance":"'

_NEEDED = {"id": str, "pid": int}
_ELSE: dict[str, Any] = {"birth": 0, "began": 0.0, "cgroup": "", "program": False}
"""The fields of a run that a helper reads, with the default for a missing value or one of another type."""


class JournalReader:
    """A reader of the journal that reads it only when it has changed."""

    def __init__(self, path: str) -> None:
        """`path`: the path of the journal."""
        self._path = path
        self._seen: tuple[int, int] = (0, 0)
        self._runs: dict[str, dict[str, Any]] = {}

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the run of each instance that has one, by the instance's key; a run has the keys of `instance.Run`."""
        try:
            now = os.stat(self._path)
        except OSError:
            return {}
        if (now.st_ino, now.st_size) != self._seen:
            with suppress(OSError):  # the next call tries again
                self._read()
                self._seen = (now.st_ino, now.st_size)
        return self._runs

    def _read(self) -> None:
        """Parse only the newest line of each instance: a journal may have many more lines."""
        newest: dict[bytes, bytes] = {}
        with open(self._path, "rb") as file:
            for line in file:
                if line == END:
                    break
                if line.startswith(_NAMED) and line.endswith(b"}\n"):
                    newest[line[len(_NAMED) : line.index(b'"', len(_NAMED))]] = line
        self._runs = {}
        for line in newest.values():
            record = json_object(line) or {}
            run = record.get("run")
            if isinstance(run, dict) and _is_usable(run):
                self._runs[str(record["instance"])] = _complete(run)


def _is_usable(run: dict[str, Any]) -> bool:
    return bool(run.get("pid")) and all(isinstance(run.get(name), kind) for name, kind in _NEEDED.items())


def _complete(run: dict[str, Any]) -> dict[str, Any]:
    numbers = (int, float)
    wrong = {
        name: default
        for name, default in _ELSE.items()
        if not isinstance(run.get(name), str if isinstance(default, str) else numbers)
    }
    return run | wrong
