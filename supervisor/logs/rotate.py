"""Rotation: NAME becomes NAME.1, NAME.1 becomes NAME.2, and so on. Files beyond `keep` are removed.

A rotation only renames files and copies no byte. So a reader finds each file under one name or the next. A rotation
that dies half-way leaves a gap in the numbers. The next rotation closes that gap, and does not remove the oldest file.
"""

from __future__ import annotations

import os
from contextlib import suppress

from supervisor.logs.names import rotated


def rotate(path: str, keep: int) -> None:
    """Give each file its next name. With `keep` = 0, remove the file.

    Raises:
        OSError: a file cannot be renamed.
    """
    there = rotated(path)
    gap = next(number for number in range(1, len(there) + 2) if number not in there)
    for number in [n for n in there if n > keep or n == keep < gap]:
        remove(there.pop(number))
        remove(f"{path}.{number}.gz")
    for number in range(min(gap, keep) - 1, 0, -1):
        place = there[number]
        if not place.endswith(".gz"):
            remove(f"{place}.gz")  # from a compression that has not yet removed its original
        os.rename(place, place.replace(f"{path}.{number}", f"{path}.{number + 1}", 1))
    if keep:
        os.rename(path, f"{path}.1")
    else:
        os.unlink(path)


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all the data."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
