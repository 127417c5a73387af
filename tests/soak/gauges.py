"""What one process of ours holds: memory, descriptors, pipes, inotify watches."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Gauge:
    """One measurement."""

    memory: float  # MiB of anonymous memory (RssAnon), also of pages that it shares with a process that it forked from
    own: float  # MiB of anonymous memory, of which a page that N processes share counts 1/N (Pss_Anon)
    descriptors: int
    pipes: int
    watches: int


def measure(pid: int) -> Gauge | None:
    """Measures a process; None: it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        memory = int(status.split("RssAnon:")[1].split()[0]) / 1024
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        own = int(rollup.split("Pss_Anon:")[1].split()[0]) / 1024
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
    return Gauge(memory, own, len(fds), pipes, watches)
