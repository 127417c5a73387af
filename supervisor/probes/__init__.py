"""Probe tasks: one file for each kind of probe.

A kind is a file that defines `KIND` (see `interface`), and a line in `KINDS`. Config, parent, @prober, `supctl show`
and the documentation take the rest from there. `core.health` decides what the answers mean.
"""

from __future__ import annotations

from importlib import import_module

from supervisor.core.definition import Probe
from supervisor.probes.interface import InProber, Kind

KINDS = {
    "http": "supervisor.probes.http",
    "tcp": "supervisor.probes.tcp",
    "command": "supervisor.probes.command",
}
"""The kinds: each is the key that a probe is recognised by, and the module that defines the kind."""


def load(name: str) -> Kind:
    """Return a kind by its name."""
    kind: Kind = import_module(KINDS[name]).KIND
    return kind


def in_prober() -> list[str]:
    """Return the names of the kinds that the helper @prober asks."""
    return [name for name in KINDS if isinstance(load(name), InProber)]


def asked_by_prober(probe: Probe) -> bool:
    """Return whether the helper @prober asks this probe."""
    return isinstance(load(probe.kind), InProber)
