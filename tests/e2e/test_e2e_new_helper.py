"""A new helper is one program, one file that describes it, and one line: then parent, `status` and docs know it."""

import subprocess
import sys
from pathlib import Path

import pytest
from copied import copied, register
from lab import Lab, wait_for

DESCRIPTION = '''
"""@echo is there for a test."""

from supervisor.registry.interface import Helper

HELPER = Helper(
    name="@echo",
    does="writes a file",
    needed=lambda config: "web" in config.tasks,
    needed_if="a task web",
    arguments=lambda runtime_dir, settings: (f"{settings.state_dir}/echo",),
    told="its arguments",
    down="nobody hears an echo",
)
'''

PROGRAM = '''
"""@echo: write a file, and end when the file says so."""

import os
import signal
import sys


def main() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if os.path.exists(f"{sys.argv[1]}.fail"):
        sys.exit("no voice")
    with open(sys.argv[1], "w") as file:
        file.write(str(os.getpid()))
    signal.pause()
'''


@pytest.fixture
def copy(tmp_path: Path, lab: Lab) -> Path:
    place = copied(lab, tmp_path)
    (place / "supervisor/registry/echo.py").write_text(DESCRIPTION)
    (place / "supervisor/helpers/echo.py").write_text(PROGRAM)
    register(place / "supervisor/registry/__init__.py", "HELPERS", "@echo", "supervisor.registry.echo")
    return place


WEB = '[task.web]\ncommand = "sleep 1000"\n'
OTHER = '[task.other]\ncommand = "sleep 1000"\n'


def test_it_runs_while_the_config_needs_it(copy: Path, lab: Lab) -> None:
    echo = lab.dir / "state/echo"
    lab.start(OTHER)
    assert not echo.exists()
    lab.write(OTHER + WEB)
    lab.ctl("reload")
    pid = int(wait_for(lambda: echo.exists() and echo.read_text()))
    lab.write(OTHER)
    lab.ctl("reload")
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_status_says_what_its_absence_means(copy: Path, lab: Lab) -> None:
    lab.start(OTHER)
    (lab.dir / "state/echo.fail").touch()
    lab.write(OTHER + WEB)
    lab.ctl("reload")
    told = wait_for(lambda: lab.ask("status")["answer"]["supervisor"]["helpers"])
    assert "@echo does not run (exit 1: no voice) since " in told[0]
    assert told[0].endswith("; the supervisor starts it again; until then nobody hears an echo")


def test_no_group_can_have_its_name(copy: Path, lab: Lab) -> None:
    lab.write(f'{WEB}[group.echo]\ntasks = ["web"]\n')
    assert "echo" in lab.ctl("check", str(lab.path), code=1).err


def test_documentation(copy: Path, lab: Lab) -> None:
    subprocess.run([sys.executable, "docs/generate.py"], cwd=copy, env=lab.env, check=True, capture_output=True)
    row = "| `@echo` | writes a file | a task web | its arguments | nobody hears an echo |"
    assert row in (copy / "docs/internals.md").read_text()
