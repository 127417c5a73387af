"""An address that must accept a connection: "HOST:PORT" or "unix:PATH"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.probes.interface import Opened, connect

if TYPE_CHECKING:
    from supervisor.core.definition import Probe

BY = "prober"


def ask(probe: Probe, opened: Opened) -> str:
    """Connects, and hangs up."""
    connect(probe.target[0], probe.timeout, opened).close()
    return ""
