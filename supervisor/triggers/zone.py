"""Find the data of a time zone (tzfile(5)), and notice when it changes."""

from __future__ import annotations

import io
import os
from weakref import WeakValueDictionary
from zlib import crc32
from zoneinfo import TZPATH, ZoneInfo

LOCALTIME = "/etc/localtime"
"""The zone of the host (localtime(5))."""


class Zone:
    """A time zone by its IANA name; "": the zone of the host.

    `assumed` tells that the host has none, and UTC stands in for it.
    """

    def __init__(self, name: str) -> None:
        """Read the data.

        Raises:
            OSError, ValueError: there are none, or they are damaged.
        """
        name = name or os.environ.get("TZ", "").removeprefix(":")
        content = _content(name)
        self.name = name or _name_of(os.path.realpath(LOCALTIME))
        self.fingerprint = f"{crc32(content):08x}"
        self.info = _info(self.name, self.fingerprint, content)
        self.assumed = not name and not content


_shared: WeakValueDictionary[tuple[str, str], ZoneInfo] = WeakValueDictionary()
"""The zones in use, by name and fingerprint: thousands of tasks have the same."""


def _info(name: str, fingerprint: str, content: bytes) -> ZoneInfo:
    info = _shared.get((name, fingerprint))
    if info is None:
        try:
            info = ZoneInfo.from_file(io.BytesIO(content), name) if content else ZoneInfo(name)
        except KeyError:
            raise ValueError(f"there are no data of the time zone {name!r}") from None
        _shared[name, fingerprint] = info
    return info


def _content(name: str) -> bytes:
    places = [f"{folder}/{name}" for folder in TZPATH] if name and not name.startswith("/") else [name or LOCALTIME]
    for place in places:
        try:
            with open(place, "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    return b""  # perhaps the package `tzdata` has it


def _name_of(path: str) -> str:
    """Return the IANA name of the file to which /etc/localtime leads."""
    for folder in TZPATH:
        real = os.path.realpath(folder)
        if path.startswith(f"{real}/"):
            return path.removeprefix(f"{real}/")
    return "UTC" if not os.path.exists(path) else path
