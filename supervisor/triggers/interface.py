"""The interface of a trigger: it says when a task is due.

A trigger is a file of this folder and a line in `triggers.KINDS`. It computes, and does nothing else: @timekeeper
writes its firings to the store, and the parent decides what becomes of them.
"""

from __future__ import annotations

from typing import Protocol

from supervisor.core.definition import Timing
from supervisor.core.firing import Due


class Trigger(Protocol):
    """One trigger of one task."""

    serial: bool
    """Whether the next due time counts from the end of the firing before. So there is one firing at a time."""

    definition: str
    """A text that is equal as long as the same due times follow from the same config, machine and zone data."""

    words: str
    """When it is due, for people: "at 04:00 every day, Europe/Berlin"."""

    zone: str
    """The time zone of its due times: an IANA name, or a path of its data; "": it has none."""

    zone_assumed: bool
    """Whether the machine has no time zone, and UTC stands in for it."""

    def __init__(self, timing: Timing) -> None:
        """Read the keys of a task."""

    def after(self, moment: float) -> Due:
        """Return the first due time after a moment, in seconds since 1970.

        Raises:
            NeverDueError: there is none.
        """


class NeverDueError(Exception):
    """A trigger has no due time within the next 50 years."""
