"""Limits that only @scribe watches: it leaves a word in the runtime directory, the host tells that there is one.

Here it becomes an event of the run, which is then stopped as failed. So the parent is woken only by a breach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.events import Exceeded

if TYPE_CHECKING:
    from supervisor.parent import Parent


def look(parent: Parent) -> None:
    """Somebody is beyond a limit; or was, before this supervisor came."""
    for key, breach in parent.host.breaches().items():
        instance = parent.fleet.instances.get(key)
        if instance and instance.run and instance.run.id == breach["run"]:
            parent.fleet.apply(key, Exceeded(instance.run.number, breach["why"]), parent.host.now())
