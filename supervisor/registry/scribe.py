"""@scribe writes the output of tasks, the history and the samples."""

from __future__ import annotations

from supervisor.core.definition import Config, Task
from supervisor.registry.interface import Helper

MEASURE = "SIGWINCH"
"""The signal that asks it for newer samples. A process that is not ready for it ignores it."""


def needed(config: Config) -> bool:
    """Return whether it has to read, keep or measure anything."""
    return bool(config.settings.sample) or any(map(_concerns, config.tasks.values()))


def _concerns(task: Task) -> bool:
    return bool(task.log.to != "none" or task.history.keep or task.limits.watched)


HELPER = Helper(
    name="@scribe",
    does="reads the output of tasks; writes logs, history and samples",
    needed=needed,
    needed_if="output, history, samples, or limits that no cgroup enforces",
    arguments=lambda runtime_dir, _: (runtime_dir,),
    told=f"reads the manifest, the journal, the spool and the FIFOs in the runtime directory; {MEASURE}: measure now",
    down="output waits in the pipes, and nothing is lost; a task that writes much blocks",
    reads_output=True,
    reads_manifest=True,
    stays=True,
)
