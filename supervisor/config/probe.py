"""The tables of probes: the keys of every kind beside those that all probes have.

A table has the key of exactly one kind, such as `http`. The other keys of a kind stand only beside that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervisor import probes
from supervisor.config.errors import Problem, Wrong
from supervisor.config.key import Key, keys, table
from supervisor.config.kinds import key_of
from supervisor.config.machine import Scope
from supervisor.core.definition import Probe


def probe_keys(*common: Key) -> dict[str, Key]:
    """Return the keys of a probe: one for each kind, those of all probes, and the other keys of the kinds."""
    kinds = {name: probes.load(name).keys for name in probes.KINDS}
    targets = [key_of(first) for first, *_ in kinds.values()]
    others = [key_of(one, f"{name}: ") for name, (_, *rest) in kinds.items() for one in rest]
    return keys(*targets, *common, *others)


def probe_of(allowed: Mapping[str, Key], value: object, scope: Scope, **defaults: Any) -> Probe:  # noqa: ANN401
    """Check the table of a probe and return the probe. `defaults` replace those of `Probe`.

    Raises:
        Wrong: the table has errors.
    """
    written = table(allowed, one_of=tuple(probes.KINDS)).parse(value, scope)
    kind = next(name for name in probes.KINDS if name in written)
    _refuse_strangers(kind, written)
    own = {key.name: written.pop(key.name, key.default) for key in probes.load(kind).keys}
    return Probe(kind, own, **{**defaults, **written})


def _refuse_strangers(kind: str, written: Mapping[str, Any]) -> None:
    """Refuse keys that only another kind has."""
    others = {key.name: name for name in probes.KINDS if name != kind for key in probes.load(name).keys}
    problems = [
        Problem((key,), f"is only for {others[key]} probes; allowed: together with {others[key]}")
        for key in others
        if key in written
    ]
    if problems:
        raise Wrong(problems=problems)
