"""Give the advice of the consolidation pattern, from measurements: which tasks fit together on one machine.

The pattern: do not place tasks beside each other that use the same resource at the same time. Place tasks together that
complement each other. The grid answers four questions:

- Which two tasks peak together?
- Which two tasks take turns?
- Which task is almost always idle?
- Which task crowds the machine?

Each answer is a sentence with its figures, so that a person can disagree.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from math import sqrt
from statistics import fmean

from supervisor.core.immutable import immutable
from supervisor.usage.heat import Heat

ENOUGH = 12
"""The fewest measured time slots for any advice."""

TOGETHER = 0.7
"""Two tasks peak together at this correlation or above."""

APART = -0.3
"""Two tasks take turns at this correlation or below."""

NOTABLE = 0.1
"""A task whose peak is below this share of the machine disturbs no other task."""

IDLE_CPU = 1.0
"""Percent of a processor. A task below it does almost nothing."""

IDLE = 0.95
"""A task is idle if it does almost nothing for this share of the time."""

CROWD = 0.5
"""A task crowds the machine if its mean share is at least this, or its peak share is at least PEAK."""

PEAK = 0.8


@immutable
class Advice:
    """One piece of advice: its kind, its tasks, and the sentence."""

    kind: str  # "apart" | "together" | "idle" | "crowd" | "data"
    tasks: tuple[str, ...]
    text: str


def advise(heat: Heat, capacity: float, kept_up: Collection[str] | None = None) -> list[Advice]:
    """Return all advice for one metric.

    Args:
        heat: the grid of one metric.
        capacity: of the machine: percent of all processors, or bytes of memory; 0 when there is no limit (I/O).
        kept_up: the tasks of kind continuous; None when that is not known.
    """
    if heat.seen < ENOUGH:
        measured = "1 slot of time has" if heat.seen == 1 else f"{heat.seen} slots of time have"
        text = f"Only {measured} been measured, {ENOUGH} are needed before there is advice."
        return [Advice("data", (), text)]
    whole = capacity or max(heat.top, 1e-9)
    return [*_crowds(heat, whole, capacity), *_pairs(heat, whole), *_idle(heat, kept_up)]


def _pairs(heat: Heat, whole: float) -> list[Advice]:
    found: list[tuple[float, Advice]] = []
    notable = [task for task, row in heat.rows.items() if _peak(row) >= NOTABLE * whole]
    for one, other in combinations(notable, 2):
        both = _both(heat.rows[one], heat.rows[other])
        if len(both) < ENOUGH:
            continue
        r = correlation(both)
        peak = max(a + b for a, b in both)
        alone = max(a for a, _ in both) + max(b for _, b in both)
        if r >= TOGETHER:
            text = (
                f"{one} and {other} peak together in {heat.metric} (correlation {r:.2f}; {peak / whole:.0%} of the "
                f"machine at once): better apart, or at different times."
            )
            found.append((-peak, Advice("apart", (one, other), text)))
        elif r <= APART:
            text = (
                f"{one} and {other} take turns in {heat.metric} (correlation {r:.2f}): together they need "
                f"{peak / whole:.0%} of the machine and not {alone / whole:.0%}, so they fit well together."
            )
            found.append((peak - alone, Advice("together", (one, other), text)))
    return [advice for _, advice in sorted(found, key=lambda pair: pair[0])]


def _idle(heat: Heat, kept_up: Collection[str] | None) -> list[Advice]:
    if heat.metric != "cpu":
        return []
    found = []
    for task, row in heat.rows.items():
        values = [value for value in row if value is not None]
        if len(values) < ENOUGH or (kept_up is not None and task not in kept_up):
            continue
        share = sum(value < IDLE_CPU for value in values) / len(values)
        if share >= IDLE:
            text = f"{task} is idle {share:.0%} of the time: a trigger (a schedule, a watched file) may be enough."
            found.append(Advice("idle", (task,), text))
    return found


def _crowds(heat: Heat, whole: float, capacity: float) -> list[Advice]:
    if not capacity:
        return []
    found = []
    for task, row in heat.rows.items():
        values = [value for value in row if value is not None]
        mean, peak = fmean(values) / whole, max(values) / whole
        if len(values) >= ENOUGH and (mean >= CROWD or peak >= PEAK):
            text = (
                f"{task} uses much of the machine: {mean:.0%} of its {heat.metric} in the mean, {peak:.0%} at its peak."
            )
            found.append(Advice("crowd", (task,), text))
    return found


def correlation(both: list[tuple[float, float]]) -> float:
    """Return Pearson's correlation, from -1 to 1; 0 when one of the two never changes."""
    mean_a, mean_b = fmean(a for a, _ in both), fmean(b for _, b in both)
    cov = sum((a - mean_a) * (b - mean_b) for a, b in both)
    var_a, var_b = sum((a - mean_a) ** 2 for a, _ in both), sum((b - mean_b) ** 2 for _, b in both)
    return cov / sqrt(var_a * var_b) if var_a > 1e-12 and var_b > 1e-12 else 0.0


def _both(one: tuple[float | None, ...], other: tuple[float | None, ...]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]


def _peak(row: tuple[float | None, ...]) -> float:
    return max((value for value in row if value is not None), default=0.0)
