"""The heat map and the advice: tables of rows, and the resulting text."""

from html.parser import HTMLParser
from io import StringIO
from math import sin

import pytest

from supervisor.usage.advice import ENOUGH, advise, correlation
from supervisor.usage.heat import SHADES, Heat, colour, grid, shade, step_for
from supervisor.usage.page import page
from supervisor.verbs.heatmap import _draw as draw
from supervisor.verbs.screen import Screen

N = 24
DAY = [100.0 if slot < 12 else 2.0 for slot in range(N)]
NIGHT = [2.0 if slot < 12 else 100.0 for slot in range(N)]
STEADY = [30.0] * N
IDLE = [0.1] * N
SMALL = [value / 100 for value in DAY]
WHOLE = 200.0  # two processors


def heat(metric: str = "cpu", **rows: list[float | None]) -> Heat:
    return Heat(metric, 0, 3600, {name: tuple(row) for name, row in rows.items()}, 999)


def kinds(made: Heat, capacity: float = WHOLE, kept_up=None) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.tasks) for one in advise(made, capacity, kept_up)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"a": DAY, "b": DAY}, [("apart", ("a", "b"))]),
        ({"a": DAY, "b": NIGHT}, [("together", ("a", "b"))]),
        ({"a": DAY, "b": STEADY}, []),
        ({"a": DAY, "b": SMALL}, []),
        ({"a": DAY, "b": IDLE}, [("idle", ("b",))]),
        ({"a": [150.0] * N}, [("crowd", ("a",))]),
        ({"a": [*[1.0] * (N - 1), 170.0]}, [("crowd", ("a",))]),
        ({"a": [*[0.1] * (N - 1), 50.0]}, [("idle", ("a",))]),
        ({"a": [*[0.1] * (N - 2), 50.0, 50.0]}, []),
        ({"a": [*DAY[: ENOUGH - 1], *[None] * (N - ENOUGH + 1)]}, [("data", ())]),
        ({"a": DAY, "b": [*[None] * (N - 5), *DAY[:5]]}, []),
        ({}, [("data", ())]),
    ],
)
def test_advice(rows, said):
    assert kinds(heat(**rows)) == said


def test_only_a_continuous_task_is_advised_to_use_a_trigger():
    assert kinds(heat(a=IDLE, b=IDLE), kept_up={"b"}) == [("idle", ("b",))]


def test_advice_on_idleness_and_crowding_depends_on_the_metric():
    assert kinds(heat("memory", a=IDLE), 1e9) == []
    assert kinds(heat("io", a=[1e9] * N), 0.0) == []


def test_the_sentences_have_their_figures():
    texts = {one.kind: one.text for one in advise(heat(day=DAY, night=NIGHT, too=DAY), WHOLE)}
    assert texts["apart"] == (
        "day and too peak together in cpu (correlation 1.00; 100% of the machine at once): better apart, or at"
        " different times."
    )
    assert "51% of the machine and not 100%" in texts["together"]


@pytest.mark.parametrize(
    ("both", "expected"),
    [
        ([(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)], 1.0),
        ([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], -1.0),
        ([(1.0, 5.0), (2.0, 5.0), (3.0, 5.0)], 0.0),
        ([(sin(n), sin(n + 1.5708)) for n in range(1000)], 0.0),
    ],
)
def test_correlation(both, expected):
    assert correlation(both) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "columns", "step"),
    [(3600, 60, 60), (86400, 96, 900), (86400, 50, 1800), (30 * 86400, 80, 43200), (60, 100, 15), (1e9, 10, 86400)],
)
def test_a_slot_is_as_short_as_the_columns_permit(seconds, columns, step):
    assert step_for(seconds, columns) == step


def test_a_slot_without_samples_has_no_value():
    made = grid("cpu", [("b", 1, 5.0, 3), ("a", 0, 1.0, 2), ("a", 9, 1.0, 2)], 100, 15, 3)
    assert made.rows == {"a": (1.0, None, None), "b": (None, 5.0, None)}
    assert (made.top, made.samples, made.seen) == (5.0, 5, 2)


def test_shades_and_colours():
    assert [shade(value, 100.0) for value in (0.0, 100.0, None)] == [" ", "█", "?"]
    assert [SHADES.index(shade(value, 100.0)) for value in range(0, 101, 5)] == sorted(
        SHADES.index(shade(value, 100.0)) for value in range(0, 101, 5)
    )
    assert shade(0.0, 0.0) == " "
    assert colour(0.0, 100.0) != colour(50.0, 100.0) != colour(100.0, 100.0) != colour(None, 100.0)


def block(*rgb: int) -> str:
    return "\033[48;2;{};{};{}m \033[0m".format(*rgb)


ROWS = {"a-task-with-a-long-name": [0.0, None, 36.0], "b": [100.0, 6.25, 0.0]}


@pytest.mark.parametrize(
    ("colour", "drawn"),
    [
        (False, ["a-task-with-a-long  ?▒", "                 b █· "]),
        (
            True,
            [
                f"a-task-with-a-long {block(18, 32, 64)}{block(70, 70, 70)}{block(150, 188, 78)}",
                f"                 b {block(200, 40, 30)}{block(30, 110, 140)}{block(18, 32, 64)}",
            ],
        ),
    ],
)
def test_the_heat_map_in_the_terminal(colour, drawn):
    """Coloured blocks or characters: a cell for each slot, after the name of the task."""
    screen = Screen(StringIO())
    screen.colour = colour
    draw(heat(**ROWS), screen)
    assert screen.out.getvalue().splitlines() == drawn


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.outside: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        self.titles += [found["title"]] if "title" in found else []
        self.outside += [value for name, value in attrs if name in ("src", "href")]
        assert tag != "script"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_self_contained_and_has_every_value():
    made = heat(**{"web<1>": [*DAY[:-1], None]})
    text = page('vm "7"', made, advise(made, WHOLE), lambda value: f"{value:.0f} %")
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.outside == []
    assert len(reader.titles) == N
    assert reader.titles[0] == "web<1>, 1970-01-01 00:00 to 01:00: 100 %"
    assert reader.titles[-1].endswith("not seen")
    assert "from 999 measurements" in text
