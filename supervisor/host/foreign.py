"""Read files of other processes that can block the reader: a child reads them, for a bounded time.

Some files of /proc show the memory of a process, or its map: environ, cmdline, maps, smaps_rollup. A reader of them can
wait for ever:

- while another process holds the lock of that memory;
- while a page comes from a file system that does not answer (a dead NFS server, a stopped FUSE server).

Any user can arrange that for his own process. So a child reads, and the caller waits for the child for a bounded time
only. Other files of /proc do not block: stat, status, limits, cgroup, statm.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import time
from contextlib import suppress

from supervisor.host import procfs
from supervisor.host.aside import apart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

BLOCKED = 0.1
"""Seconds without an answer. A child that sleeps for all of them counts as hanging."""

PATIENCE = 1.0
"""Seconds for all answers of one call. A child that computes, on a busy machine, gets this time."""

GLANCE = 0.01
"""Seconds between two looks at whether the child sleeps."""

_hanging: list[int] = []
"""The pidfds of children that could not be reaped yet."""


def answers(pids: Sequence[int], look: Callable[[int], Any]) -> dict[int, Any]:
    """Return what `look(pid)` returns for each process, called in a child.

    The answer is None where the child hangs. It is missing where no time, no process or no descriptor was left.
    `look` returns plain values, never None.
    """
    found: dict[int, Any] = {}
    rest, end = list(pids), time.monotonic() + PATIENCE
    while rest and time.monotonic() < end:
        try:
            said, hangs = _ask(rest, look, end)
        except OSError:
            break
        found.update(zip(rest, said, strict=False))
        rest = rest[len(said) :]
        if not hangs:
            break
        if rest:
            found[rest.pop(0)] = None
    return found


def _ask(pids: list[int], look: Callable[[int], Any], end: float) -> tuple[list[Any], bool]:
    """Return a child's answers for the first of these processes, and whether it hangs at the next one.

    Raises:
        OSError: no child could be made.
    """
    _reap()
    pid, pipe = apart(lambda: _write_answers(pids, look))
    pidfd = -1
    try:
        pidfd = os.pidfd_open(pid)
        data, ended, hangs = _listen(pid, pipe, end)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)  # in state D it dies only when the kernel wakes it
    finally:
        os.close(pipe)
        if pidfd >= 0:
            _hanging.append(pidfd)
    _reap(pidfd if ended else -1)
    return _parsed(data), hangs


def _write_answers(pids: list[int], look: Callable[[int], Any]) -> None:
    """Write one answer after the other, each with its length. Called in the child."""
    for pid in pids:
        data = marshal.dumps(look(pid))
        os.write(3, len(data).to_bytes(4, "little") + data)


def _listen(pid: int, pipe: int, end: float) -> tuple[bytes, bool, bool]:
    """Return the data, whether the child has ended, and whether it hangs. Neither means that it had too little time."""
    poll, data, awake = select.poll(), b"", time.monotonic()
    poll.register(pipe, select.POLLIN)
    while (now := time.monotonic()) < end:
        if poll.poll(GLANCE * 1000):
            block = os.read(pipe, 1 << 16)
            if not block:
                return data, True, False
            data, awake = data + block, now
        elif procfs.stat(pid).state == "R":
            awake = now
        elif now - awake > BLOCKED:
            return data, False, True
    return data, False, False


def _parsed(data: bytes) -> list[Any]:
    """Return the answers that are complete."""
    found: list[Any] = []
    while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[:4], "little")):
        found.append(marshal.loads(data[4:end]))  # noqa: S302 - our own child wrote it
        data = data[end:]
    return found


def _reap(ended: int = -1) -> None:
    """Reap the children that have ended by now. Wait for the one that is just ending."""
    for pidfd in list(_hanging):
        with suppress(ChildProcessError):  # the parent reaps whatever ends
            if os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if pidfd == ended else os.WNOHANG)) is None:
                continue
        _hanging.remove(pidfd)
        os.close(pidfd)
