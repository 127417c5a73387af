"""Make the manifest for the helpers (`store.manifest`) from the config in force and from the other runs that live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core.immutable import plain
from supervisor.core.words import in_words
from supervisor.store import layout

if TYPE_CHECKING:
    from supervisor.core.definition import Task
    from supervisor.shell.context import Context


def publish(context: Context) -> None:
    """Write the manifest, which tells the helpers what to do. Call it whenever the manifest may have changed."""
    try:
        context.host.publish_manifest(context.settings.runtime_dir, manifest_of(context))
    except OSError as error:
        what = f"cannot write the manifest for the helpers, they go on with the last one: {in_words(error)}"
        context.host.log("error", what)


def manifest_of(context: Context) -> dict[str, Any]:
    """Return everything that a helper may have to know."""
    settings, fleet = context.settings, context.fleet
    instances = [i for i in fleet.instances.values() if not i.task.helper]
    tasks = {i.task.name: i.task for i in instances} | context.config.tasks
    return {
        "state_dir": settings.state_dir,
        "group": settings.socket_group,
        "sample": context.config.settings.sample,
        "log_dir": context.config.settings.log_dir,
        "socket": layout.control_socket(settings.runtime_dir),
        "tasks": {name: _of_task(task) for name, task in tasks.items()},
        "instances": [i.key for i in instances],
    }


def _of_task(task: Task) -> dict[str, Any]:
    return {"log": plain(task.log), "user": task.user, "limits": task.limits.watched}
