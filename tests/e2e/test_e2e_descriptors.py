"""A supervisor started without stdin, stdout or stderr: the output of tasks arrives all the same."""

import os
import sys
from pathlib import Path

import pytest
from lab import SUPERVISOR, Lab, wait_for

TASK = """
import os, sys
def main(stop):
    print("said")
    sys.stderr.write("complained\\n")
    print(repr(sys.stdin.read()))
    os.system("echo from a shell")
"""

CLOSED = ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2])


def start(lab: Lab, closed: list[int]) -> None:
    """As `supervisor <&- >&- 2>&-` of a shell."""
    (lab.dir / "mine.py").write_text(TASK)
    lab.write(
        '[defaults]\nlog = { to = "file" }\nrestart = "never"\n'
        f'[task.python]\npython = "mine:main"\ndirectory = "{lab.dir}"\n'
        f'[task.program]\ncommand = ["{sys.executable}", "-c", "print(1)"]\n'
    )
    shell = f"exec {' '.join(SUPERVISOR)} -c {lab.path} {' '.join(f'{fd}>&-' for fd in closed)}"
    lab.start(command=["/bin/sh", "-c", shell], env={"PYTHONPATH": str(Path(__file__).parents[2])})


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_output_of_tasks_arrives_without_standard_descriptors(lab: Lab, closed: list[int]) -> None:
    start(lab, closed)
    for name in ("python", "program"):
        lab._seen = 0
        lab.until(name=name, to="stopped")
    for name, words in {"python": ["said", "complained", "''", "from a shell"], "program": ["1"]}.items():
        log = lab.dir / "log" / f"{name}.log"

        def all_there(log: Path = log, words: list[str] = words) -> bool:
            said = log.read_text() if log.exists() else ""
            return all(f" {word}\n" in said for word in words)

        wait_for(all_there, f"{log} has {words}")
    if 2 not in closed:
        assert "Traceback" not in lab.stderr
    assert os.path.exists(f"/proc/{lab.pid}/fd/0")
