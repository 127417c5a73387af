"""Where the demo keeps its things: beside the supervisor's socket, which every task is told."""

from __future__ import annotations

import os
from pathlib import Path

SOCKET = Path(os.environ["SUPERVISOR_SOCKET"])
DATABASE = SOCKET.parent / "readings.db"
URL = SOCKET.parent / "url"
"""Where the web server listens now; there is no file while it does not."""


def replace(path: Path, text: str) -> None:
    """Writes a file so that a reader finds the old one or the new one, never a half."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
