"""How a process ended that is not our child: from Linux 6.15 on the kernel tells whoever holds a pidfd of it.

The status is there once the process has been reaped by whoever is its parent, not while it is a zombie
(ioctl PIDFD_GET_INFO with PIDFD_INFO_EXIT, linux/pidfd.h). Older kernels refuse the call; then nobody knows.
"""

from __future__ import annotations

import fcntl
import os
import signal
from struct import Struct

from supervisor.core.events import Status

_PIDFD_GET_INFO = 0xC048FF0B
_EXIT = 1 << 3
_INFO = Struct("Q52xi8x")
"""struct pidfd_info: the mask of what is asked and what is told, … and the exit code as wait(2) has it."""


def status_of(pidfd: int) -> Status | None:
    """How it ended, or None: it lives, is not reaped yet, or this kernel does not tell."""
    try:
        mask, code = _INFO.unpack(fcntl.ioctl(pidfd, _PIDFD_GET_INFO, _INFO.pack(_EXIT, 0)))
    except OSError:
        return None
    return from_wait(code) if mask & _EXIT else None


def kernel_tells() -> bool:
    """Whether this kernel knows the call, asked of ourselves."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, _INFO.pack(_EXIT, 0))
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def from_wait(code: int) -> Status:
    """A status of wait(2) in words."""
    if os.WIFSIGNALED(code):
        return Status(None, signal_name(os.WTERMSIG(code)), os.WCOREDUMP(code))
    return Status(os.WEXITSTATUS(code))


def signal_name(number: int) -> str:
    """The name of a signal; real-time signals without one of their own are "SIGRTMIN+3"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
