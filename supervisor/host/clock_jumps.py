"""Notice jumps of the wall clock: it was set, or the machine was suspended.

The supervisor decides by the monotonic clock. That clock stops while the machine sleeps, and it cannot be set. After a
jump, each time of day that was shown ("frozen until 14:30") is at another monotonic moment. The parent computes
that moment again.

The kernel reports a jump through a timer of the wall clock that never expires (timerfd_create(2),
TFD_TIMER_CANCEL_ON_SET). So the parent is woken for nothing else.
"""

from __future__ import annotations

import ctypes
import os

CLOCK_REALTIME = 0
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
NEVER = 1 << 40
"""Seconds since 1970: a moment about 35000 years ahead."""

_libc = ctypes.CDLL(None, use_errno=True)


class WallClock:
    """The timer."""

    def __init__(self) -> None:
        """Begin to watch.

        Raises:
            OSError: no descriptor is left.
        """
        self.fd: int = _libc.timerfd_create(CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._arm()

    def was_set(self) -> bool:
        """Whether the clock was set since the last call. Call it when the descriptor is readable."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return False
        except OSError:  # ECANCELED
            pass
        self._arm()
        return True

    def _arm(self) -> None:
        when = (ctypes.c_long * 4)(0, 0, NEVER, 0)
        _libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, when, None)
