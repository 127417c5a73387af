"""Identify the file that has a name now, by device and inode: another file may get the name at any moment."""

from __future__ import annotations

import os

Place = tuple[int, int]


def place_of(file: str | int) -> Place | None:
    """Return device and inode of a path or a descriptor; None: there is no file, or it cannot be reached."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def leads_to(descriptor: str, path: str) -> bool:
    """Return whether a descriptor, as a path of proc(5), is of the file with this name, even if that was removed.

    Raises:
        OSError: there is no such descriptor, or it may not be read.
    """
    return os.path.basename(os.readlink(descriptor)).removesuffix(" (deleted)") == os.path.basename(path)
