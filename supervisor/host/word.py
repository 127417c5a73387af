"""The word that a program is on trial: a file that is there from its first instruction until the trial is over.

A new program that is killed by a signal cannot execute the old one. So it leaves, before anything else, all that it was
told; and whoever finds that when it comes up is the next one that a service manager has started. If that is the same
program, it executes the old one before it adopts anything. If it is another one, somebody has mended what was wrong in
the meantime: the word is not about it.
"""

from __future__ import annotations

import json
import os
from zlib import crc32

from supervisor.host.handover import DESCRIPTORS, Handover
from supervisor.version import __version__

NAME = "trial.json"
"""In the runtime directory."""


def leave(handover: Handover, directory: str, boot: str) -> None:
    """The trial of this program begins.

    Raises:
        OSError: the runtime directory is full.
    """
    told = {"boot": boot, "on_trial": identity(), **vars(handover), **dict.fromkeys(DESCRIPTORS, -1)}
    path = f"{directory}/{NAME}"
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(told, file)
    os.rename(f"{path}.new", path)


def unfinished(directory: str, boot: str) -> Handover | None:
    """What this very program was told when it died on its trial, in this boot. It is told once."""
    try:
        with open(f"{directory}/{NAME}", "rb") as file:
            told = file.read()
        over(directory)
        values = json.loads(told)
        handover = Handover(values)
        meant = values["boot"] == boot and values["on_trial"] == identity() and os.path.exists(handover.program)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return handover if meant else None


def over(directory: str) -> None:
    """The trial is over, however it went."""
    try:
        os.unlink(f"{directory}/{NAME}")
    except FileNotFoundError:
        return


def identity() -> str:
    """Of this program: its version, and a sum of all its sources."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = 0
    for place, below, names in os.walk(package):
        below.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(place, name)
                with open(path, "rb") as file:
                    found = crc32(file.read(), crc32(os.path.relpath(path, package).encode(), found))
    return f"{__version__} {found:08x}"
