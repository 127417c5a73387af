"""A launch as the spawner gets it: plain values, with the files of the output worked out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from supervisor.host import mark
from supervisor.host.interface import Launch

if TYPE_CHECKING:
    from supervisor.host.child import Spec


def spec_of(launch: Launch) -> Spec:
    """What `child.become` needs to know."""
    task, run = launch.task, launch.run
    own = own_variables(launch)
    out, err = output_paths(launch)
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
        },
        "environment_file": task.environment_file,
        "out": out,
        "err": err,
        "fifos": task.log.to == "inherit",
        "mark": mark.number(run.id),
        "as_user": task.user is not None and task.log.to not in ("file", "none", "inherit"),
    }


def own_variables(launch: Launch) -> dict[str, str]:
    """What a task gets to know of itself (contract, section 8)."""
    return {
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


def output_paths(launch: Launch) -> tuple[str, str]:
    """Where stdout and stderr of a launch go: absolute paths, "" for nowhere."""
    log, task = launch.task.log, launch.task
    name = task.name if launch.index == 1 else launch.key
    if log.to == "inherit":
        out, err = fifo_paths(launch.runtime_dir, launch.key)
        return out, "" if log.stderr == "none" else err
    out = {"file": f"{launch.log_dir}/{name}.log", "none": ""}.get(log.to, log.to)
    if log.stderr == "none" or not out:
        return out, ""
    root, extension = os.path.splitext(out)
    return out, out if log.stderr == "merged" else f"{root}.err{extension}"


def fifo_paths(runtime_dir: str, key: str) -> tuple[str, str]:
    """The FIFOs of an instance whose output @scribe reads: stdout, stderr."""
    return f"{runtime_dir}/output/{key}.out", f"{runtime_dir}/output/{key}.err"
