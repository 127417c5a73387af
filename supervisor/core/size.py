"""Write sizes as people do."""

from __future__ import annotations


def words(size: int) -> str:
    """Return a number of bytes as the config has it: 536870912 is 512M."""
    unit = ""
    for larger in "KMG":
        if size % 1024:
            break
        size, unit = size // 1024, larger
    return f"{size}{unit}"
