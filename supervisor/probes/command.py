"""Probe by a command that must succeed. It has the task's user, directory and environment, but not its output."""

from __future__ import annotations

from supervisor.core.definition import Probe
from supervisor.core.kind_key import Forms, KindKey
from supervisor.probes.interface import AsChild, Kind


def words(value: object, forms: Forms) -> tuple[str, ...]:
    """Return the words of the command."""
    return forms.command(value)


def command(probe: Probe) -> tuple[str, ...]:
    """Return the command."""
    return tuple(probe.values["command"])


def wrong(code: int | None, signal: str | None) -> str:
    """Return what is wrong with an end of the command, "" for nothing: only exit 0 is good."""
    if signal:
        return f"its command was killed by {signal}"
    return f"its command ended with exit {code}" if code else ""


KIND: Kind = AsChild(
    doc="the command exits with 0; it runs with the user, directory and environment of the task",
    keys=(KindKey("command", "command", words, "a command that must succeed"),),
    command=command,
    wrong=wrong,
)
