"""The trigger `every`: a fixed time from the end of one run to the start of the next."""

from __future__ import annotations

from supervisor.core.definition import Timing
from supervisor.core.duration import spoken
from supervisor.core.firing import Due

DAY = 86400
"""Seconds."""


class Every:
    """See `interface.Trigger`."""

    serial = True
    zone = ""
    zone_assumed = False

    def __init__(self, timing: Timing) -> None:
        """See `interface.Trigger`."""
        self._seconds = timing.every or 0.0
        self.definition = f"{self._seconds:g} s"
        often = int(DAY // self._seconds)
        most = f" (at most {often} times a day)" if often > 1 else ""
        self.words = f"{spoken(self._seconds)} after each run{most}"

    def after(self, moment: float) -> Due:
        """See `interface.Trigger`. The moment is the end of the run before."""
        return Due(moment + self._seconds)
