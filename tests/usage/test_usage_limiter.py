"""Limits that are measured: which runs are looked at, and what is said of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from supervisor.helpers.limiter import Limiter
from supervisor.host import clock, gauge
from supervisor.store.told import BREACHES


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


def remembered(here: Path, *, program: bool, number: int = 1) -> None:
    run = {"id": f"web:1/{number}@e", "pid": os.getpid(), "cgroup": f"{here}/cgroup", "program": program}
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


def test_a_limit_is_what_may_still_be_had(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is beyond it is told of once; the next run begins afresh."""
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "breaches").mkdir()
    limiter = Limiter(str(tmp_path), lambda level, text: said.append(text))
    limiter.planned({"tasks": {"web": {"limits": {"processes": 9}}}})
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
