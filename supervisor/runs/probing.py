"""Ask the questions of probes to runs: start them, bound their time, and report the answers.

The parent asks no question itself. The kind of a probe says who does: @prober (`prober_link`), or a child of the parent
(`probe_children`).

A failure on our side (no prober, no process) is reported as None, never as a bad answer.
"""

from __future__ import annotations

from typing import TypeVar

from supervisor import probes
from supervisor.core.definition import Probe
from supervisor.core.immutable import replace
from supervisor.host.deadlines import nearest, overdue
from supervisor.host.interface import Done, Happened, Launch, Occurrence
from supervisor.host.loop import Loop
from supervisor.probes.interface import AsChild
from supervisor.runs.probe_children import ProbeChildren
from supervisor.runs.prober_link import ProberLink
from supervisor.runs.process import Processes
from supervisor.runs.question import Question
from supervisor.runs.signaller import Chase
from supervisor.spawn.launch import fill, own_variables
from supervisor.spawn.spawning import Spawning

T = TypeVar("T")


class Probing:
    """Every open question."""

    def __init__(self, loop: Loop, spawning: Spawning, processes: Processes, aside: Chase) -> None:
        """`processes` reaps our children. `aside` begins an errand."""
        self.prober = ProberLink(loop, processes)
        self._children = ProbeChildren(spawning, processes, aside)
        self._count = 0
        self._answers: list[Occurrence] = []

    def ask(self, launch: Launch, probe: Probe, now: float) -> None:
        """See `interface.Host.ask`."""
        self._count += 1
        question = Question(self._count, launch, _filled(probe, launch), now + probe.timeout)
        kind = probes.load(probe.kind)
        asked = self._children.ask(question, kind, launch) if isinstance(kind, AsChild) else self.prober.ask(question)
        if not asked:
            self._answers.append(question.answer(ok=None, text="the probe cannot start now"))

    def next_deadline(self) -> float | None:
        """Return when the next question is given up; 0.0 if there is something to report or to end."""
        if self._answers:
            return 0.0
        return nearest((self.prober, self._children))

    def postpone(self, seconds: float) -> None:
        """Postpone all deadlines: we stood still for so long, and perhaps the run as well."""
        self.prober.postpone(seconds)
        self._children.postpone(seconds)

    def due(self, now: float) -> list[Occurrence]:
        """End the questions that take too long, and those that concern no run any more."""
        told, self._answers = self._answers, []
        return [*told, *(one for part in overdue((self._children, self.prober), now) for one in part.due(now))]

    def end(self) -> None:
        """End all questions of children, before this process executes another program."""
        self._answers += self._children.end()

    @property
    def busy(self) -> bool:
        """Whether a process of a child may live."""
        return self._children.busy

    def chased(self, done: Done) -> list[Happened] | None:
        """Handle the end of an errand. Return None if it was none of ours."""
        return self._children.chased(done)


def _filled(probe: Probe, launch: Launch) -> Probe:
    """Fill the values of the kind with the variables of the instance."""
    own = own_variables(launch)
    return replace(probe, values={name: _fill(value, own) for name, value in probe.values.items()})


def _fill(value: T, own: dict[str, str]) -> T | object:
    if isinstance(value, str):
        return fill(value, own)
    if isinstance(value, (tuple, list)):
        return tuple(_fill(inner, own) for inner in value)
    if isinstance(value, dict):
        return {name: _fill(inner, own) for name, inner in value.items()}
    return value
