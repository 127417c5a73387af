"""What a run uses at this moment: CPU, memory, processes, threads, I/O, context switches, descriptors.

From its cgroup, where it has one and the kernel counts there (CPU time always; memory and I/O if a service manager has
delegated the controllers): one small file each, which counts also what has ended. What a cgroup does not tell, and
everything of a run without one, is summed over its processes with psutil, which is imported only then. Memory of
processes is PSS, so that what they share is not counted twice. Processes without a cgroup are those below the leader,
and those that are known as the run's otherwise (`gauge.Census`), wherever they have gone.

Totals only rise: `rates` makes CPU percent and bytes per second of two of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from supervisor.core.immutable import immutable
from supervisor.host import kin
from supervisor.host.cgroup import Cgroup


@immutable
class Usage:
    """What a run uses, and what it has used since it began; None: it cannot be told."""

    cpu: float  # seconds, in all
    memory: int | None  # bytes, now
    processes: int
    threads: int
    read: int | None  # bytes from disks, in all
    written: int | None
    switches: int  # context switches of what lives, in all
    files: int | None  # open descriptors, now


def usage_of(pid: int, cgroup: str, marked: Iterable[int] = ()) -> Usage | None:
    """What a run uses; None when nothing of it lives.

    Args:
        pid: its leader.
        cgroup: the directory of its own cgroup; "" for none.
        marked: who else belongs to it, of a run without a cgroup.
    """
    pids = Cgroup(cgroup).pids() if cgroup else list(dict.fromkeys((*_tree(pid), *marked)))
    counted = _counted(cgroup) if cgroup else {}
    sums = _summed(pids, with_memory="memory" not in counted, with_io="read" not in counted)
    return Usage(**{**sums, **counted}) if sums["processes"] else None


def _tree(pid: int) -> list[int]:
    """The leader and all that is below it."""
    try:
        return kin.descendants([pid])
    except FileNotFoundError:  # this kernel does not tell of children (CONFIG_PROC_CHILDREN)
        import psutil  # noqa: PLC0415

        try:
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.Error:
            return []


def _summed(pids: list[int], *, with_memory: bool, with_io: bool) -> dict[str, Any]:
    import psutil  # noqa: PLC0415 - 1 MB and 30 ms, in @scribe alone

    cpu, memory, threads, read, written, switches, files, count = 0.0, 0, 0, 0, 0, 0, 0, 0
    for pid in pids:
        with suppress(psutil.Error, OSError), (process := psutil.Process(pid)).oneshot():
            times = process.cpu_times()
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            cpu += times.user + times.system + times.children_user + times.children_system
            count += 1
            threads += process.num_threads()
            switches += sum(process.num_ctx_switches())
            files += process.num_fds()
            if with_memory:
                memory += process.memory_full_info().pss
            if with_io:
                io = process.io_counters()
                read, written = read + io.read_bytes, written + io.write_bytes
    return {
        "cpu": cpu, "memory": memory, "processes": count, "threads": threads, "read": read, "written": written,
        "switches": switches, "files": files,
    }  # fmt: skip


def _counted(cgroup: str) -> dict[str, Any]:
    """What the kernel counts for the whole cgroup (cgroup-v2.rst); nothing of what has no controller."""
    found: dict[str, Any] = {}
    with suppress(OSError, KeyError, ValueError):
        found["cpu"] = int(_pairs(f"{cgroup}/cpu.stat")["usage_usec"]) / 1e6
    with suppress(OSError, KeyError, ValueError):
        # As container tools count: without the page cache that the kernel would give back first.
        cold = int(_pairs(f"{cgroup}/memory.stat")["inactive_file"])
        found["memory"] = max(int(_text(f"{cgroup}/memory.current")) - cold, 0)
    with suppress(OSError, ValueError):
        words = _text(f"{cgroup}/io.stat").split()
        found["read"] = sum(int(word[7:]) for word in words if word.startswith("rbytes="))
        found["written"] = sum(int(word[7:]) for word in words if word.startswith("wbytes="))
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
    """What `status` and the history show: CPU in percent of one processor, I/O and switches per second.

    Args:
        before: the usage at the sample before; None: the run began with nothing.
        after: the usage now.
        seconds: the time between the two, or since the run began.
    """

    def rate(name: str) -> float | None:
        new, old = getattr(after, name), getattr(before, name) if before else 0
        if new is None or old is None or seconds <= 0:
            return None
        return max(float(new - old), 0.0) / seconds  # a process that went took its share of a sum with it

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
