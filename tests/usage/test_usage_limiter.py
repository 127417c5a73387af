"""Limits that are measured: which runs are looked at, and what is said of them."""

import json
import os
from pathlib import Path

import pytest

from supervisor.helpers.limiter import Limiter
from supervisor.host import clock


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def limiter(tmp_path: Path, said: list[str]) -> Limiter:
    """Of a task with a limit of its memory; its run lives, in what stands for its cgroup."""
    (tmp_path / "cgroup").mkdir()
    made = Limiter(str(tmp_path), lambda level, text: said.append(f"{level}: {text}"))
    made.planned({"tasks": {"web": {"limits": {"memory": 1 << 40}}}})
    return made


def remembered(here: Path, *, program: bool) -> None:
    run = {"id": "web:1/1@e", "pid": os.getpid(), "cgroup": f"{here}/cgroup", "program": program}
    with (here / "journal").open("a") as file:
        file.write(json.dumps({"instance": "web:1", "run": run}, separators=(",", ":")) + "\n")


def test_a_kernel_limit_is_asked_for_when_the_program_runs(limiter: Limiter, said: list[str], tmp_path: Path) -> None:
    """Its child writes the limit after its line is in the journal, perhaps long after (a slow environment_file)."""
    remembered(tmp_path, program=False)
    limiter.due(clock.now())
    (tmp_path / "cgroup" / "memory.max").write_text(f"{1 << 40}\n")
    remembered(tmp_path, program=True)
    limiter.due(clock.now())
    assert said == []


def test_what_the_kernel_does_not_enforce_is_said_once(limiter: Limiter, said: list[str], tmp_path: Path) -> None:
    remembered(tmp_path, program=True)
    limiter.due(clock.now())
    limiter.due(clock.now())
    assert said == [
        "warning: web: limits.memory cannot be had from the kernel here; it is measured each second, approximately"
    ]
