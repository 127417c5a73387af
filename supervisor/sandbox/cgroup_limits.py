"""Write the limits of a run, or of a group, into its cgroup (cgroup-v2.rst). A child writes them.

A run does not start if the kernel refuses a limit. There are two exceptions: the task has `best_effort`, or the limit
can be watched (`helpers.limiter`). The kernel refuses a limit if there is no cgroup. It also refuses one if its
controller cannot be enabled in the cgroups above (see `cgroup`).

`memory` has two parts:

- At nine tenths (memory.high) the kernel slows down the run and takes back its memory.
- At the whole (memory.max) it kills all of the run together (memory.oom.group). Half a run is worth nothing.

`io_weight` has two readers: io.cost, and the scheduler bfq, which has a file and a scale of its own. We write it for
both, as systemd does. One of them is enough.
"""

from __future__ import annotations

import errno
import os

from supervisor.core.controllers import CONTROLLERS, WATCHED
from supervisor.host.cgroup import in_the_way
from supervisor.host.step import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_PERIOD = 100_000
"""Microseconds of a period. In each period the run may compute for its share."""


def apply(directory: str, wanted: dict[str, Any], *, best_effort: bool) -> None:
    """Write the limits into the cgroup of a run. `wanted`: values by the keys of `limits`; None: no limit.

    Raises:
        StepError: the kernel refuses a limit that cannot be watched and is not `best_effort`.
    """
    for key, value in wanted.items():
        if value is None:
            continue
        try:
            _write_all(directory, key, _files(key, value))
        except OSError as error:
            if not best_effort and key not in WATCHED:
                raise StepError(f"limits.{key}: {_why(directory, error)}; see best_effort") from None


def apply_to_group(directory: str, group: str, wanted: dict[str, Any], *, best_effort: bool) -> None:
    """Write the limits of a group of tasks. `directory` is the cgroup above those of their runs.

    Limits that are gone are also written, as the cgroup may be there since another config. If the memory of a group
    runs out, one run is killed as a whole, not all runs.

    Raises:
        StepError: the kernel refuses a limit that is not `best_effort`.
    """
    for key, value in wanted.items():
        files = _files(key, value)
        try:
            if value is not None:
                _write_all(directory, key, [one for one in files if one[0] != "memory.oom.group"])
            else:
                _forget(directory, files)
        except OSError as error:
            if not best_effort:
                raise StepError(f"group {group}: limits.{key}: {_why(directory, error)}; see best_effort") from None


def die_together(directory: str) -> None:
    """Have a run killed as a whole also when the memory of its group runs out."""
    try:
        _write_all(directory, "memory", [("memory.oom.group", "1")])
    except OSError:
        return  # without the controller there is no such limit: it is `best_effort`


def _forget(directory: str, files: tuple[tuple[str, str], ...]) -> None:
    for name, _ in files:
        if name != "memory.oom.group" and os.path.exists(f"{directory}/{name}"):
            _write(f"{directory}/{name}", _UNLIMITED[name])


_UNLIMITED = {
    "memory.max": "max", "memory.high": "max", "cpu.max": f"max {_PERIOD}", "cpu.weight": "100", "pids.max": "max",
    "io.weight": "default 100", "io.bfq.weight": "100",
}  # fmt: skip


def _write_all(directory: str, key: str, files: Sequence[tuple[str, str]]) -> None:
    if not directory:
        raise OSError(errno.ENOENT, "none")
    if not _there(directory, files):
        _enable(CONTROLLERS[key], directory)
    for name, text in (_there(directory, files) if key == "io_weight" else ()) or files:
        _write(f"{directory}/{name}", text)


def _there(directory: str, files: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [one for one in files if os.path.exists(f"{directory}/{one[0]}")]


def _files(key: str, value: float | None) -> tuple[tuple[str, str], ...]:
    value = value or 0.0
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
            return ("io.weight", f"default {value}"), ("io.bfq.weight", str(_of_bfq(int(value))))


def _of_bfq(weight: int) -> int:
    """Convert the scale of 1 to 10000 to 1 to 1000, with 100 in the same place (systemd: BFQ_WEIGHT)."""
    return weight if weight <= 100 else 100 + (weight - 100) // 11


def _enable(controller: str, directory: str) -> None:
    """Enable a controller from the cgroup above our tree down to the parent of this cgroup."""
    for place in reversed(_above(directory)):
        _write(f"{place}/cgroup.subtree_control", f"+{controller}")


def _above(directory: str) -> list[str]:
    """Return the cgroups above that of a run or a group, the nearest first, up to the one that our tree is in."""
    above = [os.path.dirname(directory)]
    if os.path.basename(above[0]).startswith("@"):
        above.append(os.path.dirname(above[0]))
    return [*above, os.path.dirname(above[-1])]


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _why(directory: str, error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return in_the_way(_above(directory)[-1])
    if error.errno == errno.ENOENT:
        return "no cgroup with its controller is available here"
    return error.strerror or str(error)
