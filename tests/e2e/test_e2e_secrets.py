"""Secrets of a task are in no answer, no log and no alert."""

import os
import stat
from pathlib import Path

import pytest
from lab import Lab, wait_for

SECRET = "hunter2"

TASKS = """
[task.web]
command = "sleep 1000"
environment = {{ PASSWORD = "{secret}" }}
environment_file = ["env"]
health.http = "http://127.0.0.1:1/"
health.headers = {{ Authorization = "{secret}" }}
health.every = "100ms"
health.restart = false
CREDENTIALS
[task.broken]
command = "sleep 1000"
environment_file = ["broken"]
restart = "never"
[task.role]
python = "role:main"
directory = "{place}"
environment = {{ PASSWORD = "{secret}" }}
[task.job]
kind = "triggered"
command = ["sh", "-c", "exit 3"]
"""


@pytest.fixture
def told(lab: Lab) -> Lab:
    """A supervisor with everything that a secret can be in; a file with what people are told."""
    (lab.dir / "env").write_text(f"TOKEN={SECRET}\n")
    (lab.dir / "broken").write_text(f"{SECRET}\n")
    (lab.dir / "role.py").write_text("def main(stop): stop.wait()\n")
    (lab.dir / "tell").write_text(f"#!/bin/sh\ncat >> {lab.dir}/told\n")
    (lab.dir / "tell").chmod(0o755)
    credentials = f'credentials = {{ pw = "{lab.dir}/env" }}' if os.geteuid() == 0 else ""
    text = TASKS.format(secret=SECRET, place=lab.dir).replace("CREDENTIALS", credentials)
    lab.start(text, f'notify_command = ["{lab.dir}/tell"]')
    wait_for(lambda: lab.tasks()["role"]["state"] == "running" and lab.tasks()["broken"]["failures"])
    wait_for(lambda: lab.tasks()["web"]["health"] == "unwell")
    lab.ctl("run", "job", "--wait", "--env", f"PASSWORD={SECRET}", code=None)
    return lab


def test_no_answer_and_no_log_has_secrets(told: Lab) -> None:
    shown = {"events": str(told.events), "log": told.stderr + told.stdout}
    for verb in (["status"], ["show", "*"], ["why", "web"], ["why", "broken"], ["runs"], ["show", "job/1"], ["top"]):
        for more in ([], ["--json"]):
            shown[" ".join(verb + more)] = told.ctl(*verb, *more, code=None).out
    shown["reload"] = told.ctl("reload").out
    shown["told"] = wait_for(lambda: (told.dir / "told").exists() and (told.dir / "told").read_text())
    assert all(shown.values())
    assert not [what for what, text in shown.items() if SECRET in text]
    assert "PASSWORD=…" in shown["log"], "the audit line of the run"


def test_no_command_line_and_no_readable_file_has_secrets(told: Lab) -> None:
    """The process titles of the supervisor, of its helpers and of a Python task are command lines, too."""
    below = Path(f"/proc/{told.pid}/task/{told.pid}/children").read_text().split()
    titles = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (told.pid, *below) if Path(f"/proc/{pid}").exists()]
    assert any(b"role" in title for title in titles)
    assert not [title for title in titles if SECRET.encode() in title]
    for folder, inner, names in os.walk(told.run):
        inner[:] = [name for name in inner if Path(folder, name).stat().st_mode & stat.S_IXOTH]
        for name in names:
            path = Path(folder, name)
            if path.is_file() and path.stat().st_mode & stat.S_IROTH:
                assert SECRET.encode() not in path.read_bytes(), path
