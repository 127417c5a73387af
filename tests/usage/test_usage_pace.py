"""How often resource use is measured: tables for a pure function."""

import pytest

from supervisor.usage import pace


@pytest.mark.parametrize(
    ("every", "cost", "runs", "expected"),
    [
        (15.0, 0.000, 0, 15.0),
        (15.0, 0.002, 1, 15.0),
        (15.0, 0.025, 400, 15.0),  # 0.17 %: what is wanted
        (15.0, 0.060, 400, 30.0),  # a slow machine: 0.2 %, and not 0.4 %
        (15.0, 0.060, 1000, 30.0),
        (15.0, 0.100, 2500, 20.0),  # 0.5 %
        (15.0, 0.400, 5000, 50.0),  # 0.8 %
        (15.0, 4.000, 50_000, 500.0),
        (1.0, 0.002, 1, 1.0),
        (1.0, 0.010, 10, 5.0),  # also what is wanted more often is bounded
        (1000.0, 0.400, 5000, 1000.0),
    ],
)
def test_the_interval_grows_with_what_a_round_costs(every: float, cost: float, runs: int, expected: float) -> None:
    assert pace.interval(every, cost, runs) == pytest.approx(expected)


@pytest.mark.parametrize("runs", [0, 1, 10, 400, 999, 1000, 2345, 4000, 5000, 100_000])
@pytest.mark.parametrize("cost", [0.0001, 0.01, 0.3, 5.0])
@pytest.mark.parametrize("every", [0.1, 1.0, 15.0, 3600.0])
def test_measuring_never_takes_more_than_its_share(every: float, cost: float, runs: int) -> None:
    assert cost / pace.interval(every, cost, runs) <= pace.share(runs) * 1.000001
    assert pace.share(runs) < (0.0025 if runs <= 400 else 0.01)


@pytest.mark.parametrize(("cost", "expected"), [(0.0, 1.5), (0.1, 1.5), (0.2, 2.0), (3.0, 30.0)])
def test_repeated_requests_are_bounded_too(cost: float, expected: float) -> None:
    assert pace.asked(cost) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("runs", "new", "asked", "expected"),
    [
        (0, 0, False, 0),
        (3, 3, False, 3),  # a small fleet is known at once
        (3, 0, False, 1),
        (100, 100, False, 20),
        (100, 7, False, 7),
        (100, 0, False, 5),
        (400, 0, False, 20),
        (401, 0, False, 21),
        (5000, 5000, False, 250),
        (3, 0, True, 3),
        (150, 0, True, 150),
        (400, 0, True, 200),
        (5000, 0, True, 250),
    ],
)
def test_a_few_runs_are_measured_in_full(runs: int, new: int, asked: bool, expected: int) -> None:
    assert pace.in_full(runs, new, asked=asked) == expected
