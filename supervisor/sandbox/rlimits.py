"""Set the limits that a process sets for itself and that its children inherit. They need no cgroup.

See getrlimit(2), setpriority(2), ioprio_set(2), sched_setaffinity(2), proc_pid_oom_score_adj(5).
"""

from __future__ import annotations

import ctypes
import os
import resource

from supervisor.host.step import StepError

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30}
_BEST_EFFORT, _IDLE = 2, 3
"""Scheduling classes of ioprio_set(2)."""


def processes(limits: tuple[tuple[str, int, int], ...]) -> None:
    """Set resource limits, each as the name after RLIMIT_, the soft and the hard limit."""
    for name, soft, hard in limits:
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (soft, hard))
        except (OSError, ValueError) as error:  # Python raises ValueError for EPERM
            raise StepError(
                f"RLIMIT_{name} = {soft}: {error}; only root may raise it, and none above the kernel's"
            ) from None


def nice(value: int | None) -> None:
    """Set the niceness itself, not an increment."""
    if value is not None:
        os.setpriority(os.PRIO_PROCESS, 0, value)


def io_priority(value: int | str | None) -> None:
    """Set a level of the class best-effort, or "idle": only when no other process wants the disk."""
    if value is None:
        return
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is None:
        raise StepError("the number of ioprio_set(2) is not known on this machine")
    priority = _IDLE << 13 if value == "idle" else _BEST_EFFORT << 13 | int(value)
    if ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, priority):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def cpu_affinity(processors: tuple[int, ...]) -> None:
    """Set exactly these processors. The kernel alone would ignore missing ones silently."""
    if not processors:
        return
    os.sched_setaffinity(0, processors)
    missing = set(processors) - os.sched_getaffinity(0)
    if missing:
        raise StepError(f"no processor {', '.join(map(str, sorted(missing)))} is available")


def oom_score_adj(value: int | None) -> None:
    """Set how soon the kernel kills the process when memory runs out. Only root may make it later than for us."""
    if value is not None:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(value))
