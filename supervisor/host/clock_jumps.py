"""The moments at which the wall clock leaves the monotonic one: somebody sets it, or the machine has been suspended.

Decisions are made by the monotonic clock, which stands still while the machine sleeps and knows of no one who sets a
clock. What people were told as a time of day ("frozen until 14:30") has to be worked out anew then. The kernel tells of
it by a timer of the wall clock that is never due (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET), so nobody is woken for
anything else.
"""

from __future__ import annotations

import ctypes
import os

CLOCK_REALTIME = 0
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
NEVER = 1 << 40
"""Seconds since 1970: in some 35000 years."""

_libc = ctypes.CDLL(None, use_errno=True)


class WallClock:
    """The timer."""

    def __init__(self) -> None:
        """Begins to watch.

        Raises:
            OSError: no descriptor is left.
        """
        self.fd: int = _libc.timerfd_create(CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._arm()

    def was_set(self) -> bool:
        """Whether it was, since this was last asked; asked when the descriptor is readable."""
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
