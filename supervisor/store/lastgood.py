"""The config in force, kept in the journal: what a supervisor comes up with when the one on the disk is broken.

A supervisor that has crashed is started again, whatever somebody has written into the config meanwhile. Somebody has
to look after its tasks: those that live, what is left of others, and those that wait for a restart or have ended
meanwhile. So the next one comes up with the last good config, adopts them, and shows the error, as after a reload that
failed. Where nothing was wanted up, and after an orderly end, a broken config is exit 78, as ever.

The config is kept as JSON with the names of classes and fields, never as a pickle: another version of this program
reads what it knows, and a class or a field that it does not know makes the config not usable.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from supervisor.core import definition
from supervisor.core.definition import Config
from supervisor.core.immutable import names_of

NAME = "fleet config"


def pack(config: Config) -> str:
    """The config as text."""
    return json.dumps(_packed(config), separators=(",", ":"))


def unpack(text: str) -> Config:
    """The config that `pack` was given.

    Raises:
        ValueError: it is of a version that this one does not understand.
    """
    try:
        config = _unpacked(json.loads(text))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a config: {error!r}") from None
    if not isinstance(config, Config):
        raise ValueError("not a config")
    return config


def record(config_path: str, packed: str) -> dict[str, Any]:
    """The record of the journal."""
    return {"fleet": "config", "path": config_path, "config": packed}


def find(facts: dict[str, dict[str, Any]], path: str) -> str | None:
    """The last good config of this path, packed, if the journal tells of a task that is wanted, or of a run.

    Args:
        facts: a journal.
        path: the config that is broken; another supervisor's journal is not taken for ours.
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
        return {
            "is": type(value).__name__,
            "of": {name: _packed(getattr(value, name)) for name in names_of(type(value))},
        }
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
