"""The verbs of `supctl`: one file each, both ends in it. `interface` says what a verb is."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = {
    "status": "what state everything is in",
    "start": "want tasks up, and wait until they are",
    "stop": "want tasks down, and wait until nothing of them is left",
    "restart": "stop and start again, dependents in order",
    "pause": "have tasks stand still, with all that they hold",
    "resume": "let what was paused go on",
    "freeze": "forbid every new process, of everything or of some tasks",
    "thaw": "undo what `supctl freeze` did",
    "run": "run a triggered task now",
    "runs": "the history: when runs began, how long they took, how they ended",
    "top": "what the tasks use now: CPU, memory, I/O",
    "heatmap": "what the tasks used, by time; and advice on what goes well together",
    "show": "everything that is known of a task, or of a run",
    "why": "why a task is in the state it is in, and what happens next",
    "logs": "what tasks have said",
    "events": "every change, one JSON object a line",
    "signal": "send a signal to the main process of tasks",
    "scale": "change the number of instances of a task",
    "reload": "read the config anew, all or nothing",
    "check": "check a config without a supervisor",
    "upgrade": "replace the supervisor by the installed version, under the living tasks",
    "shutdown": "stop all tasks, then the supervisor",
    "version": "the version of supctl, and of the supervisor",
    "completion": "print a completion script for a shell",
}
"""Every verb, in the order of the help, and what it does."""


READING = frozenset(
    {"status", "runs", "top", "heatmap", "show", "why", "events", "logs", "check", "version", "completion"}
)
"""The verbs that change nothing; every other one is an act, and audited."""


def load(name: str) -> ModuleType:
    """The module of one verb; `supctl` loads just the one that it needs."""
    return import_module(f"supervisor.verbs.{name}")


def load_all() -> dict[str, ModuleType]:
    """Every verb. The supervisor loads them at its start: later a disk that hangs could hold it up."""
    import_module("supervisor.core.select")  # what answers need besides, and supctl does not
    return {name: load(name) for name in NAMES}
