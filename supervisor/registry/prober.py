"""@prober asks the probes that need a network."""

from __future__ import annotations

from supervisor import probes
from supervisor.core.definition import Config
from supervisor.registry.interface import Helper
from supervisor.store import layout


def needed(config: Config) -> bool:
    """Return whether a task has a probe that it asks."""
    return any(probes.asked_by_prober(probe) for task in config.tasks.values() for probe in task.probes)


HELPER = Helper(
    name="@prober",
    does="asks the probes that need a network",
    needed=needed,
    needed_if=f"{' or '.join(probes.in_prober())} probes",
    arguments=lambda runtime_dir, _: (layout.prober_socket(runtime_dir),),
    told="is asked on a socket: a packet for each question, and for each answer",
    down=f"{' and '.join(probes.in_prober())} probes get no answer; this restarts no task",
    socket=layout.prober_socket,
)
