"""Make a task of a job of cron: the same command in the same shell, user, directory and environment."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping

from supervisor.config.errors import Wrong
from supervisor.config.machine import Machine, Scope
from supervisor.config.schema import TASK
from supervisor.imports.crontab_lines import Job
from supervisor.imports.page import Value

FOR_MAIL = ("MAILTO", "MAILFROM", "CONTENT_TYPE", "CONTENT_TRANSFER_ENCODING")
FIXED = ("LOGNAME", "USER")
"""Variables that a crontab cannot change."""

ZONE, DELAY = "CRON_TZ", "RANDOM_DELAY"
"""The time zone of the times, and the minutes by which jobs may be late. cronie has both, Debian's cron has neither."""

WITH_STDIN = 'printf %s "$2" | "$0" -c "$1"'
"""What runs a command with some text as its input. It gets the shell, the command and the text as arguments."""


def task_of(job: Job, owner: str, settings: Mapping[str, str]) -> dict[str, Value]:
    """Return the keys of the task.

    Args:
        job: a line of a crontab.
        owner: the user of the crontab, for a job that names none.
        settings: the variables that the lines above it set.

    Raises:
        Wrong: it cannot be a task: a value that the config refuses, a user or a shell that the machine lacks.
    """
    user = job.user or owner
    shell = settings.get("SHELL", "/bin/sh")
    if not os.path.isabs(shell) or not os.access(shell, os.X_OK):
        raise Wrong(f"SHELL is {shell}, which is not a program of this machine")
    environment = {"SHELL": shell} | {name: value for name, value in settings.items() if name not in _NOT_FOR_A_TASK}
    values: dict[str, Value] = {
        "command": [_plain(word) for word in _command(shell, job)],
        **_when(job, settings),
        "user": user,
        "no_new_privileges": False,  # a job of cron may use sudo
        "directory": _plain(_home(user, settings)),
        "environment": {name: _plain(value) for name, value in environment.items()},
    }
    return _checked(values)


_NOT_FOR_A_TASK = (*FOR_MAIL, *FIXED, ZONE, DELAY)


def _command(shell: str, job: Job) -> list[str]:
    if not job.stdin:  # a task reads /dev/null, as a job reads nothing
        return [shell, "-c", job.command]
    return ["/bin/sh", "-c", WITH_STDIN, shell, job.command, job.stdin]


def _when(job: Job, settings: Mapping[str, str]) -> dict[str, Value]:
    if job.at_boot:
        return {"kind": "startup", "mode": "background"}
    if "~" in job.when:
        raise Wrong("a random value (~) has no equal; write one value, or see the key jitter")
    values: dict[str, Value] = {"schedule": job.when}
    if zone := settings.get(ZONE):
        values["timezone"] = zone
    if delay := settings.get(DELAY, "").removeprefix("0"):
        values["jitter"] = f"{delay}m"
    return values


def _home(user: str, settings: Mapping[str, str]) -> str:
    """Return the directory where the job begins: that of HOME, or / if there is no such directory."""
    try:
        home = settings.get("HOME") or pwd.getpwnam(user).pw_dir
    except (KeyError, ValueError):
        raise Wrong(f"there is no user {user or os.geteuid()} on this machine") from None
    return home if os.path.isabs(home) and os.path.isdir(home) else "/"


def _plain(text: str) -> str:
    """Return how the config writes a text in which it must not replace a `${NAME}`."""
    return text.replace("${", "$${")


def _checked(values: dict[str, Value]) -> dict[str, Value]:
    """Check each value as the check of a config does."""
    scope = Scope(Machine(os.environ), "/")
    for key, value in values.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
            TASK[key].type.parse(value, scope)
        except UnicodeEncodeError:
            raise Wrong(f"{key}: it has bytes that are no UTF-8, which a config cannot have") from None
        except Wrong as wrong:
            raise Wrong(f"{key}: {wrong.problems[0].message}") from None
    return values
