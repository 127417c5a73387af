"""Measure what a run uses now: CPU, memory, processes, threads, I/O, context switches, descriptors.

The figures of a run come from its cgroup, if it has one and the kernel counts there. The kernel always counts CPU time.
It counts memory and I/O if a service manager has delegated the controllers. Each is one small file, which also counts
processes that have ended. The other figures are sums over the processes of the run (`gauge.Census`).

There are two ways to measure:

- `usage_of` returns everything. It reads several files of each process, when a client asks with psutil: up to a
  millisecond per process. psutil is loaded only then.
- `glance` reads one file of each process. It returns neither descriptors nor context switches.

A `Meter` of each run joins the two. It glances each time, and takes the other figures from the last full look.

The memory of processes is PSS, so that shared memory is not counted twice. At a glance it is the resident memory,
without what was shared at the last full look.

Totals only rise. `rates` makes CPU percent and bytes per second of two of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from supervisor.core.immutable import immutable
from supervisor.host.procload import COUNTS, Load, figures, file_pages, proportional

Look = Callable[..., dict[str, Any]]
"""Returns the figures of one process, see `procload.figures`."""


@immutable
class Usage:
    """Figures of a run, now or in all since it began. None: unknown."""

    cpu: float  # seconds, in all
    memory: int | None  # bytes, now
    processes: int
    threads: int
    read: int | None  # bytes from disks, in all
    written: int | None
    switches: int | None  # context switches of living processes, in all
    files: int | None  # open descriptors, now


def _cpu(cgroup: str) -> dict[str, Any]:
    return {"cpu": int(_pairs(f"{cgroup}/cpu.stat")["usage_usec"]) / 1e6}


def _memory(cgroup: str) -> dict[str, Any]:
    """Count as container tools do: without the page cache that the kernel would give back first."""
    cold = int(_pairs(f"{cgroup}/memory.stat")["inactive_file"])
    return {"memory": max(int(_text(f"{cgroup}/memory.current")) - cold, 0)}


def _io(cgroup: str) -> dict[str, Any]:
    words = _text(f"{cgroup}/io.stat").split()
    read, written = (sum(int(word[7:]) for word in words if word.startswith(name)) for name in ("rbytes=", "wbytes="))
    return {"read": read, "written": written}


_CGROUP_FILES: dict[str, Callable[[str], dict[str, Any]]] = {"cpu": _cpu, "memory": _memory, "read": _io}
"""The readers of a cgroup, each by one figure that shows whether the cgroup counts it."""


def usage_of(pids: Sequence[int], cgroup: str, look: Look = figures) -> Usage | None:
    """Return everything that these processes of a run use; None if none of them lives.

    Args:
        pids: the processes of the run.
        cgroup: the directory of its own cgroup, which counts for all of them; "" for none.
        look: returns the figures of one process: `procload.figures` or `with_psutil`.
    """
    counted = _counted(cgroup) if cgroup else {}
    sums = _summed(pids, look, with_memory="memory" not in counted, with_io="read" not in counted)
    return Usage(**{**sums, **counted}) if sums["processes"] else None


def _summed(pids: Sequence[int], look: Look, *, with_memory: bool, with_io: bool) -> dict[str, Any]:
    memory = proportional(pids) if with_memory else 0
    found = [seen for pid in pids if (seen := look(pid, with_io=with_io))]
    sums = {name: sum(one[name] for one in found) for name in ("cpu", *COUNTS)}
    return {**sums, "memory": memory, "processes": len(found)}


def with_psutil(pid: int, *, with_io: bool) -> dict[str, Any]:
    """Return the figures of one process like `procload.figures`."""
    import psutil  # noqa: PLC0415 - 1.3 MB and 10 ms: not in a process where nobody has asked

    found: dict[str, Any] = {}
    with suppress(psutil.Error, OSError), (process := psutil.Process(pid)).oneshot():
        if process.status() == psutil.STATUS_ZOMBIE:
            return {}
        found = dict.fromkeys(COUNTS, 0)
        times = process.cpu_times()
        found["cpu"] = times.user + times.system + times.children_user + times.children_system
        found["threads"] = process.num_threads()
        found["switches"] = sum(process.num_ctx_switches())
        found["files"] = process.num_fds()
        if with_io:
            io = process.io_counters()
            found["read"], found["written"] = io.read_bytes, io.write_bytes
    return found


def glance(members: Sequence[Load], counted: Mapping[str, Any], memory: int) -> Usage:
    """Return what the processes of a run use. Figures that take long to measure are None.

    Args:
        members: the living processes of the run.
        counted: what its own cgroup counts.
        memory: bytes of its memory, for a cgroup that does not count them.
    """
    sums = {
        "cpu": sum(one.cpu for one in members), "memory": memory, "processes": len(members),
        "threads": sum(one.threads for one in members), "read": None, "written": None, "switches": None, "files": None,
    }  # fmt: skip
    return Usage(**{**sums, **counted})


def _counted(cgroup: str, what: Iterable[str] = _CGROUP_FILES) -> dict[str, Any]:
    """Return what the kernel counts for the whole cgroup (cgroup-v2.rst). Figures without a controller are missing."""
    found: dict[str, Any] = {}
    for name in what:
        with suppress(OSError, KeyError, ValueError):
            found |= _CGROUP_FILES[name](cgroup)
    return found


def _pairs(path: str) -> dict[str, str]:
    words = _text(path).split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _text(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536).decode()
    finally:
        os.close(fd)


def rates(before: Usage | None, after: Usage, seconds: float) -> dict[str, Any]:
    """Return the figures of `status` and the history: CPU in percent of one processor, I/O and switches per second.

    Args:
        before: the usage at the sample before; None: the run began with nothing.
        after: the usage now.
        seconds: the time between the two, or since the run began.
    """

    def rate(name: str) -> float | None:
        new, old = getattr(after, name), getattr(before, name) if before else 0
        if new is None or old is None or seconds <= 0:
            return None
        return max(float(new - old), 0.0) / seconds  # a process that has ended takes its share out of a sum

    cpu = rate("cpu")
    return {
        "cpu": None if cpu is None else round(100 * cpu, 2),
        "memory": after.memory,
        "processes": after.processes,
        "threads": after.threads,
        "read": rate("read"),
        "written": rate("written"),
        "switches": rate("switches"),
        "files": after.files,
    }


_SLOW = ("read", "written", "switches", "files")
"""Figures that a glance may lack."""


class Meter:
    """Measures one run, from look to look."""

    def __init__(self, run: str, cgroup: str, began: float) -> None:
        """A run by its id, the directory of its own cgroup ("" for none), and the moment at which it began."""
        self.run = run
        self.full_at = 0.0  # the time of the last full look; 0 if there was none
        self._cgroup = cgroup
        self._began = self._at = began
        self._before: Usage | None = None
        self._full: Usage | None = None
        self._counts = tuple(_CGROUP_FILES)
        self._slow: dict[str, Any] = dict.fromkeys(_SLOW)
        self._shared: dict[tuple[int, int], int] = {}  # bytes shared with other processes, by pid and birth

    def measure(self, members: Sequence[Load], now: float, *, in_full: bool, asked: bool = False) -> dict[str, Any]:
        """Return the figures of this moment, as `rates` gives them.

        Args:
            members: the living processes of the run; one at least.
            now: the moment, monotonic.
            in_full: a full look, not only a glance.
            asked: a client has asked for it.
        """
        if in_full:
            self._measure_all(members, now, with_psutil if asked else figures)
            self._counts = tuple(_CGROUP_FILES)  # a controller may be there by now
        self._shared = {(one.pid, one.birth): self._shared_of(one) for one in members}
        memory = sum(max(one.resident - self._shared[one.pid, one.birth], 0) for one in members)
        usage = glance(members, self._count(), memory)
        found = rates(self._before, usage, now - self._at)
        self._before, self._at = usage, now
        return found | {name: self._slow[name] for name in _SLOW if found[name] is None}

    def _count(self) -> dict[str, Any]:
        """Read the files of the cgroup. A missing file is not tried again until the next full look."""
        found = _counted(self._cgroup, self._counts) if self._cgroup else {}
        self._counts = tuple(name for name in self._counts if name in found)
        return found

    def _shared_of(self, one: Load) -> int:
        known = self._shared.get((one.pid, one.birth))
        return min(file_pages(one.pid), one.resident) if known is None else known

    def _measure_all(self, members: Sequence[Load], now: float, look: Look) -> None:
        """Measure everything. Memory shared with others is divided among the processes of the run by their size."""
        full = usage_of([one.pid for one in members], self._cgroup, look)
        if full is None:  # it has just ended
            return
        slow = rates(self._full, full, now - (self.full_at or self._began))
        self._slow, self._full, self.full_at = {name: slow[name] for name in _SLOW}, full, now
        resident = sum(one.resident for one in members)
        if full.memory and resident:  # unknown for a process of another user
            share = 1 - min(full.memory / resident, 1.0)
            self._shared = {(one.pid, one.birth): int(one.resident * share) for one in members}
