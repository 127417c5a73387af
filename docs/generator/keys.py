"""The keys of the config, and their defaults as the config writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from supervisor.config import schema
from supervisor.config.key import Key

TABLES: dict[str, tuple[str, Mapping[str, Key]]] = {
    "supervisor": ("[supervisor]", schema.SUPERVISOR),
    "task": ("[task.NAME] and [defaults]", schema.TASK),
    "group": ("[group.NAME]", schema.GROUP),
    "pool": ("[pool.NAME]", schema.POOL),
}
"""The tables of the config: their headings and keys."""


def toml(value: object) -> str:
    """Return a default as the config writes it; "" when there is none to show."""
    match value:
        case None | () | {}:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case int():
            return str(value)
        case str():
            return f'"{value}"'
        case tuple() | list():
            return f"[{', '.join(map(toml, value))}]"
        case _:
            return ""


def default_of(key: Key) -> str:
    """Return the default of a key. Durations are seconds in the code, and sizes bytes."""
    if key.type.words == "duration" and isinstance(key.default, float):
        return f'"{key.default:g}s"'
    if key.type.words == "size" and isinstance(key.default, int) and key.default and key.default % (1 << 20) == 0:
        return f'"{key.default >> 20}M"'
    if key.type.words == "octal string" and isinstance(key.default, int):
        return f'"{key.default:04o}"'
    return toml(key.default)


def rows(keys: Mapping[str, Key], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Yield every key with its full name; those of a nested table follow it."""
    for key in keys.values():
        yield f"{prefix}{key.name}", key
        if key.type.keys:
            yield from rows(key.type.keys, f"{prefix}{key.name}.")
