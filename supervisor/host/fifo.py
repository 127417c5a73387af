"""The FIFOs through which @scribe reads the output of tasks whose log is "inherit".

The parent makes them and holds each open, so that what a dying task wrote last is not lost while nobody reads.
"""

from __future__ import annotations

import os

from supervisor.host.launch import fifo_paths


class Fifos:
    """The FIFOs of a runtime directory."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def make(self, runtime_dir: str, key: str) -> None:
        """Makes those of one instance, once.

        Raises:
            OSError: the runtime directory is full or gone, or no descriptor is left.
        """
        os.makedirs(f"{runtime_dir}/output", mode=0o700, exist_ok=True)
        for path in fifo_paths(runtime_dir, key):
            if path not in self._held or not os.path.exists(path):
                if not os.path.exists(path):
                    os.mkfifo(path, 0o600)
                self._held[path] = os.open(path, os.O_RDWR | os.O_NONBLOCK)
