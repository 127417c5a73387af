"""Messages of tasks: every datagram that anybody can send is understood or ignored, and does no harm."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from supervisor.core.events import Notified
from supervisor.runs.notify_message import LONGEST_STATUS, parse, together

FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

KEYS = some.sampled_from(
    ["READY", "STATUS", "RELOADING", "STOPPING", "ERRNO", "WATCHDOG", "WATCHDOG_USEC", "EXTEND_TIMEOUT_USEC",
     "MAINPID", "BARRIER", "FDSTORE", "FDNAME", "", "ready", "X"]
)  # fmt: skip
WORDS = some.one_of(some.just("1"), some.just("trigger"), some.integers().map(str), some.text(max_size=400))
CENTURY = 100 * 31_557_600.0
LINES = some.lists(some.tuples(KEYS, WORDS).map("=".join) | some.text(max_size=50), max_size=8)


def sound(event: Notified) -> None:
    assert event.run == 7
    assert event.status is None or (event.status.isprintable() and len(event.status) <= LONGEST_STATUS)
    for seconds in (event.watchdog, event.extend):
        assert seconds is None or 0 <= seconds < 1e10
    assert "\n" not in event.errno


@FUZZ
@given(some.binary(max_size=5000))
def test_any_bytes(data: bytes) -> None:
    said = parse(data, 7)
    sound(said.event)
    assert 0 <= said.main_pid < 1 << 64


@FUZZ
@given(LINES, LINES)
def test_lines_that_look_right(first: list[str], then: list[str]) -> None:
    """Two datagrams merged have the content of both. The later one wins where they differ."""
    one, two = (parse("\n".join(lines).encode(errors="replace"), 7).event for lines in (first, then))
    both = together(one, two)
    sound(both)
    assert both.ready == (one.ready or two.ready)
    assert both.status == (two.status if two.status is not None else one.status)
    assert both.alive == (one.alive or two.alive)
    assert both.watchdog == (two.watchdog if two.watchdog is not None else one.watchdog)


WORD_BY_WORD = {
    "READY=1": {"ready": True},
    "STATUS=one": {"status": "one"},
    "RELOADING=1": {"reloading": True},
    "STOPPING=1": {"stopping": True},
    "ERRNO=2": {"errno": "No such file or directory"},
    "WATCHDOG=1": {"alive": True},
    "WATCHDOG=trigger": {"trigger": True},
    "WATCHDOG_USEC=0": {"watchdog": 0.0},
    "EXTEND_TIMEOUT_USEC=5000000": {"extend": 5.0},
}


@pytest.mark.parametrize("word", WORD_BY_WORD)
def test_two_messages_read_at_once_lose_nothing(word: str) -> None:
    """Whichever of the two has the field, and whatever else the other one has."""
    expected = Notified(7, **WORD_BY_WORD[word])
    one, nothing = parse(word.encode(), 7).event, parse(b"X=1", 7).event
    assert one == together(one, nothing) == together(nothing, one) == expected


def test_a_later_value_replaces_an_earlier_one() -> None:
    first = parse(b"STATUS=one\nERRNO=2\nWATCHDOG_USEC=1000000\nEXTEND_TIMEOUT_USEC=1000000", 7).event
    then = parse(b"STATUS=two\nERRNO=1\nWATCHDOG_USEC=2000000\nEXTEND_TIMEOUT_USEC=2000000", 7).event
    assert together(first, then) == then


@pytest.mark.parametrize(
    ("micros", "watchdog", "extend"),
    [
        (1, 1e-6, 1e-6),
        ((1 << 63) - 1, CENTURY, CENTURY),
        ((1 << 64) - 2, CENTURY, CENTURY),
        ((1 << 64) - 1, 0.0, None),
        (1 << 64, None, None),
        (10**20, None, None),
    ],
)  # fmt: skip
def test_the_bounds_of_a_time(micros: int, watchdog: float | None, extend: float | None) -> None:
    """A timer must be able to hold it. The largest number means for ever: it turns a watchdog off, as with systemd."""
    event = parse(f"WATCHDOG_USEC={micros}\nEXTEND_TIMEOUT_USEC={micros}".encode(), 7).event
    assert (event.watchdog, event.extend) == (watchdog, extend)


def test_the_assignments_of_the_manual() -> None:
    said = parse(
        b"READY=1\nSTATUS=Processing requests...\nERRNO=2\nMAINPID=4711\nWATCHDOG=1\nWATCHDOG_USEC=20000000\n"
        b"EXTEND_TIMEOUT_USEC=5000000\nFDSTORE=1\nX_OURS=x",
        7,
    )
    assert (said.main_pid, said.stores) == (4711, True)
    assert said.event == Notified(
        7, ready=True, status="Processing requests...", errno="No such file or directory", alive=True, watchdog=20.0,
        extend=5.0,
    )  # fmt: skip
    assert parse(b"RELOADING=1\nMONOTONIC_USEC=1", 7).event == Notified(7, reloading=True)
    assert parse(b"STOPPING=1\nWATCHDOG=trigger", 7).event == Notified(7, stopping=True, trigger=True)


def test_nonsense_is_ignored() -> None:
    for text in ("READY=0", "READY", "READY=yes", "WATCHDOG=2", "WATCHDOG_USEC=-1", "WATCHDOG_USEC=1.5", "ERRNO=x",
                 "ERRNO=2147483648", "EXTEND_TIMEOUT_USEC=", "MAINPID=0", "=1", "", "RELOADING=2"):  # fmt: skip
        assert parse(text.encode(), 7).event == Notified(7), text


def test_an_empty_message_needs_no_known_sender() -> None:
    for text in ("BARRIER=1", "X=1", "", "READY=0"):
        assert parse(text.encode(), 7).says_nothing, text
    for text in (*WORD_BY_WORD, "MAINPID=4711", "FDSTORE=1"):
        assert not parse(text.encode(), 7).says_nothing, text


def test_reloading_ends_with_the_ready_that_follows_it() -> None:
    reloading, ready = Notified(7, reloading=True), Notified(7, ready=True)
    assert not together(reloading, ready).reloading
    assert together(ready, reloading).reloading
