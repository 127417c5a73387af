"""Probe by an address that must accept a connection: "HOST:PORT" or "unix:PATH"."""

from __future__ import annotations

from supervisor.core.definition import Probe
from supervisor.core.kind_key import KindKey
from supervisor.probes.interface import InProber, Kind, Opened, address, connect


def ask(probe: Probe, opened: Opened) -> str:
    """Connect, and close the connection."""
    connect(probe.values["tcp"], probe.timeout, opened).close()
    return ""


KIND: Kind = InProber(
    doc="the address accepts a connection",
    keys=(KindKey("tcp", "HOST:PORT", address, "HOST:PORT that must accept, or unix:PATH"),),
    ask=ask,
)
