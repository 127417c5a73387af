"""The limits of a whole run, and the controller of cgroup v2 that enforces each (cgroup-v2.rst)."""

from __future__ import annotations

CONTROLLERS = {"memory": "memory", "cpu": "cpu", "cpu_weight": "cpu", "processes": "pids", "io_weight": "io"}

WATCHED = ("memory", "processes")
"""Those that are measured and enforced by the stop protocol where no controller can be had (`helpers.limiter`)."""
