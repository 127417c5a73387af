"""A command that must succeed: run as the task's user, in its directory, with its environment, without its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.core.definition import Probe

BY = "child"


def words(probe: Probe) -> tuple[str, ...]:
    """The command as a task would have it."""
    return probe.target


def wrong(code: int | None, signal: str | None) -> str:
    """What an end of it means: only exit 0 is good."""
    if signal:
        return f"its command was killed by {signal}"
    return f"its command ended with exit {code}" if code else ""
