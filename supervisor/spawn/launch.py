"""A launch as the spawner gets it: plain values, with the FIFOs of the output worked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.host import mark, traces
from supervisor.host.confinement import confinement, credentials_directory
from supervisor.host.interface import Launch

if TYPE_CHECKING:
    from supervisor.host.child import Spec


def spec_of(launch: Launch, output: tuple[str, str]) -> Spec:
    """What `child.become` needs to know."""
    task, run = launch.task, launch.run
    own = own_variables(launch)
    return {
        "title": launch.key,
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
            **({"CREDENTIALS_DIRECTORY": credentials_directory(launch.runtime_dir)} if task.credentials else {}),
        },
        "environment_file": task.environment_file,
        "out": output[0],
        "err": output[1],
        "ear": _own_ear(launch),
        "bound": False,
        "mark": mark.number(run.id, launch.runtime_dir),
        "no_new_privileges": task.no_new_privileges,
        "confine": confinement(task, launch.group, launch.runtime_dir),
    }


def notify_path(runtime_dir: str, key: str, run: int) -> str:
    """The socket on which a run may speak."""
    return f"{runtime_dir}/notify/{key}.{run}"


def _own_ear(launch: Launch) -> str:
    """The same, if nobody but its user will ever have to: it can become nobody else."""
    task = launch.task
    fixed = task.notifies and task.user and task.no_new_privileges and not task.capabilities
    return notify_path(launch.runtime_dir, launch.key, launch.run.number) if fixed else ""


def _to_notify(launch: Launch) -> dict[str, str]:
    """Where it may speak, and how often it must, if it was told to. WATCHDOG_PID is known in the child only."""
    task = launch.task
    if not task.notifies:
        return {}
    where = {"NOTIFY_SOCKET": notify_path(launch.runtime_dir, launch.key, launch.run.number)}
    return where | ({"WATCHDOG_USEC": str(int(task.watchdog * 1e6))} if task.watchdog else {})


def own_variables(launch: Launch) -> dict[str, str]:
    """What a task gets to know of itself (contract, section 8)."""
    return {
        **_to_notify(launch),
        "SUPERVISOR_TASK": launch.task.name,
        "SUPERVISOR_INSTANCE": str(launch.index),
        "SUPERVISOR_REPLICAS": str(launch.task.replicas),
        "SUPERVISOR_RUN": launch.run.id,
        "SUPERVISOR_TRIGGER": launch.run.trigger,
        "SUPERVISOR_ATTEMPT": str(launch.run.attempt),
        "SUPERVISOR_LAST_EXIT": launch.last_exit,
        "SUPERVISOR_SOCKET": f"{launch.runtime_dir}/supervisor.sock",
    }


def fill(text: str, own: dict[str, str]) -> str:
    """Replaces ${SUPERVISOR_INSTANCE} and its kind, which the config could not know yet."""
    if "${SUPERVISOR_" in text:
        for name, value in own.items():
            text = text.replace(f"${{{name}}}", value)
    return text


def fifo_paths(launch: Launch) -> tuple[str, str]:
    """The FIFOs of stdout and stderr of a run; "" for nowhere, twice the same for both in one."""
    read, err = launch.task.log.descriptors
    if launch.task.helper or not read:
        return "", ""
    base = traces.output(launch.run.id, launch.runtime_dir)
    return f"{base}.out", f"{base}.{err}" if err else ""
