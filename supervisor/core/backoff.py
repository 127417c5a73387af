"""Decide how long to wait before a restart, and when to stop trying.

The jitter is computed from the run's id. The id is unique, so the restarts of instances spread out. The same history
always gives the same delays. So the core needs no randomness.
"""

from __future__ import annotations

from zlib import crc32

from supervisor.core.definition import Backoff, GiveUp


def delay(policy: Backoff, streak: int, run_id: str) -> float:
    """Return the seconds before restart number `streak` (1 = the first) of a row of short runs."""
    try:
        base = min(policy.initial * policy.factor ** (streak - 1), policy.max)
    except OverflowError:  # 2.0 ** 1024
        base = policy.max
    share = crc32(run_id.encode()) / 2**31 - 1  # -1 … 1
    return max(0.0, base * (1 + policy.jitter * share))


def recent(failed_at: tuple[float, ...], now: float, policy: GiveUp | None) -> tuple[float, ...]:
    """Return the failures that still count: those within the window of `give_up`; none without `give_up`."""
    if policy is None:
        return ()
    return tuple(at for at in failed_at if now - at <= policy.within)[-policy.failures :]


def exhausted(failed_at: tuple[float, ...], policy: GiveUp | None) -> bool:
    """Return whether the failures that still count are as many as `give_up` allows."""
    return policy is not None and len(failed_at) >= policy.failures
