"""Keep the config in force in the journal: a supervisor starts with it when the config on the disk is broken.

The service manager restarts a crashed supervisor, whatever the config on the disk contains by then. The new supervisor
must look after these tasks:

- tasks that live, and processes that others have left behind;
- tasks that wait for a restart, or have ended meanwhile.

So it starts with the last good config, adopts the tasks, and shows the error, as after a failed reload. Where no task
was wanted up, and after an orderly end, a broken config gives exit code 78, as always.

The config is JSON with the names of classes and fields, never a pickle. So another version of this program reads what
it knows. With a class or a field that it does not know, the config cannot be used. Defaults are left out, as a config
of 500 tasks consists mostly of them.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from supervisor.core import definition
from supervisor.core.definition import Config
from supervisor.core.immutable import not_default

NAME = "fleet config"


def pack(config: Config) -> str:
    """Return the config as text."""
    return json.dumps(_packed(config), separators=(",", ":"))


def unpack(text: str) -> Config:
    """Return the config that `pack` received.

    Raises:
        ValueError: this version does not understand the version that wrote it.
    """
    try:
        config = _unpacked(json.loads(text))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a config: {error!r}") from None
    if not isinstance(config, Config):
        raise ValueError("not a config")
    return config


def record(config_path: str, packed: str) -> dict[str, Any]:
    """Return the record for the journal."""
    return {"fleet": "config", "path": config_path, "config": packed}


def find(facts: dict[str, dict[str, Any]], path: str) -> str | None:
    """Return the last good config of this path, packed, if the journal has a task that is wanted, or a run.

    Args:
        facts: the facts of a journal.
        path: the path of the broken config; it distinguishes our journal from another supervisor's.
    """
    kept = facts.get(NAME, {})
    if kept.get("path") != path or not isinstance(kept.get("config"), str):
        return None
    tasks = (fact for name, fact in facts.items() if not name.startswith("@"))  # a helper is no task
    left_alone = any(fact.get("wanted") or fact.get("run") for fact in tasks if "instance" in fact)
    return str(kept["config"]) if left_alone else None


def _packed(value: Any) -> Any:  # noqa: ANN401 - whatever a config holds
    if isinstance(value, Enum):
        return {"is": type(value).__name__, "of": value.value}
    if isinstance(value, dict):
        return {"is": "dict", "of": [[_packed(key), _packed(inner)] for key, inner in value.items()]}
    if isinstance(value, (tuple, list)):
        return [_packed(inner) for inner in value]
    if hasattr(value, "__match_args__"):
        fields = not_default(value)
        return {"is": type(value).__name__, "of": {name: _packed(inner) for name, inner in fields.items()}}
    return value


def _unpacked(plain: Any) -> Any:  # noqa: ANN401
    if isinstance(plain, list):
        return tuple(map(_unpacked, plain))
    if not isinstance(plain, dict):
        return plain
    name, content = plain["is"], plain["of"]
    if name == "dict":
        return {_unpacked(key): _unpacked(inner) for key, inner in content}
    kind = getattr(definition, name)
    if isinstance(content, dict):
        return kind(**{field: _unpacked(inner) for field, inner in content.items()})
    return kind(content)
