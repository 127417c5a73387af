"""What one process of ours holds: memory, descriptors, pipes, inotify watches."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Gauge:
    """One measurement."""

    memory: float  # MiB that are its own (RssAnon)
    descriptors: int
    pipes: int
    watches: int


def measure(pid: int) -> Gauge | None:
    """Measures a process; None: it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        memory = int(status.split("RssAnon:")[1].split()[0]) / 1024
        fds = os.listdir(f"/proc/{pid}/fd")
    except (OSError, IndexError):
        return None
    pipes = watches = 0
    for fd in fds:
        with suppress(OSError):
            where = os.readlink(f"/proc/{pid}/fd/{fd}")
            pipes += where.startswith("pipe:")
            if "inotify" in where:
                watches += Path(f"/proc/{pid}/fdinfo/{fd}").read_text().count("inotify wd:")
    return Gauge(memory, len(fds), pipes, watches)
