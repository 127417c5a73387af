"""The plan: what the helpers have to know of the config, in a small file of the runtime directory.

The parent writes it whole at its start and whenever the config changes; it takes the place of the one before by a
rename, which inotify tells. So a helper never needs the config, its parser, or an answer of the parent.

    {"log_dir": PATH, "state_dir": PATH, "socket": PATH, "group": NAME | null, "sample": SECONDS,
     "tasks": {NAME: {"log": {as `definition.Log`}, "user": NAME | null, "limits": {what may have to be watched}}},
     "instances": [KEY, …]}
"""

from __future__ import annotations

import json
import os
from typing import Any

FOLDER = "output"
"""Of the runtime directory: the plan and the FIFOs; one directory that a helper has to watch."""

NAME = "plan.json"


def folder(runtime_dir: str) -> str:
    """Where plan and FIFOs are."""
    return f"{runtime_dir}/{FOLDER}"


def write(runtime_dir: str, plan: dict[str, Any]) -> None:
    """Replaces the plan.

    Raises:
        OSError: the runtime directory is full or gone.
    """
    path = f"{folder(runtime_dir)}/{NAME}"
    data = json.dumps(plan, separators=(",", ":")).encode()
    try:
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        os.makedirs(folder(runtime_dir), mode=0o700, exist_ok=True)
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    os.rename(f"{path}.new", path)


def read(runtime_dir: str) -> dict[str, Any]:
    """The newest plan; an empty one while there is none, or none that can be read."""
    try:
        with open(f"{folder(runtime_dir)}/{NAME}", "rb") as file:
            plan = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}
