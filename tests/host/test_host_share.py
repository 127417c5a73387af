"""The limits of a whole run as its cgroup gets them; and how it is told that one ended for want of memory.

Directories stand for cgroups, as on most machines no controller can be had; `tests/vm` has a kernel that enforces.
"""

from pathlib import Path

import pytest

from supervisor.core.controllers import CONTROLLERS
from supervisor.host import share
from supervisor.host.cgroup import Cgroup
from supervisor.host.child import StepError

WRITTEN = [
    ("memory", 1 << 30, {"memory.max": "1073741824", "memory.high": "966367638", "memory.oom.group": "1"}),
    ("cpu", 0.5, {"cpu.max": "50000 100000"}),
    ("cpu", 2.0, {"cpu.max": "200000 100000"}),
    ("cpu", 0.01, {"cpu.max": "1000 100000"}),
    ("cpu_weight", 50, {"cpu.weight": "50"}),
    ("processes", 10, {"pids.max": "10"}),
    ("io_weight", 200, {"io.weight": "default 200"}),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The cgroup of a run, in a tree, in a base."""
    directory = tmp_path / "base" / "tree" / "run"
    directory.mkdir(parents=True)
    return directory


def made(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text("")


@pytest.mark.parametrize(("key", "value", "files"), WRITTEN)
def test_what_is_written(run: Path, key: str, value: float, files: dict[str, str]) -> None:
    made(run, *files)
    share.take(str(run), {**dict.fromkeys(CONTROLLERS), key: value}, best_effort=False)
    assert {path.name: path.read_text() for path in run.iterdir()} == files


def test_every_limit_of_a_run_is_tried() -> None:
    assert {key for key, _, _ in WRITTEN} == set(CONTROLLERS)


def test_a_controller_is_enabled_from_above(run: Path) -> None:
    """Nothing appears in a directory that is none of the kernel's, so it fails then; and says what to do."""
    tree, base = run.parent, run.parent.parent
    made(tree, "cgroup.subtree_control")
    made(base, "cgroup.subtree_control")
    with pytest.raises(StepError, match=r"^limits.processes: no cgroup that has its controller .*; see best_effort$"):
        share.take(str(run), {"processes": 3}, best_effort=False)
    assert (tree / "cgroup.subtree_control").read_text() == "+pids"
    assert (base / "cgroup.subtree_control").read_text() == "+pids"
    share.take(str(run), {"processes": 3}, best_effort=True)
    assert list(run.iterdir()) == []


def test_without_a_cgroup_there_is_no_limit() -> None:
    with pytest.raises(StepError, match=r"limits\.memory: no cgroup"):
        share.take("", {"memory": 1}, best_effort=False)
    share.take("", {"memory": 1}, best_effort=True)
    share.take("", dict.fromkeys(CONTROLLERS), best_effort=False)


@pytest.mark.parametrize(
    ("events", "limit", "why"),
    [
        (None, "", ""),
        ("low 0\nhigh 9\nmax 3\noom 0\noom_kill 0\n", "1024", ""),
        ("low 0\nhigh 9\nmax 3\noom 1\noom_kill 2\n", "536870912", "memory limit 512M"),
        ("low 0\nhigh 9\nmax 3\noom 1\noom_kill 2\n", "1000", "memory limit 1000"),
        ("low 0\nhigh 9\nmax 3\noom 1\noom_kill 2\n", "3221225472", "memory limit 3G"),
        ("low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\n", "max", "out of memory"),
    ],
)
def test_why_it_was_killed(run: Path, events: str | None, limit: str, why: str) -> None:
    if events is not None:
        (run / "memory.events").write_text(events)
        (run / "memory.max").write_text(f"{limit}\n")
    assert Cgroup(str(run)).out_of_memory() == why
