"""Limits that are measured: which runs are examined, and what is reported."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.helpers.limiter import Limiter
from supervisor.host import clock
from supervisor.runs import gauge
from supervisor.store.statefile import BREACHES


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def limiter(tmp_path: Path, said: list[str]) -> Limiter:
    """Of a task with a limit of its memory; its run lives, in what stands for its cgroup."""
    (tmp_path / "cgroup").mkdir()
    made = Limiter(str(tmp_path), lambda level, text: said.append(f"{level}: {text}"))
    made.configure({"tasks": {"web": {"limits": {"memory": 1 << 40}}}})
    return made


def remembered(here: Path, *, program: bool, number: int = 1) -> None:
    run = {"id": f"web:1/{number}@e", "pid": os.getpid(), "cgroup": f"{here}/cgroup", "program": program}
    with (here / "journal").open("a") as file:
        file.write(json.dumps({"instance": "web:1", "run": run}, separators=(",", ":")) + "\n")


def test_a_kernel_limit_is_checked_when_the_program_runs(limiter: Limiter, said: list[str], tmp_path: Path) -> None:
    """The child writes the limit after its record is in the journal, perhaps much later (a slow environment_file)."""
    remembered(tmp_path, program=False)
    limiter.due(clock.now())
    (tmp_path / "cgroup" / "memory.max").write_text(f"{1 << 40}\n")
    remembered(tmp_path, program=True)
    limiter.due(clock.now())
    assert said == []


def test_a_limit_that_the_kernel_does_not_enforce_is_reported_once(
    limiter: Limiter, said: list[str], tmp_path: Path
) -> None:
    remembered(tmp_path, program=True)
    limiter.due(clock.now())
    limiter.due(clock.now())
    assert said == [
        "warning: web: the kernel cannot enforce limits.memory here; it is measured each second, approximately"
    ]


def test_a_run_may_use_exactly_its_limit(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run beyond it is reported once; the next run begins afresh."""
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "breaches").mkdir()
    limiter = Limiter(str(tmp_path), lambda level, text: said.append(text))
    limiter.configure({"tasks": {"web": {"limits": {"processes": 9}}}})
    remembered(tmp_path, program=True)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(BREACHES, "write", lambda _, breaches: told.append(dict(breaches)))
    for count in (8, 9, 10, 11):
        monkeypatch.setattr(gauge, "processes", lambda _, count=count: count)
        limiter.due(clock.now())
    why = "processes limit 9, counted 10 (approximate, each second)"
    assert told == [{"web:1": {"run": "web:1/1@e", "why": why}}]
    remembered(tmp_path, program=True, number=2)
    limiter.due(clock.now())
    assert told[1:] == [{"web:1": {"run": "web:1/2@e", "why": why.replace("10", "11")}}]


def test_the_kernel_is_asked_once_for_each_run(
    limiter: Limiter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a file of every run each second costs time, and the answer stays the same.

    A new manifest is checked again.
    """
    asked: list[str] = []
    monkeypatch.setattr("supervisor.helpers.limiter.enforced", lambda cgroup, name: bool(asked.append(name)) or True)
    remembered(tmp_path, program=True)
    for _ in range(3):
        limiter.due(clock.now())
    assert asked == ["memory"]
    remembered(tmp_path, program=True, number=2)
    for _ in range(3):
        limiter.due(clock.now())
    assert asked == ["memory"] * 2
    limiter.configure({"tasks": {"web": {"limits": {"processes": 9}}}})
    limiter.due(clock.now())
    assert asked == ["memory", "memory", "processes"]
