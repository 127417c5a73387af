"""Keep the scales of `supctl scale`: each replaces the `replicas` of the config until the config changes that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervisor.core.definition import Config, Kind
from supervisor.core.immutable import replace


def to_record(scales: Mapping[str, int], config: Config) -> dict[str, list[int]]:
    """Return the scales for the journal: each with the number in the config that it replaces."""
    return {name: [replicas, config.tasks[name].replicas] for name, replicas in scales.items()}


def standing(remembered: Mapping[str, Any], config: Config) -> dict[str, int]:
    """Return the scales that hold under this config: its number is the same as when the scale was requested.

    A triggered task has none.
    """
    found: dict[str, int] = {}
    said = {name: task.replicas for name, task in config.tasks.items() if task.kind is not Kind.TRIGGERED}
    for name, scale in remembered.items():
        match scale:
            case [int(replicas), int(before)] if before == said.get(name) and replicas >= 0:
                found[name] = replicas
    return found


def scaled(config: Config, scales: Mapping[str, int]) -> Config:
    """Return the config with the scales applied."""
    tasks = {
        name: replace(task, replicas=scales[name]) if name in scales else task for name, task in config.tasks.items()
    }
    return replace(config, tasks=tasks)
