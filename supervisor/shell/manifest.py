"""The plan for the helpers (`store.plan`): made from the config in force and from what is still running beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core.immutable import plain
from supervisor.core.words import in_words

if TYPE_CHECKING:
    from supervisor.core.definition import Task
    from supervisor.parent import Parent


def publish(parent: Parent) -> None:
    """Tells the helpers what is to be done from now on. Called whenever that may have changed."""
    try:
        parent.host.publish(parent.running_settings.runtime_dir, plan_of(parent))
    except OSError as error:
        what = f"cannot write the plan for the helpers, they go on with the last one: {in_words(error)}"
        parent.host.log("error", what)


def plan_of(parent: Parent) -> dict[str, Any]:
    """Everything that a helper may have to know."""
    settings, fleet = parent.running_settings, parent.fleet
    instances = [i for i in fleet.instances.values() if not i.task.helper]
    tasks = {i.task.name: i.task for i in instances} | parent.config.tasks
    return {
        "state_dir": settings.state_dir,
        "group": settings.socket_group,
        "sample": parent.config.settings.sample,
        "log_dir": parent.config.settings.log_dir,
        "socket": f"{settings.runtime_dir}/supervisor.sock",
        "tasks": {name: _of_task(task) for name, task in tasks.items()},
        "instances": [i.key for i in instances],
    }


def _of_task(task: Task) -> dict[str, Any]:
    return {"log": plain(task.log), "user": task.user, "limits": task.limits.watched}
