"""Other numbers of instances than the config says: those of `supctl scale`, each until the config says another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervisor.core.definition import Config
from supervisor.core.immutable import replace


def kept(scales: Mapping[str, int], config: Config) -> dict[str, list[int]]:
    """As they are remembered: each with what the config says in its place."""
    return {name: [replicas, config.tasks[name].replicas] for name, replicas in scales.items()}


def standing(remembered: Mapping[str, Any], config: Config) -> dict[str, int]:
    """Those that hold under this config: it says the same as when the scale was asked for."""
    found: dict[str, int] = {}
    said = {name: task.replicas for name, task in config.tasks.items()}
    for name, scale in remembered.items():
        match scale:
            case [int(replicas), int(before)] if before == said.get(name) and replicas >= 0:
                found[name] = replicas
    return found


def scaled(config: Config, scales: Mapping[str, int]) -> Config:
    """The config with them on top."""
    tasks = {
        name: replace(task, replicas=scales[name]) if name in scales else task for name, task in config.tasks.items()
    }
    return replace(config, tasks=tasks)
