"""One open question of a probe: what is asked of which run, and until when."""

from __future__ import annotations

from supervisor.core.definition import Probe
from supervisor.core.events import Probed
from supervisor.host.interface import Happened, Launch


class Question:
    """One question that has no answer yet."""

    def __init__(self, number: int, launch: Launch, probe: Probe, deadline: float) -> None:
        """`probe` has the variables of the instance filled in."""
        self.number = number
        self.key = launch.key
        self.run = launch.run.number
        self.probe = probe
        self.deadline = deadline

    def answer(self, *, ok: bool | None, text: str = "") -> Happened:
        """Return the answer as an event for the core. `ok` is None if the question could not be asked."""
        return Happened(self.key, Probed(self.run, ok, text))
