"""Turn a launch into the plain values that the spawner gets, including the paths of the output FIFOs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.host import mark
from supervisor.host.interface import Launch
from supervisor.sandbox.spec import confinement
from supervisor.store import layout

if TYPE_CHECKING:
    from supervisor.host.step import Spec


def spec_of(launch: Launch, output: tuple[str, str]) -> Spec:
    """Return the values that `child.become` needs."""
    task, run = launch.task, launch.run
    own = own_variables(launch)
    begins = (layout.begun(launch.runtime_dir, launch.key), run.id) if run.order and run.order.firing else ()
    return {
        "title": f"{launch.supervisor} {task.name} {launch.runtime_dir}" if task.helper else launch.key,
        "helper": task.helper,
        "command": tuple(fill(word, own) for word in task.command) + (run.order.arguments if run.order else ()),
        "python": task.python,
        "stop_signal": task.stop.signal,
        "directory": task.directory,
        "user": task.user,
        "umask": task.umask,
        "inherit_environment": task.inherit_environment,
        "environment": {
            **{name: fill(value, own) for name, value in task.environment.items()},
            **dict(run.order.environment if run.order else ()),
            **own,
            **({"CREDENTIALS_DIRECTORY": layout.credentials(launch.runtime_dir)} if task.credentials else {}),
        },
        "environment_file": task.environment_file,
        "stdin": run.order.stdin if run.order else "",
        "text": run.order.text if run.order else "",
        "out": output[0],
        "err": output[1],
        "notify_socket": layout.notify_socket(launch.runtime_dir, launch.key, run.number) if task.notifies else "",
        "begins": begins,
        "bound": False,
        "kept": -1,
        "mark": mark.number(run.id, launch.runtime_dir),
        "no_new_privileges": task.no_new_privileges,
        "confine": confinement(task, launch.group, launch.runtime_dir),
    }


def _to_notify(launch: Launch) -> dict[str, str]:
    """Return NOTIFY_SOCKET and WATCHDOG_USEC, if the task has them. Only the child knows WATCHDOG_PID."""
    task = launch.task
    if not task.notifies:
        return {}
    where = {"NOTIFY_SOCKET": layout.notify_socket(launch.runtime_dir, launch.key, launch.run.number)}
    return where | ({"WATCHDOG_USEC": str(int(task.watchdog * 1e6))} if task.watchdog else {})


def own_variables(launch: Launch) -> dict[str, str]:
    """Return the variables that tell a task about itself (contract, section 8)."""
    return {
        **_to_notify(launch),
        "SUPERVISOR_TASK": launch.task.name,
        "SUPERVISOR_INSTANCE": str(launch.index),
        "SUPERVISOR_REPLICAS": str(launch.task.replicas),
        "SUPERVISOR_RUN": launch.run.id,
        "SUPERVISOR_TRIGGER": launch.run.trigger,
        "SUPERVISOR_ATTEMPT": str(launch.run.attempt),
        "SUPERVISOR_LAST_EXIT": launch.last_exit,
        "SUPERVISOR_SOCKET": layout.control_socket(launch.runtime_dir),
    }


def fill(text: str, own: dict[str, str]) -> str:
    """Replace ${SUPERVISOR_INSTANCE} and similar variables, which the config could not know yet."""
    if "${SUPERVISOR_" in text:
        for name, value in own.items():
            text = text.replace(f"${{{name}}}", value)
    return text


def fifo_paths(launch: Launch) -> tuple[str, str]:
    """Return the FIFOs of stdout and stderr of a run: "" for none, twice the same path if they share one."""
    read, err = launch.task.log.descriptors
    if launch.task.helper or not read:
        return "", ""
    base = layout.output(launch.runtime_dir, launch.run.id)
    return f"{base}.out", f"{base}.{err}" if err else ""
