"""When status, show and top have the resource use of runs measured again."""

from pathlib import Path
from typing import Any

import pytest
from office import Office

from supervisor.registry import scribe

CONFIG = """
[supervisor]
runtime_dir = "run"
state_dir = "."
log_dir = "log"
sample = "15s"
[defaults]
log = { to = "none" }
[task.web]
command = "true"
replicas = 2
"""

FRESH = {"cpu": 1.0, "memory": 5, "processes": 1}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, CONFIG)


def asked(office: Office, monkeypatch: pytest.MonkeyPatch, verb: str, samples: dict[str, Any]) -> int:
    """How often @scribe was asked by one request."""
    signals: list[tuple[str, str]] = []
    monkeypatch.setattr(office.host, "signal", lambda *signal: signals.append(signal))
    monkeypatch.setattr(office.host, "samples", lambda: samples)
    caller = office.ask(verb, names=["web"])
    assert not caller.errors
    assert not office.bugs
    return signals.count((scribe.HELPER.key, scribe.MEASURE))


def samples(office: Office, age: float) -> dict[str, Any]:
    """A round that has figures of every run, and is so many seconds old."""
    runs = {key: one.run for key, one in office.parent.context.fleet.instances.items() if one.run}
    found = {key: {"run": run.id, **FRESH} for key, run in runs.items()}
    return {"at": office.host.now() - age, "every": 15.0, "instances": found}


@pytest.mark.parametrize(
    ("verb", "age", "expected"),
    [
        ("status", 0, 0), ("status", 14, 0), ("status", 16, 1),
        ("show", 14, 0), ("show", 40, 1),
        ("top", 0.5, 0), ("top", 2, 1),
    ],
)  # fmt: skip
def test_old_figures_are_measured_again(
    office: Office, monkeypatch: pytest.MonkeyPatch, verb: str, age: float, expected: int
) -> None:
    assert asked(office, monkeypatch, verb, samples(office, age)) == expected


@pytest.mark.parametrize("verb", ["status", "show", "top"])
def test_missing_figures_are_measured(office: Office, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    new = samples(office, 0)
    del new["instances"]["web:2"]
    assert asked(office, monkeypatch, verb, new) == 1
    assert asked(office, monkeypatch, verb, {}) == 1


def test_a_task_without_a_run_needs_no_figures(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.ask("stop", names=["web"], all=False, wait=True)
    assert asked(office, monkeypatch, "status", samples(office, 0)) == 0


def test_without_sampling_nothing_is_requested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(Office(tmp_path, CONFIG.replace('"15s"', "0")), monkeypatch, "status", {}) == 0
