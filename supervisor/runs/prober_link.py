"""The connection to @prober: a question is a packet over a socket to which the helper has connected."""

from __future__ import annotations

import json
import signal

from supervisor.core.immutable import plain
from supervisor.core.utf8 import json_object
from supervisor.host.interface import Occurrence
from supervisor.host.loop import Loop
from supervisor.registry.prober import HELPER
from supervisor.runs.channel import Channel
from supervisor.runs.process import Processes
from supervisor.runs.question import Question

PATIENCE = 5.0
"""Seconds beyond the timeout. Then a question is lost, and the prober is killed, as it should have answered."""


class ProberLink:
    """The questions that @prober has not answered yet."""

    def __init__(self, loop: Loop, processes: Processes) -> None:
        """`processes` knows the pid of @prober."""
        self._processes = processes
        self._open: dict[int, Question] = {}
        self._channel = Channel(loop, processes, HELPER.key, connected=list, received=self._answered, closed=self._lost)
        self.listen = self._channel.listen

    def ask(self, question: Question) -> bool:
        """Send the question. Return whether that was possible."""
        packet = json.dumps({"number": question.number, "probe": plain(question.probe)}).encode()
        sent = self._channel.send(packet, now=True)
        if sent:
            question.deadline += PATIENCE
            self._open[question.number] = question
        return sent

    def next_deadline(self) -> float | None:
        """Return when the next question is lost."""
        return min((question.deadline for question in self._open.values()), default=None)

    def postpone(self, seconds: float) -> None:
        """Postpone all deadlines."""
        for question in self._open.values():
            question.deadline += seconds

    def due(self, now: float) -> list[Occurrence]:
        """See `Timed`: kill a prober that does not answer in time."""
        prober = self._processes.by_key.get(HELPER.key)
        if prober is not None and not prober.ended:
            prober.send(signal.SIGKILL)
        return self._channel.close()

    def _answered(self, packet: bytes) -> list[Occurrence]:
        number, ok, text = _usable(packet)
        question = self._open.pop(number, None)
        return [question.answer(ok=ok, text=text)] if question else []

    def _lost(self) -> list[Occurrence]:
        """Return the answers to all questions when the prober has ended: there are none."""
        lost, self._open = self._open, {}
        return [question.answer(ok=None, text="@prober ended") for question in lost.values()]


def _usable(packet: bytes) -> tuple[int, bool | None, str]:
    """Return number, result and text of an answer. Without a usable one, return the number of no question.

    The question then stays open until its deadline, which replaces the prober.
    """
    message = json_object(packet) or {}
    number, ok, text = (message.get(name) for name in ("number", "ok", "text"))
    if isinstance(number, int) and (ok is None or isinstance(ok, bool)) and isinstance(text, str):
        return number, ok, text
    return 0, None, ""
