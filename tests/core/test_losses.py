"""Lost output: which part of it is news."""

import pytest

from supervisor.core.losses import CALM, SHOWN, Losses

PLACE = {"why": "No space left on device"}


def loss(number: int, at: float = 0.0) -> dict[str, object]:
    return {"bytes": number * 10, "lines": number, "at": str(at), **PLACE}


@pytest.fixture
def losses() -> Losses:
    return Losses(float)


def seen(losses: Losses, **found: dict[str, object]) -> list[tuple[str, int, int, bool]]:
    return [(news.key, news.bytes, news.lines, news.first) for news in losses.add(found)]


def test_each_report_has_the_loss_since_the_last_one(losses: Losses):
    assert seen(losses) == []
    assert seen(losses, web=loss(1)) == [("web", 10, 1, True)]
    assert seen(losses, web=loss(1)) == []
    assert seen(losses, web=loss(3, 5.0), db=loss(2)) == [("web", 20, 2, False), ("db", 20, 2, True)]


def test_a_loss_after_an_hour_without_losses_is_reported_again(losses: Losses):
    losses.add({"web": loss(1)})
    assert seen(losses, web=loss(2, CALM - 1)) == [("web", 10, 1, False)]
    assert seen(losses, web=loss(3, 2 * CALM)) == [("web", 10, 1, True)]


def test_a_known_loss_is_not_news_but_a_restarted_count_is(losses: Losses):
    losses.restore({"web": loss(5)})
    assert seen(losses, web=loss(5)) == []
    assert seen(losses, web=loss(2, 1.0)) == [("web", 20, 2, True)]


def test_a_loss_is_in_the_why_column_for_a_day(losses: Losses):
    losses.add({"web": loss(1)})
    text = "10 bytes of its output dropped, the last at 0.0: No space left on device"
    assert losses.describe("web", SHOWN - 1) == text
    assert losses.describe("web", SHOWN) == losses.describe("db", 0.0) == ""
    assert losses.of("web") == loss(1)
    assert losses.of("db") is None
