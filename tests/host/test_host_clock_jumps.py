"""The wall clock is watched. The test that sets it (to its own time) needs MAY_SET_CLOCK=1."""

import os
import select
import time

import pytest

from supervisor.host.clock_jumps import WallClock


def told(clock: WallClock, seconds: float) -> bool:
    poll = select.poll()
    poll.register(clock.fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000)) and clock.was_set()


def test_an_undisturbed_clock_reports_nothing() -> None:
    clock = WallClock()
    assert not told(clock, 0.0)
    assert not clock.was_set()


@pytest.mark.skipif("MAY_SET_CLOCK" not in os.environ, reason="sets the clock; in the VM it is done each time")
def test_each_change_of_the_clock_is_reported() -> None:
    """It is set to the time that it has, so no other process notices."""
    clock = WallClock()
    for _ in range(2):
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns())
        assert told(clock, 5.0)
        assert not clock.was_set()
