"""Describe what confines a run, as plain values for its child. A task with neither limits nor a context has none."""

from __future__ import annotations

from math import ceil
from typing import Any

from supervisor.core.capabilities import CAPABILITIES
from supervisor.core.definition import Group, Limits, Task
from supervisor.store import layout

_UNCONFINED = Task("")
_KEYS = (
    "group", "groups", "private_tmp", "read_only", "read_write", "inaccessible", "network", "credentials",
    "system_calls",
)  # fmt: skip
_RESOURCES = {
    "open_files": "NOFILE", "core": "CORE", "file_size": "FSIZE", "stack": "STACK", "locked_memory": "MEMLOCK",
}  # fmt: skip


def confinement(task: Task, group: Group | None, runtime_dir: str) -> dict[str, Any] | None:
    """Return what `sandbox.steps` needs; None if nothing is confined. `group`: the one whose limits the run shares."""
    same = group is None and all(getattr(task, key) == getattr(_UNCONFINED, key) for key in (*_KEYS, "capabilities"))
    if same and task.limits.of_the_process == _UNCONFINED.limits:
        return None
    names, limits = task.capabilities, task.limits
    return {
        **{key: getattr(task, key) for key in _KEYS},
        **{key: getattr(limits, key) for key in ("nice", "io_priority", "cpu_affinity", "oom_score_adj")},
        "group_limits": group and (group.name, group.limits.of_the_run, group.limits.best_effort),
        "of_the_run": limits.of_the_run,
        "best_effort": limits.best_effort,
        "capabilities": None if names is None else tuple(map(CAPABILITIES.index, names)),
        "credentials_at": layout.credentials(runtime_dir),
        "rlimits": _rlimits(limits),
    }


def _rlimits(limits: Limits) -> tuple[tuple[str, int, int], ...]:
    """Return names, soft and hard limits. SIGXCPU comes a second before SIGKILL, so that the reason is seen."""
    plain = ((name, getattr(limits, key)) for key, name in _RESOURCES.items())
    found = tuple((name, value, value) for name, value in plain if value is not None)
    if limits.cpu_time is None:
        return found
    seconds = ceil(limits.cpu_time)
    return (*found, ("CPU", seconds, seconds + 1))
