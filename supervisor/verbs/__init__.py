"""The verbs of `supctl`. One file has both ends of a verb. `interface` describes the parts of a verb."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False  # `typing` takes supctl two milliseconds
if TYPE_CHECKING:
    from supervisor.verbs.interface import Verb

NAMES = {
    "status": "show the state of every task",
    "start": "start tasks, and wait until they are up",
    "stop": "stop tasks, and wait until no process of them is left",
    "restart": "stop and start again, dependents in order",
    "pause": "suspend tasks: their processes do nothing, but keep memory, files and ports",
    "resume": "continue paused tasks",
    "freeze": "forbid every new process, of everything or of some tasks",
    "thaw": "undo `supctl freeze`",
    "run": "run a triggered task, now or later",
    "cancel": "end a run of a triggered task, or take back a firing that waits",
    "retry": "run again what is over, with the same input",
    "schedule": "show when tasks fire next, and what became of their firings",
    "pool": "show the slots of pools, or hold a slot while a command runs",
    "runs": "show the history of runs: start, duration, outcome",
    "top": "show what the tasks use now: CPU, memory, I/O",
    "heatmap": "show what the tasks used, by time, with advice on which tasks to combine",
    "show": "show everything about a task or a run",
    "why": "say why a task is in its state, and what happens next",
    "logs": "show the output of tasks",
    "events": "show every change, one JSON object a line",
    "signal": "send a signal to the main process of tasks",
    "scale": "change the number of instances of a task",
    "reload": "read the config again, all or nothing",
    "check": "check a config without a supervisor",
    "import": "print a config for the jobs of another program, such as cron",
    "upgrade": "replace the supervisor by the installed version; the tasks keep running",
    "ticket": "show the outcome of an earlier request that took time",
    "shutdown": "stop all tasks, then the supervisor",
    "version": "show the versions of supctl and of the supervisor",
    "completion": "print a completion script for a shell",
}
"""Every verb, in the order of the help, and what it does."""


def load(name: str) -> ModuleType:
    """Load the module of one verb. `supctl` loads only the one that it needs."""
    return import_module(f"supervisor.verbs.{module_of(name)}")


def module_of(name: str) -> str:
    """Return the name of the module of a verb. A word of Python cannot name a module, and gets an underscore."""
    return f"{name}_" if name == "import" else name


def load_all() -> dict[str, Verb]:
    """Load every verb that a supervisor answers. It does so at its start: a disk that hangs later cannot block it."""
    from supervisor.verbs.interface import Verb  # noqa: PLC0415 - supctl loads the module of one verb

    import_module("supervisor.core.select")  # answers need it, and supctl does not
    modules = {name: load(name) for name in NAMES}
    return {name: Verb(module) for name, module in modules.items() if hasattr(module, "answer")}
