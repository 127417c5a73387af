"""List the limits of a whole run, each with the cgroup v2 controller that enforces it (cgroup-v2.rst)."""

from __future__ import annotations

CONTROLLERS = {"memory": "memory", "cpu": "cpu", "cpu_weight": "cpu", "processes": "pids", "io_weight": "io"}

WATCHED = ("memory", "processes")
"""The limits that `helpers.limiter` measures where no controller is available; the stop protocol enforces them."""
