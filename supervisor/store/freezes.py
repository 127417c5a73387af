"""The freezes of `supctl freeze` on disk, in the state directory: they outlive the supervisor and the machine.

A JSON file, replaced as a whole and synced. Only errands read and write it.

The journal has them, too. Either may be behind the other one, when a disk or the runtime directory was full; so each
change has a number, and what has the higher one counts.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

NAME = "freezes.json"


Kept = dict[str, Any]
"""`freezes`, a list, and `count`, the number of the change that made it so."""

NOTHING: Kept = {"count": 0, "freezes": []}


def load(state_dir: str) -> Kept:
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
        return NOTHING
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not usable(kept):
        raise ValueError(f"{path}: not what a supervisor has kept")
    return dict(kept)


def usable(kept: object) -> bool:
    """Whether it has the shape of what is kept."""
    if not isinstance(kept, dict) or not isinstance(kept.get("count"), int):
        return False
    freezes = kept.get("freezes")
    return isinstance(freezes, list) and all(map(_is_freeze, freezes))


def _is_freeze(entry: object) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("scope", "by", "since")):
        return False
    until = entry.get("until")
    if until is None:
        return True
    from datetime import datetime  # noqa: PLC0415 - only a freeze that ends by itself needs it

    try:
        return datetime.fromisoformat(until).tzinfo is not None
    except (TypeError, ValueError):
        return False


def save(state_dir: str, kept: Kept) -> None:
    """Replaces the file; it is on the disk when this returns.

    Raises:
        OSError: it is not.
    """
    path = os.path.join(state_dir, NAME)
    try:
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".new", path)
    except OSError:
        with suppress(OSError):  # on a full disk even what there is of it is too much
            os.unlink(path + ".new")
        raise
    directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
