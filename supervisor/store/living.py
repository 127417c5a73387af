"""Which runs live, as the journal says it: for a helper that looks at them, and never asks the parent."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

_NAMED = b'{"instance":"'


class Living:
    """A reader of the journal that reads it only when it has changed."""

    def __init__(self, path: str) -> None:
        """`path` is that of the journal."""
        self._path = path
        self._seen: tuple[int, int] = (0, 0)
        self._runs: dict[str, dict[str, Any]] = {}

    def runs(self) -> dict[str, dict[str, Any]]:
        """The run of each instance that has one, with the keys of `instance.Run`, by the key of the instance."""
        try:
            now = os.stat(self._path)
        except OSError:
            return {}
        if (now.st_ino, now.st_size) != self._seen:
            self._seen = (now.st_ino, now.st_size)
            with suppress(OSError):
                self._read()
        return self._runs

    def _read(self) -> None:
        """Only the newest line of each instance is looked into: a journal may have many more."""
        newest: dict[bytes, bytes] = {}
        with open(self._path, "rb") as file:
            for line in file:
                if line.startswith(_NAMED) and line.endswith(b"}\n"):
                    newest[line[len(_NAMED) : line.index(b'"', len(_NAMED))]] = line
        self._runs = {}
        for line in newest.values():
            with suppress(ValueError, KeyError):
                record = json.loads(line)
                if record.get("run") and record["run"]["pid"]:
                    self._runs[record["instance"]] = record["run"]
