"""The limits of a whole run: what its cgroup says to the kernel (cgroup-v2.rst). Written by its child, as root.

A limit that the kernel does not take is no start, unless the task has `best_effort`. Why it may not take it: no cgroup
can be had, or its controller cannot be enabled in what is above it (see `cgroup`).

`memory` has two parts: from nine tenths on (memory.high) the run is slowed down and its memory taken back, and at
the whole (memory.max) all of it is killed together (memory.oom.group): half a run is worth nothing.
"""

from __future__ import annotations

import errno
import os

from supervisor.host.child import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PERIOD = 100_000
"""Microseconds: within each of them the run may compute for its share."""


def take(directory: str, wanted: dict[str, Any], *, best_effort: bool) -> None:
    """Writes the limits into the cgroup of the run. `wanted`: the keys of `limits`, None for no such limit."""
    for key, value in wanted.items():
        if value is None:
            continue
        try:
            _take(directory, key, value)
        except OSError as error:
            if not best_effort:
                raise StepError(f"limits.{key}: {_why(directory, error)}; see best_effort") from None


def _take(directory: str, key: str, value: float) -> None:
    if not directory:
        raise OSError(errno.ENOENT, "none")
    for name, text in _files(key, value):
        if not os.path.exists(f"{directory}/{name}"):
            _enable(name.partition(".")[0], directory)
        _write(f"{directory}/{name}", text)


def _files(key: str, value: float) -> tuple[tuple[str, str], ...]:
    match key:
        case "memory":
            high = int(value) // 10 * 9
            return ("memory.max", str(value)), ("memory.high", str(high)), ("memory.oom.group", "1")
        case "cpu":
            return (("cpu.max", f"{max(1000, round(value * _PERIOD))} {_PERIOD}"),)
        case "cpu_weight":
            return (("cpu.weight", str(value)),)
        case "processes":
            return (("pids.max", str(value)),)
        case _:
            return (("io.weight", f"default {value}"),)


def _enable(controller: str, directory: str) -> None:
    """In the tree, and in the cgroup that it is in, where that does not have it yet."""
    tree = os.path.dirname(directory)
    for place in (os.path.dirname(tree), tree):
        _write(f"{place}/cgroup.subtree_control", f"+{controller}")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _why(directory: str, error: OSError) -> str:
    if error.errno == errno.EBUSY:
        above = os.path.dirname(os.path.dirname(directory))
        return f"the supervisor is itself in {above}; DelegateSubgroup= of systemd 254 helps"
    if error.errno == errno.ENOENT:
        return "no cgroup that has its controller can be had here"
    return error.strerror or str(error)
