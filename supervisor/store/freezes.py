"""Keep freezes and holds of `supctl` on disk, in the state directory: they survive the supervisor and a reboot.

The file is JSON. Each change replaces it as a whole and syncs it. Only `shell.offloaded` reads and writes it.

The journal has the freezes, too. Either copy may be older than the other, when a disk or the runtime directory was
full. So each change has a number, and the copy with the higher number counts.
"""

from __future__ import annotations

import json
from typing import Any

from supervisor.host import files
from supervisor.store import layout

Kept = dict[str, Any]
"""`freezes` and `holds`, lists, and `count`, the number of their last change. `holds` may be missing."""

NOTHING: Kept = {"count": 0, "freezes": []}


def load(state_dir: str) -> Kept:
    """Return the saved freezes; none when there is no file.

    Raises:
        OSError: the file cannot be read.
        ValueError: `save` did not write this content.
    """
    path = layout.freezes(state_dir)
    try:
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not usable(kept):
        raise ValueError(f"{path}: not a file of freezes")
    return dict(kept)


def usable(kept: object) -> bool:
    """Return whether this object has the shape of `Kept`."""
    if not isinstance(kept, dict) or not isinstance(kept.get("count"), int):
        return False
    lists = kept.get("freezes"), kept.get("holds", [])
    return all(isinstance(some, list) and all(map(_is_freeze, some)) for some in lists)


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
    """Replace the file; it is on the disk when this function returns.

    Raises:
        OSError: it is not on the disk.
    """
    files.replace(layout.freezes(state_dir), json.dumps(kept, indent=1).encode(), sync=True)
