"""Decide whether a firing gets another run after the end of one, and when.

A run that failed uses an attempt. These ends use none, as they are neither failure nor success:

- A person, a newer firing or the config has stopped the run. The firing is over.
- A shutdown has cut the run off. With `retry` the firing runs again at the next start.

The death of the machine cuts a run off, too. Nobody knows how far that run came, so it uses an attempt.
"""

from __future__ import annotations

from supervisor.core import backoff
from supervisor.core.definition import Retry
from supervisor.core.firing import Firing
from supervisor.core.immutable import immutable
from supervisor.core.instance import Order, Outcome


@immutable
class Again:
    """The next run of a firing that is not over."""

    attempt: int
    interrupted: int  # see `Firing`
    missed: int  # see `Firing`
    start: float  # not before, in seconds since 1970


def after_run(
    policy: Retry | None, order: Order, outcome: Outcome, run: str, wall: float, *, cut_off: bool
) -> Again | None:
    """Return the next run of a firing whose run has ended; None: the firing is over.

    Args:
        policy: `retry` of its task.
        order: what the run was for.
        outcome: how the run ended.
        run: its id. The jitter of the delay follows from it.
        wall: seconds since 1970.
        cut_off: a shutdown has stopped the run.
    """
    if policy is None:
        return None
    if cut_off:
        return Again(order.attempt, order.interrupted + 1, order.missed, wall)
    if outcome.success or outcome.asked or order.attempt >= policy.attempts:
        return None
    return Again(order.attempt + 1, 0, order.missed, wall + backoff.delay(policy.backoff, order.attempt, run))


def after_boot(policy: Retry | None, firing: Firing, run: str, wall: float) -> Again | None:
    """Return the next run of a firing whose run was on when the machine went down; None: the firing is over."""
    if policy is None or firing.attempt >= policy.attempts:
        return None
    start = wall + backoff.delay(policy.backoff, firing.attempt, run)
    return Again(firing.attempt + 1, firing.interrupted + 1, firing.missed, start)


def longest_delay(policy: Retry | None) -> float:
    """Return the longest delay before a run, in seconds."""
    return policy.backoff.max * (1 + policy.backoff.jitter) if policy else 0.0
