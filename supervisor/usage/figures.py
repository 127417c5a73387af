"""Compute figures of all runs of a task from rows of the history. Pure.

A row may stand for several similar runs. It counts as that many runs of their mean length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def figures(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return success rate, median and 95th percentile of the duration, and MTBF; None without runs.

    MTBF is the mean time between failures. A run that was asked to end counts as a success if it ended as one. Else it
    counts neither as a success nor as a failure.

    Args:
        rows: as `history.runs` gives them.
    """
    if not rows:
        return None
    count = sum(row["runs"] for row in rows)
    failed = sum(row["runs"] for row in rows if row["success"] is False)
    judged = failed + sum(row["runs"] for row in rows if row["success"])
    lived = sum(row["duration_s"] * row["runs"] for row in rows)
    durations = [(row["duration_s"], row["runs"]) for row in rows]
    return {
        "runs": count,
        "since": min(row["start"] for row in rows),
        "failed": failed,
        "success_rate": round((judged - failed) / judged, 4) if judged else None,
        "median_s": percentile(durations, 0.5),
        "p95_s": percentile(durations, 0.95),
        "mtbf_s": round(lived / failed, 3) if failed else None,
    }


def percentile(weighted: Iterable[tuple[float, int]], share: float) -> float:
    """Return the smallest value that at least this share does not exceed (nearest rank). Values have counts."""
    ordered = sorted(weighted)
    rank = share * sum(count for _, count in ordered)
    seen = 0
    for value, count in ordered:
        seen += count
        if seen >= rank - 1e-9:
            return value
    raise ValueError("no values")
