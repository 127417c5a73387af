"""Find the file system of a path, without a call to that file system, which may never answer.

The answer comes from /proc/self/mountinfo (proc(5)), which the kernel writes from memory. Symbolic links are followed
as long as they lie on the root file system or in memory. Any other link is not read, because reading it could hang.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"

MEMORY = (
    "tmpfs", "ramfs", "devtmpfs", "proc", "sysfs", "devpts", "cgroup", "cgroup2", "mqueue", "hugetlbfs", "securityfs",
    "debugfs", "tracefs", "bpf",
)  # fmt: skip
"""File systems without a disk, a network or another program behind them: the kernel itself answers."""

LINKS = 40
"""The maximum of symbolic links on the way to one file, as in the kernel (path_resolution(7))."""


class Mounted(NamedTuple):
    """A file system other than that of the root directory."""

    device: str  # "MAJOR:MINOR"; the same for each mount of one file system
    point: str  # where it is mounted, on the path that was asked for


class Mounts:
    """Every mount of this mount namespace, as it was when this was made."""

    def __init__(self) -> None:
        self._points: dict[str, tuple[str, str]] = {}  # device and type
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                words = before.split(" ")
                self._points[_plain(words[4])] = words[2], after.split(" ")[0]
        self._root = self._points.get("/", ("", ""))[0]

    def of(self, path: str) -> Mounted | None:
        """Return the file system on which a path lies; None: that of the root directory, or one in memory."""
        reached, links = "", 0
        rest = path.split("/")[::-1]
        while rest:
            name = rest.pop()
            if name == "..":
                reached = os.path.dirname(reached).rstrip("/")
            if name in ("", ".", ".."):
                continue
            reached = f"{reached}/{name}"
            device, kind = self._points.get(reached, ("", ""))
            if device and device != self._root and kind not in MEMORY:
                return Mounted(device, reached)
            target = _target(reached)
            if target and links < LINKS:
                links += 1
                reached = "" if target.startswith("/") else os.path.dirname(reached).rstrip("/")
                rest += target.split("/")[::-1]
        return None


def _target(path: str) -> str:
    """Return the target of a symbolic link; "" if the path is no link."""
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return ""


def _plain(text: str) -> str:
    r"""Return a path of mountinfo in plain text: mountinfo writes "\040" for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
