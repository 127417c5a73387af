"""Carry out the escalations of `core.escalation`: freeze everything, end the supervisor, and report it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.escalation import FREEZE, SHUTDOWN, Escalation
from supervisor.core.exits import EX_UNAVAILABLE
from supervisor.core.freeze import EVERYTHING, Freeze
from supervisor.host.interface import Done

if TYPE_CHECKING:
    from supervisor.shell.alerts import Alerts
    from supervisor.shell.context import Context
    from supervisor.shell.ending import Ending
    from supervisor.shell.freezes import Freezes

ITSELF = "the supervisor"
"""The author of acts that no person requested."""


def carry_out(context: Context, freezes: Freezes, alerts: Alerts, ending: Ending, now: float) -> None:
    """Carry out what follows from give-ups and crash storms. Call it before anything more is started."""
    for escalation in context.fleet.escalate(now):
        context.announcer.escalated(escalation)
        if escalation.what == FREEZE:
            _freeze(context, freezes, escalation)
        elif escalation.what == SHUTDOWN:
            alerts.shutdown(escalation.reason)
            ending.begin(escalation.reason, EX_UNAVAILABLE)


def _freeze(context: Context, freezes: Freezes, escalation: Escalation) -> None:
    """Freeze everything, unless this source has done so already: a second give-up keeps the first reason."""
    if any(freeze.identity == (EVERYTHING, escalation.source) for freeze in context.fleet.freezes):
        return

    def kept(done: Done) -> None:
        if done.error:
            context.host.log(
                "error", f"the freeze is in force, but could not be saved, so it ends with a boot: {done.error}"
            )

    freeze = Freeze(EVERYTHING, escalation.source, ITSELF, context.host.stamp(), escalation.reason)
    freezes.freeze([freeze], kept)
