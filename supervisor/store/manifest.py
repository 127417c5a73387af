"""Keep the manifest: the part of the config that the helpers need, in a small file of the runtime directory.

The parent writes the whole file at its start and after each change of the config. A rename replaces the old file, and
inotify reports it to the helpers. So a helper never needs the config, its parser, or an answer of the parent.

    {"log_dir": PATH, "state_dir": PATH, "socket": PATH, "group": NAME | null, "sample": SECONDS,
     "tasks": {NAME: {"log": {as `definition.Log`}, "user": NAME | null, "limits": {what may have to be watched}}},
     "instances": [KEY, …]}
"""

from __future__ import annotations

import json
import os
from typing import Any

from supervisor.core.utf8 import json_object
from supervisor.host import files
from supervisor.store import layout


def write(runtime_dir: str, manifest: dict[str, Any]) -> None:
    """Replace the manifest.

    Raises:
        OSError: the runtime directory is full or gone.
    """
    os.makedirs(layout.outputs(runtime_dir), mode=0o700, exist_ok=True)
    files.replace(layout.manifest(runtime_dir), json.dumps(manifest, separators=(",", ":")).encode())


def read(runtime_dir: str) -> dict[str, Any]:
    """Return the newest manifest; an empty one when there is none that can be read."""
    try:
        with open(layout.manifest(runtime_dir), "rb") as file:
            manifest = json_object(file.read()) or {}
    except OSError:
        return {}
    return manifest if _is_sound(manifest) else {}


_SHAPE: dict[str, type | tuple[type, ...]] = {
    "log_dir": str, "state_dir": str, "sample": (int, float), "tasks": dict, "instances": list,
}  # fmt: skip


def _is_sound(manifest: dict[str, Any]) -> bool:
    """Return whether helpers can use this manifest. Another version may have written it, or it may be damaged."""
    if not all(isinstance(manifest[name], kind) for name, kind in _SHAPE.items() if name in manifest):
        return False
    tasks, keys = manifest.get("tasks", {}).values(), manifest.get("instances", ())
    of_tasks = all(isinstance(one, dict) and isinstance(one.get("log", {}), dict) for one in tasks)
    return of_tasks and all(isinstance(key, str) for key in keys)
