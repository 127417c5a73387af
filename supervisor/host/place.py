"""Which file has a name just now: by device and inode, as a name may be another one's at any moment."""

from __future__ import annotations

import os

Place = tuple[int, int]


def place_of(file: str | int) -> Place | None:
    """Of a path or a descriptor; None: there is nothing, or nothing that can be reached."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino
