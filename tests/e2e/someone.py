"""A supervisor of a user who is not root."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import SUPERVISOR, Lab

import supervisor


def as_someone(lab: Lab) -> tuple[list[str], dict[str, Any]]:
    """Return the command of a supervisor that is not root, and the options with which `Lab.start` runs it."""
    command = [*SUPERVISOR, "-c", str(lab.path)]
    if os.geteuid():
        return command, {}
    os.chown(lab.dir, 54321, 54321)
    command[0] = next(filter(usable, (sys.executable, "/usr/bin/python3")), "")
    if not command[0]:
        pytest.skip("no interpreter that everybody may run and that has what it takes")
    return command, {"user": 54321, "group": 54321, "extra_groups": [], "env": {"PYTHONPATH": modules()}}


def modules() -> str:
    """Where a bare interpreter finds all that this one finds."""
    own = str(Path(supervisor.__file__).parents[1])  # an editable installation is not on the path
    return ":".join([os.environ.get("PYTHONPATH", ""), own, *filter(os.path.isdir, sys.path)]).strip(":")


def usable(interpreter: str) -> bool:
    """Whether any user may run the supervisor with it."""
    probe = "import sys, tomli, setproctitle; assert sys.version_info >= (3, 11)"
    env = {"PYTHONPATH": modules()}
    try:
        return not subprocess.run([interpreter, "-c", probe], check=False, user=54321, group=54321, env=env).returncode
    except OSError:
        return False
