"""Runs that are beyond a limit which only @scribe watches: its small file in the runtime directory.

It has a folder of its own, so that whoever watches that is woken by a breach and by nothing else.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

FOLDER, NAME = "breaches", "breaches.json"


def folder(runtime_dir: str) -> str:
    """Where the file is."""
    return f"{runtime_dir}/{FOLDER}"


def write(runtime_dir: str, breaches: dict[str, Any]) -> None:
    """Says who is beyond a limit: {KEY: {"run": the id of the run, "why"}}.

    Raises:
        OSError: the runtime directory is full or gone.
    """
    path = f"{folder(runtime_dir)}/{NAME}"
    os.makedirs(folder(runtime_dir), mode=0o700, exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(breaches, file)
    os.rename(f"{path}.new", path)


def read(runtime_dir: str) -> dict[str, Any]:
    """What `write` has said; nothing when nobody is, or none can tell."""
    with suppress(OSError, ValueError), open(f"{folder(runtime_dir)}/{NAME}", "rb") as file:
        found = json.loads(file.read())
        return found if isinstance(found, dict) else {}
    return {}
