"""@health answers load balancers."""

from __future__ import annotations

from supervisor.registry.interface import Helper
from supervisor.store import layout

HELPER = Helper(
    name="@health",
    does="answers /live, /ready and /health",
    needed=lambda config: bool(config.settings.health_listen),
    needed_if="health_listen",
    arguments=lambda runtime_dir, settings: (settings.health_listen or "", layout.health(runtime_dir)),
    told="reads health.json in the runtime directory",
    down="/live, /ready and /health do not answer",
)
