"""The parent's end of a spawner process: fork it, give it orders, wait for its answers, end it.

The parent waits for an answer only when a start needs it. Then it looks at the state of the process:

- If the process is stopped (SIGSTOP, a debugger), the parent waits a few milliseconds at most.
- If the process itself waits for a disk, the parent waits a tenth of a second at most.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

from supervisor.host import procfs
from supervisor.spawn import orders

TYPE_CHECKING = False
if TYPE_CHECKING:  # it must stay small
    from collections.abc import Callable
    from typing import NoReturn

PATIENCE = 1.0
"""Seconds after which a process that does not answer is replaced. It does nothing that could take long."""

GLANCE = 0.005
"""Seconds between two checks whether the process was stopped. An answer takes less than one of them."""

UNINTERRUPTIBLE = 0.1
"""Seconds that it may stay in state D. To make a cgroup and a process in it takes a tenth of that."""


class NoChildError(OSError):
    """The kernel has refused another process."""


class SpawnerProcess:
    """A process that is forked from the parent and obeys it. The next order replaces one that has ended."""

    def __init__(self, serve: Callable[[socket.socket], NoReturn]) -> None:
        """`serve` runs in the process, with the socket on which the orders come."""
        self.pid, self.pidfd = 0, -1
        self._serve = serve
        self._socket: socket.socket | None = None

    @property
    def begun(self) -> bool:
        """Whether it was forked, and is not closed. It may have died meanwhile."""
        return self._socket is not None

    @property
    def dead(self) -> bool:
        """Whether it has died."""
        return self.begun and ended(self.pidfd, 0.0)

    def begin(self) -> socket.socket:
        """Fork it.

        Raises:
            NoChildError: no process or descriptor is left.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                self._serve(theirs)
            self.pidfd = os.pidfd_open(pid)
        except OSError as error:
            ours.close()
            raise NoChildError(error.errno, error.strerror) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
            theirs.close()
        ours.setblocking(False)
        self.pid, self._socket = pid, ours
        return ours

    def order(self, order: bytes, path: str = "", *fds: int) -> None:
        """Give an order. Fork the process first, if there is none.

        Raises:
            OSError: there is no process to be had, or it is gone, or it is too busy to take the order now.
        """
        orders.send(self._socket or self.begin(), order, path, *fds)

    def answer(self, *, wait: bool) -> bytes:
        """Return its next answer. Return b"" if there is none yet, and `wait` is False.

        Raises:
            TimeoutError: it does not answer.
            EOFError: it is gone.
        """
        if self._socket is None:
            raise EOFError
        if wait and not comes(self._socket.fileno(), self.pid):
            raise TimeoutError
        try:
            data = self._socket.recv(4096)
        except BlockingIOError:
            return b""
        if not data:
            raise EOFError
        return data

    def close(self, *, kill: bool = True) -> None:
        """Kill it and wait for its end, or only hang up."""
        if self._socket is None:
            return
        if kill:
            with suppress(ProcessLookupError):  # before the socket closes, which it takes for our death
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self._socket.close()
        self._socket = None
        if kill:
            comes(self.pidfd, self.pid)  # it might be about to make another child
        os.close(self.pidfd)


def ended(pidfd: int, seconds: float) -> bool:
    """Wait for the end of a process. Return False if the time is over."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def comes(fd: int, pid: int) -> bool:
    """Wait for an answer or the end of the process with this pid. Return False if it is stopped or takes too long."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    now = time.monotonic()
    end = stuck = now + PATIENCE
    while not poll.poll(GLANCE * 1000):
        state, now = _state(pid), time.monotonic()
        stuck = min(stuck, now + UNINTERRUPTIBLE) if state == "D" else end
        if state in ("T", "t") or now > min(stuck, end):
            return False
    return True


def _state(pid: int) -> str:
    """Return the state of a process, see `procfs.Stat`. Return "" if no descriptor is left to read it."""
    try:
        return procfs.stat(pid).state
    except OSError:
        return ""
