"""Find the destination of each stream in the manifest, and keep the log files open that are in use."""

from __future__ import annotations

import grp
from collections.abc import Callable, Iterable
from typing import Any

from supervisor.logs.access import Rules
from supervisor.logs.file import LogFile
from supervisor.logs.format import Origin
from supervisor.logs.names import OUT, files
from supervisor.logs.stream import Stream


class Destinations:
    """The destinations of all streams of one reader."""

    def __init__(self, opened: Callable[[str, Rules], LogFile]) -> None:
        """Take as `opened` the function that makes the log file of a path."""
        self.manifest: dict[str, Any] = {}
        self._opened = opened
        self._files: dict[str, LogFile] = {}  # by path

    def files(self) -> Iterable[LogFile]:
        """Return the files in use."""
        return self._files.values()

    def targets(self) -> tuple[object, ...]:
        """Return everything in the manifest that decides a destination."""
        logs = {name: str(task.get("log")) for name, task in self.manifest.get("tasks", {}).items()}
        return self.manifest.get("log_dir"), logs

    def path(self, origin: Origin) -> str:
        """Return the file of a stream; "": its output goes to no file."""
        return self._find(origin)[0]

    def route(self, stream: Stream) -> None:
        """Set the destination of a stream."""
        path, task, log = self._find(stream.origin)
        stream.to, stream.file = log.get("to", "file"), None
        if not path:
            return
        rules = self._rules(task, log)
        stream.file = self._files.get(path)
        if stream.file is None:
            stream.file = self._files[path] = self._opened(path, rules)
        elif stream.file.rules != rules:
            stream.file.close()
            stream.file.rules = rules

    def close_unused(self, streams: Iterable[Stream]) -> None:
        """Close the files that none of these streams goes to."""
        used = {stream.file.path for stream in streams if stream.file}
        for path in self._files.keys() - used:
            self._files.pop(path).close()

    def _find(self, origin: Origin) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the file of a stream ("": none), and the manifest's entries for its task and for its log."""
        task = self.manifest.get("tasks", {}).get(origin.key.rpartition(":")[0], {})
        log = task.get("log", {})
        where = files(origin.key, log.get("to", "file"), log.get("stderr", "merged"), self.manifest.get("log_dir", ""))
        return (where.get(origin.stream) or where.get(OUT) or "") if self.manifest else "", task, log

    def _rules(self, task: dict[str, Any], log: dict[str, Any]) -> Rules:
        given = {name: log[name] for name in ("format", "max_size", "keep", "compress") if name in log}
        user = task.get("user") if log.get("to", "file") != "file" else None
        return Rules(**given, gid=_gid(self.manifest.get("group")), user=user)


def _gid(group: str | None) -> int:
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        return -1
