"""Decide how often to measure the resource use of runs, and how many runs to measure in full. Pure.

Measuring takes only a bounded share of a processor, so that it does not keep a machine busy. The time between two
rounds grows with the cost of the last round. So the share holds for any number of runs and on any machine.
"""

from __future__ import annotations

LEAST_SHARE = 0.002
"""The share of one processor for up to 1,000 runs. For 400 runs, all our processes must take less than 0.25 %."""

SHARE_OF_ONE = 2e-6
"""The share that each further run adds."""

MOST_SHARE = 0.008
"""The share for 4,000 runs and more. 5,000 runs must take less than 1 %."""

ASKED = 1.5
"""The fewest seconds from the last round to a round that a client asks for."""

ASKED_SHARE = 0.1
"""The share while a client asks again and again, as `supctl top` does."""

TURNS = 20
"""After this many rounds, each run was measured in full: five minutes at the default interval."""

NEW = 20
"""Up to this many runs that were never measured in full get their turn in one round."""

FULL_ASKED = 200
"""This many runs are measured in full in a round that a client asks for."""


def share(runs: int) -> float:
    """Return the share of one processor that measuring so many runs may take."""
    return min(max(LEAST_SHARE, runs * SHARE_OF_ONE), MOST_SHARE)


def interval(every: float, cost: float, runs: int) -> float:
    """Return the seconds until the next round.

    Args:
        every: the interval of the config (the key `sample`).
        cost: seconds of CPU time of the last round.
        runs: how many runs it measured.
    """
    return max(every, cost / share(runs))


def asked(cost: float) -> float:
    """Return the seconds that a round on request must wait after the last round."""
    return max(ASKED, cost / ASKED_SHARE)


def in_full(runs: int, new: int, *, asked: bool) -> int:
    """Return how many runs to measure in full in one round. `new`: how many of them never were."""
    return min(runs, max(FULL_ASKED if asked else min(new, NEW), -(-runs // TURNS)))
