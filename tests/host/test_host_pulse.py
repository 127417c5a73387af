"""A sleep, or the work before it, took so much too long that the parent must have stood still."""

import pytest

from supervisor.host import pulse
from supervisor.host.pulse import BOUND, Pulse


@pytest.fixture
def beat(monkeypatch: pytest.MonkeyPatch) -> Pulse:
    """A pulse of a process that uses no processor time."""
    monkeypatch.setattr(pulse.time, "process_time", lambda: 0.0)
    made = Pulse()
    made.sleep(0.0, 0.0, None)
    made.time_stood_still(0.0)
    return made


@pytest.mark.parametrize(
    ("until", "deadline", "sleep"),
    [
        (None, None, None),
        (5.0, None, 5.0),  # nobody's deadline is ahead: there is nothing to postpone
        (0.5, 0.5, 0.5),
        (5.0, 5.0, BOUND),
        (100.0, 100.0, 10.0),
        (3.0, 100.0, 3.0),
        (-1.0, -1.0, 0.0),
    ],
)
def test_how_long_it_sleeps(beat: Pulse, until: float | None, deadline: float | None, sleep: float | None) -> None:
    assert beat.sleep(0.0, until, deadline) == sleep


@pytest.mark.parametrize(("woke", "stalled"), [(0.3, 0.0), (1.0, 0.0), (1.9, 0.0), (9.0, 9.0)])
def test_a_sleep_that_ends_late(beat: Pulse, woke: float, stalled: float) -> None:
    assert beat.sleep(0.0, 1.0, 1.0) == 1.0
    assert beat.time_stood_still(woke) == stalled


def test_a_sleep_without_an_end_is_never_late(beat: Pulse) -> None:
    assert beat.sleep(0.0, None, None) is None
    assert beat.time_stood_still(1e6) == 0.0


def test_work_counts_as_far_as_it_used_no_processor(beat: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse.time, "process_time", lambda: 3.0)
    beat.sleep(10.0, 10.0, None)
    assert beat.time_stood_still(10.0) == 7.0
    beat.sleep(10.5, 10.5, None)
    assert beat.time_stood_still(10.5) == 0.0
