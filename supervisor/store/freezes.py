"""The freezes of `supctl freeze` on disk, in the state directory: they outlive the supervisor and the machine.

A JSON file, replaced as a whole and synced. Only errands call this.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

NAME = "freezes.json"


def load(state_dir: str) -> list[dict[str, Any]]:
    """What was saved; nothing when there is no file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what `save` wrote.
    """
    path = os.path.join(state_dir, NAME)
    try:
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(kept, list) or not all(map(_usable, kept)):
        raise ValueError(f"{path}: not a list of freezes")
    return kept


def _usable(entry: object) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("scope", "by", "since")):
        return False
    until = entry.get("until")
    try:
        return until is None or datetime.fromisoformat(until).tzinfo is not None
    except (TypeError, ValueError):
        return False


def save(state_dir: str, kept: list[dict[str, Any]]) -> None:
    """Replaces the file; it is on the disk when this returns.

    Raises:
        OSError: it is not.
    """
    path = os.path.join(state_dir, NAME)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
