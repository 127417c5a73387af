"""Carrying out what `core.escalation` has found: the freeze of everything, the end of the supervisor, and the words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.escalation import FREEZE, SHUTDOWN, Escalation, escalate
from supervisor.core.freeze import EVERYTHING, Freeze
from supervisor.host.interface import Done

if TYPE_CHECKING:
    from supervisor.parent import Parent

EX_UNAVAILABLE = 69
"""The exit code of a shutdown by `on_give_up` (sysexits.h). Not zero: the service manager starts it again."""

ITSELF = "the supervisor"
"""The author of what nobody asked for."""


def carry_out(parent: Parent, now: float) -> None:
    """Does all that follows from give-ups and storms. Call it before anything more is started."""
    for escalation in escalate(parent.fleet, now):
        parent.announce.escalated(escalation)
        if escalation.what == FREEZE:
            _freeze(parent, escalation)
        elif escalation.what == SHUTDOWN:
            parent.notices.shutdown(escalation.reason)
            parent.shut_down(escalation.reason, EX_UNAVAILABLE)


def _freeze(parent: Parent, escalation: Escalation) -> None:
    """The first reason stays: a second give-up does not write over who was the first."""
    if any(freeze.identity == (EVERYTHING, escalation.source) for freeze in parent.fleet.freezes):
        return

    def kept(done: Done) -> None:
        if done.error:
            parent.host.log("error", f"the freeze holds, but could not be kept for after a boot: {done.error}")

    freeze = Freeze(EVERYTHING, escalation.source, ITSELF, parent.host.stamp(), escalation.reason)
    parent.switch.freeze([freeze], kept)
