"""Output that was lost: what of it is news."""

import pytest

from supervisor.core.losses import CALM, SHOWN, Losses

PLACE = {"why": "No space left on device"}


def loss(number: int, at: float = 0.0) -> dict[str, object]:
    return {"bytes": number * 10, "lines": number, "at": str(at), **PLACE}


@pytest.fixture
def losses() -> Losses:
    return Losses(float)


def seen(losses: Losses, **found: dict[str, object]) -> list[tuple[str, int, int, bool]]:
    return [(news.key, news.bytes, news.lines, news.first) for news in losses.see(found)]


def test_each_look_has_what_was_lost_since_the_last_one(losses: Losses):
    assert seen(losses) == []
    assert seen(losses, web=loss(1)) == [("web", 10, 1, True)]
    assert seen(losses, web=loss(1)) == []
    assert seen(losses, web=loss(3, 5.0), db=loss(2)) == [("web", 20, 2, False), ("db", 20, 2, True)]


def test_after_an_hour_without_a_loss_the_next_is_told_again(losses: Losses):
    losses.see({"web": loss(1)})
    assert seen(losses, web=loss(2, CALM - 1)) == [("web", 10, 1, False)]
    assert seen(losses, web=loss(3, 2 * CALM)) == [("web", 10, 1, True)]


def test_what_was_known_before_is_no_news_and_a_sum_that_begins_afresh_is(losses: Losses):
    losses.recall({"web": loss(5)})
    assert seen(losses, web=loss(5)) == []
    assert seen(losses, web=loss(2, 1.0)) == [("web", 20, 2, True)]


def test_a_day_long_it_is_in_the_why_column(losses: Losses):
    losses.see({"web": loss(1)})
    assert losses.note("web", SHOWN - 1) == "10 bytes of its output dropped, the last at 0.0: No space left on device"
    assert losses.note("web", SHOWN) == losses.note("db", 0.0) == ""
    assert losses.of("web") == loss(1)
    assert losses.of("db") is None
