"""What @scribe tells the parent: small files in the runtime directory, by instance, each with the newest state.

Each has a folder of its own, so that whoever watches that (inotify) is woken by this file and by nothing else.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any


class Told:
    """One such file."""

    def __init__(self, folder: str, name: str) -> None:
        """`folder` of the runtime directory, `name` of the file in it."""
        self.name = name
        self._folder = folder

    def folder(self, runtime_dir: str) -> str:
        """Where the file is."""
        return f"{runtime_dir}/{self._folder}"

    def write(self, runtime_dir: str, what: dict[str, Any]) -> None:
        """Takes the place of what was told before.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        path = f"{self.folder(runtime_dir)}/{self.name}"
        os.makedirs(self.folder(runtime_dir), mode=0o700, exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(what, file)
        os.rename(f"{path}.new", path)

    def read(self, runtime_dir: str) -> dict[str, Any]:
        """What was told last; nothing when nothing was, or none can tell."""
        with suppress(OSError, ValueError), open(f"{self.folder(runtime_dir)}/{self.name}", "rb") as file:
            found = json.loads(file.read())
            return found if isinstance(found, dict) else {}
        return {}


class Newest:
    """A reader of such a file, which reads it only when it is another one."""

    def __init__(self, told: Told, runtime_dir: str) -> None:
        self._file = told
        self._runtime_dir = runtime_dir
        self._seen: tuple[int, int] = (0, 0)
        self._told: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """What was told last; nothing when nothing was, or none can tell."""
        try:
            now = os.stat(f"{self._file.folder(self._runtime_dir)}/{self._file.name}")
        except OSError:
            return {}
        if (now.st_ino, now.st_mtime_ns) != self._seen:
            self._told = self._file.read(self._runtime_dir)
            self._seen = (now.st_ino, now.st_mtime_ns)
        return self._told


LOSSES = Told("lost", "losses.json")
"""Output that could not be written, as sums: {KEY: {"bytes", "lines", "why", "at"}}, with the time of the last loss."""

TROUBLES = Told("history", "trouble.json")
"""Why the history cannot be written: {"why"}; nothing in it when it can. Nobody is woken: `status` looks."""

BREACHES = Told("breaches", "breaches.json")
"""Runs that are beyond a limit which only @scribe watches: {KEY: {"run": its id, "why"}}."""

SAMPLES = Told("usage", "samples.json")
"""What runs used at the last look: {"at": monotonic seconds, "every": seconds, "instances": {KEY: {"run", …}}}."""
