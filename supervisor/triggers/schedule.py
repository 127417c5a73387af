"""The trigger `schedule`: one or several cron expressions in a time zone."""

from __future__ import annotations

from supervisor.core.definition import Timing
from supervisor.core.firing import Due
from supervisor.triggers.cron import Cron
from supervisor.triggers.interface import NeverDueError
from supervisor.triggers.zone import Zone


class Schedule:
    """See `interface.Trigger`."""

    serial = False

    def __init__(self, timing: Timing) -> None:
        """See `interface.Trigger`.

        Raises:
            OSError, ValueError: the machine has no data of the zone.
        """
        zone = Zone(timing.timezone)
        self.zone, self.zone_assumed = zone.name, zone.assumed
        self._crons = [Cron(expression, zone.info) for expression in timing.schedule]
        self.definition = f"{'; '.join(timing.schedule)} in {zone.name} (zone data {zone.fingerprint})"
        self.words = f"{'; '.join(cron.words for cron in self._crons)}, {zone.name}"

    def after(self, moment: float) -> Due:
        """See `interface.Trigger`. When several expressions are due at once, that is one firing."""
        found = []
        for cron in self._crons:
            try:
                found.append(cron.after(int(moment)))
            except NeverDueError:
                continue
        if not found:
            raise NeverDueError("no such day within 50 years")
        first = min(due.at for due in found)
        return Due(first, max(due.times for due in found if due.at == first))
