"""Keep the state files: small files in the runtime directory in which @scribe gives the newest state to the parent.

A reader gets only content of the right shape. So a damaged file, or one of another version, stops neither the parent
nor the next @scribe. Each file has its own folder. So inotify wakes a watcher of the folder for this file only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.core.utf8 import json_object
from supervisor.host import files
from supervisor.host.clock import moment
from supervisor.host.lookup import GONE, with_reserve
from supervisor.store import layout


class StateFile:
    """One state file."""

    def __init__(self, path: str, sanitize: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """`path` begins in the runtime directory, and has one folder; `sanitize` removes unusable content."""
        self.sanitize = sanitize
        self._folder, self.name = path.split("/")

    def folder(self, runtime_dir: str) -> str:
        """Return the folder of the file."""
        return f"{runtime_dir}/{self._folder}"

    def path(self, runtime_dir: str) -> str:
        """Return the path of the file."""
        return f"{self.folder(runtime_dir)}/{self.name}"

    def write(self, runtime_dir: str, what: dict[str, Any]) -> None:
        """Replace the earlier state.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        os.makedirs(self.folder(runtime_dir), mode=0o700, exist_ok=True)
        files.replace(self.path(runtime_dir), json.dumps(what).encode())

    def remove(self, runtime_dir: str) -> None:
        """Remove the file.

        Raises:
            OSError: there is no file, or the runtime directory is gone.
        """
        os.unlink(self.path(runtime_dir))

    def read(self, runtime_dir: str) -> dict[str, Any]:
        """Return the last state; an empty one when there is none, or when `write` did not write the content.

        Raises:
            OSError: it cannot be read.
        """
        try:
            content = _content(self.path(runtime_dir))
        except OSError as error:
            if error.errno in GONE:
                return {}
            raise
        return self.sanitize(json_object(content) or {})


class SharedStateFile(StateFile):
    """A state file of several processes. Each writes its own part: the first `name`, others "PART.NAME"."""

    def part(self, name: str) -> StateFile:
        """Return the file of one process; "": of the first."""
        return StateFile(f"{self._folder}/{name}.{self.name}", self.sanitize) if name else self

    def parts(self, runtime_dir: str) -> list[dict[str, Any]]:
        """Return the last state of each process.

        Raises:
            OSError: it cannot be read.
        """
        try:
            names = sorted(_names(self.folder(runtime_dir)))
        except OSError as error:
            if error.errno in GONE:
                return []
            raise
        files = (StateFile(f"{self._folder}/{name}", self.sanitize) for name in names if name.endswith(self.name))
        return [file.read(runtime_dir) for file in files]


@with_reserve
def _names(folder: str) -> list[str]:
    return os.listdir(folder)


@with_reserve
def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class StateReader:
    """A reader of a state file that reads it only when the file was replaced."""

    def __init__(self, file: StateFile, runtime_dir: str) -> None:
        self._file = file
        self._runtime_dir = runtime_dir
        self._seen: tuple[int, int] = (0, 0)
        self._state: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the last state; an empty one when there is none, or when it cannot be read."""
        try:
            now = os.stat(self._file.path(self._runtime_dir))
        except OSError:
            return {}
        if (now.st_ino, now.st_mtime_ns) != self._seen:
            with suppress(OSError):  # the next call tries again
                self._state = self._file.read(self._runtime_dir)
                self._seen = (now.st_ino, now.st_mtime_ns)
        return self._state


_NUMBER, _TEXT = (int, float), (str,)
Shape = dict[str, tuple[type, ...]]


def _whole(shape: Shape) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Accept a file of this shape; any other counts as empty."""
    return lambda found: found if _fits(found, shape) else {}


def _each(shape: Shape) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Accept a file with an entry for each instance; leave out entries of another shape."""
    return lambda found: {key: one for key, one in found.items() if _fits(one, shape)}


def _sentences(found: dict[str, Any]) -> dict[str, Any]:
    """Accept a file with a sentence for each subject; leave out other entries."""
    return {subject: why for subject, why in found.items() if isinstance(why, str)}


def _fits(found: object, shape: Shape) -> bool:
    if not isinstance(found, dict):
        return False
    fits = all(isinstance(found.get(name), kinds) for name, kinds in shape.items())
    return fits and (shape.get("at") is not _TEXT or _is_time(found["at"]))


def _is_time(text: str) -> bool:
    """Return whether this is a time as `clock.stamp` writes it."""
    try:
        moment(text)
    except ValueError:
        return False
    return True


def _samples(found: dict[str, Any]) -> dict[str, Any]:
    """Accept a round of samples; keep the instances whose samples are complete."""
    if not _fits(found, {"at": _NUMBER, "every": _NUMBER, "instances": (dict,)}):
        return {}
    return found | {"instances": {key: one for key, one in found["instances"].items() if _fits(one, _SAMPLE)}}


_FIGURE = (int, float, type(None))
_SAMPLE: Shape = {"run": _TEXT, "cpu": _FIGURE, "memory": _FIGURE, "processes": _FIGURE}


LOSSES = SharedStateFile(layout.LOSSES, _each({"bytes": (int,), "lines": (int,), "why": _TEXT, "at": _TEXT}))
"""Output that could not be written, as sums: {KEY: {"bytes", "lines", "why", "at"}}, with the time of the last loss."""


def losses(runtime_dir: str) -> dict[str, Any]:
    """Return the sums of all parts of `LOSSES`: an instance may have lost output in several processes in turn."""
    found: dict[str, Any] = {}
    for part in LOSSES.parts(runtime_dir):
        for key, loss in part.items():
            old = found.get(key, {"bytes": 0, "lines": 0, "at": ""})
            sums = {name: old[name] + loss[name] for name in ("bytes", "lines")}
            found[key] = {**max(old, loss, key=lambda one: str(one["at"])), **sums}
    return found


WAITS = StateFile(layout.WAITS, _sentences)
"""File systems that do not answer: {POINT: why, in words}. Nobody watches the file: `status` reads it."""

TROUBLES = SharedStateFile(layout.TROUBLES, _sentences)
"""The troubles of @scribe: {SUBJECT: sentence}; empty when all is well. Nobody watches the file: `status` reads it."""

BREACHES = StateFile(layout.BREACHES, _each({"run": _TEXT, "why": _TEXT}))
"""Runs beyond a limit that only @scribe watches: {KEY: {"run": its id, "why"}}."""

SAMPLES = StateFile(layout.SAMPLES, _samples)
"""The last usage of runs: {"at": monotonic seconds, "every": seconds, "instances": {KEY: {"run", …}}}."""

REJECTS = StateFile(layout.REJECTS, _whole({"records": (int,), "path": _TEXT, "why": _TEXT, "at": _TEXT}))
"""The number of records that @scribe could not use, their path, the last reason: {"records", "path", "why", "at"}."""
