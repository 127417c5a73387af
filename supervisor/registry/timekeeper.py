"""@timekeeper keeps the firings of triggered tasks on disk."""

from __future__ import annotations

from supervisor.core.definition import Config, Kind
from supervisor.registry.interface import Helper
from supervisor.store import layout


def needed(config: Config) -> bool:
    """Return whether there is a triggered task."""
    return any(task.kind is Kind.TRIGGERED for task in config.tasks.values())


HELPER = Helper(
    name="@timekeeper",
    does="computes when tasks fire, and keeps the firings on disk",
    needed=needed,
    needed_if="triggered tasks",
    arguments=lambda runtime_dir, settings: (
        layout.timekeeper_socket(runtime_dir),
        layout.firings(settings.state_dir),
        layout.firings_in_memory(runtime_dir),
    ),
    told="is told the tasks and what becomes of each firing on a socket: a packet for each message",
    down="no task fires; what becomes due or is asked for waits, and nothing is lost",
    socket=layout.timekeeper_socket,
)
