"""Name this host (machine-id(5))."""

from __future__ import annotations

import os


def host_id() -> str:
    """Return what names this host, also after a boot; its node name if the machine has no id."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read().strip() or os.uname().nodename
    except (OSError, ValueError):
        return os.uname().nodename
