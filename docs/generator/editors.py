"""`supervisor.schema.json`: a JSON Schema of the config, with which editors complete and check it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from supervisor.config import schema
from supervisor.config.key import Key, Type

DURATION = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|^[0-9]+(\.[0-9]+)?$"},
    ]
}
SIZE = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+[KMGT]?$"}]}
STRINGS_LIST = {"type": "array", "items": {"type": "string"}}
PLAIN: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "duration": DURATION,
    "size": SIZE,
    "command": {"anyOf": [{"type": "string"}, STRINGS_LIST]},
    "table of strings": {"type": "object", "additionalProperties": {"type": "string"}},
    "table of paths": {"type": "object", "additionalProperties": {"type": "string"}},
    "list of exit codes and signals": {"type": "array", "items": {"type": ["integer", "string"]}},
}
"""The schema of a type, by its words."""

ANY_OF_SOME = {"list of processors", "cron expression, or a list of them", '0 to 7 | "idle"'}
"""Types whose values are checked by the supervisor alone."""


def json_type(kind: Type) -> dict[str, Any]:
    """Return the JSON schema of a type."""
    if kind.keys is not None and kind.words == "string or table":
        return {"anyOf": [{"type": "string"}, json_table(kind.keys)]}
    if kind.keys is not None and '"' not in kind.words:
        return json_table(kind.keys)
    if kind.words in PLAIN:
        return PLAIN[kind.words]
    if found := re.fullmatch(r"(integer|number|string) or (integer|number|string)", kind.words):
        return {"type": list(found.groups())}
    if kind.words in ANY_OF_SOME:
        return {}
    if found := re.fullmatch(r"(integer|number), (-?[\d.]+) to ([\d.]+)", kind.words):
        low, high = (float(text) if "." in text else int(text) for text in found.groups()[1:])
        return {"type": found[1], "minimum": low, "maximum": high}
    if kind.words.startswith("list of"):
        return STRINGS_LIST
    if words := re.findall(r'"([^"]*)"', kind.words):
        choices: list[dict[str, Any]] = [{"enum": words}]
        choices += [json_table(kind.keys)] if kind.keys else []
        choices += [{"type": "string"}] if kind.words.endswith("path") else []
        return choices[0] if len(choices) == 1 else {"anyOf": choices}
    return {"type": "string"}


def json_table(keys: Mapping[str, Key]) -> dict[str, Any]:
    """Return the JSON schema of a table."""
    found = {key.name: {"description": key.doc, **json_type(key.type)} for key in keys.values()}
    return {"type": "object", "properties": found, "additionalProperties": False}


def json_schema() -> str:
    """Return the JSON schema of the config, for editors."""
    top = json_table({name: key for name, key in schema.TOP.items() if name not in ("group", "pool", "task")})
    for name, keys in (("group", schema.GROUP), ("pool", schema.POOL), ("task", schema.TASK)):
        doc = schema.TOP[name].doc
        top["properties"][name] = {"description": doc, "type": "object", "additionalProperties": json_table(keys)}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "supervisor.toml", **top}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
