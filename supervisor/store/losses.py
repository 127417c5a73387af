"""What of the output could not be written, by instance: the scribe's small file in the runtime directory.

It has a folder of its own, so that whoever watches that is woken by losses and by nothing else.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

FOLDER, NAME = "lost", "losses.json"


def folder(runtime_dir: str) -> str:
    """Where the file is."""
    return f"{runtime_dir}/{FOLDER}"


def write(runtime_dir: str, losses: dict[str, Any]) -> None:
    """Keeps the sums: {KEY: {"bytes", "lines", "why", "at"}}, with the time of the last loss.

    Raises:
        OSError: the runtime directory is full or gone.
    """
    path = f"{folder(runtime_dir)}/{NAME}"
    os.makedirs(folder(runtime_dir), mode=0o700, exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(losses, file)
    os.rename(f"{path}.new", path)


def read(runtime_dir: str) -> dict[str, Any]:
    """What `write` has kept; nothing when nothing was lost, or none can tell."""
    with suppress(OSError, ValueError), open(f"{folder(runtime_dir)}/{NAME}", "rb") as file:
        found = json.loads(file.read())
        return found if isinstance(found, dict) else {}
    return {}
