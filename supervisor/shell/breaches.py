"""Handle breaches of limits that only @scribe watches.

@scribe writes a breach to the runtime directory, and the host reports that there is one. This module turns it into an
event of the run, and the core then stops the run as failed. So only a breach wakes the parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.events import Exceeded

if TYPE_CHECKING:
    from supervisor.shell.context import Context


def read(context: Context) -> None:
    """Read the breaches, also those from before this supervisor started, and apply them to the runs."""
    for key, breach in context.host.breaches().items():
        instance = context.fleet.instances.get(key)
        if instance and instance.run and instance.run.id == breach["run"]:
            context.fleet.apply(key, Exceeded(instance.run.number, breach["why"]), context.host.now())
