"""Get the exit status of a process that is not our child, from a pidfd of it (Linux 6.15 or later).

The call is ioctl PIDFD_GET_INFO with PIDFD_INFO_EXIT (linux/pidfd.h). The kernel gives the status once the parent of
the process has reaped it, not while it is a zombie. Older kernels refuse the call; then the status is not known.
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
"""struct pidfd_info: the mask of requested and returned fields, … and the exit code in the form of wait(2)."""


def status_of(pidfd: int) -> Status | None:
    """Return the exit status. None: the process lives, is not reaped yet, or this kernel does not tell."""
    try:
        mask, code = _INFO.unpack(fcntl.ioctl(pidfd, _PIDFD_GET_INFO, _INFO.pack(_EXIT, 0)))
    except OSError:
        return None
    return from_wait(code) if mask & _EXIT else None


def kernel_tells() -> bool:
    """Whether this kernel knows the call. It is tried on our own process."""
    pidfd = os.pidfd_open(os.getpid())
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, _INFO.pack(_EXIT, 0))
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def from_wait(code: int) -> Status:
    """Convert a status of wait(2) to a `Status`."""
    if os.WIFSIGNALED(code):
        return Status(None, signal_name(os.WTERMSIG(code)), os.WCOREDUMP(code))
    return Status(os.WEXITSTATUS(code))


def signal_name(number: int) -> str:
    """Return the name of a signal; a real-time signal without its own name is like "SIGRTMIN+3"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
