"""The wall clock is watched. The test that sets it, to the time that it has, is for who asks by MAY_SET_CLOCK=1."""

import os
import select
import time

import pytest

from supervisor.host.wallclock import WallClock


def told(clock: WallClock, seconds: float) -> bool:
    poll = select.poll()
    poll.register(clock.fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000)) and clock.was_set()


def test_nothing_is_told_as_long_as_nobody_sets_it() -> None:
    clock = WallClock()
    assert not told(clock, 0.0)
    assert not clock.was_set()


@pytest.mark.skipif("MAY_SET_CLOCK" not in os.environ, reason="sets the clock; in the VM it is done each time")
def test_setting_it_is_told_each_time() -> None:
    """To the time that it has: nothing else on this machine notices."""
    clock = WallClock()
    for _ in range(2):
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns())
        assert told(clock, 5.0)
        assert not clock.was_set()
