"""The limits of a whole run as its cgroup gets them, and how a run killed for its memory is recognized.

Directories stand for cgroups, as most machines offer no controller. `tests/vm` has a kernel that enforces limits.
"""

from pathlib import Path

import pytest

from supervisor.core.controllers import CONTROLLERS
from supervisor.host.cgroup import Cgroup
from supervisor.host.step import StepError
from supervisor.sandbox import cgroup_limits

WRITTEN = [
    ("memory", 1 << 30, {"memory.max": "1073741824", "memory.high": "966367638", "memory.oom.group": "1"}),
    ("cpu", 0.5, {"cpu.max": "50000 100000"}),
    ("cpu", 2.0, {"cpu.max": "200000 100000"}),
    ("cpu", 0.01, {"cpu.max": "1000 100000"}),
    ("cpu_weight", 50, {"cpu.weight": "50"}),
    ("processes", 10, {"pids.max": "10"}),
    ("io_weight", 200, {"io.weight": "default 200"}),
    ("io_weight", 200, {"io.bfq.weight": "109"}),
    ("io_weight", 10_000, {"io.weight": "default 10000", "io.bfq.weight": "1000"}),
    ("io_weight", 7, {"io.weight": "default 7", "io.bfq.weight": "7"}),
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
def test_the_files_of_a_limit(run: Path, key: str, value: float, files: dict[str, str]) -> None:
    made(run, *files)
    cgroup_limits.apply(str(run), {**dict.fromkeys(CONTROLLERS), key: value}, best_effort=False)
    assert {path.name: path.read_text() for path in run.iterdir()} == files


def test_every_limit_of_a_run_is_tried() -> None:
    assert {key for key, _, _ in WRITTEN} == set(CONTROLLERS)


def test_a_controller_is_enabled_from_above(run: Path) -> None:
    """No file appears in an ordinary directory, so it fails then, and the error has a remedy."""
    tree, base = run.parent, run.parent.parent
    made(tree, "cgroup.subtree_control")
    made(base, "cgroup.subtree_control")
    with pytest.raises(StepError, match=r"^limits.cpu: no cgroup with its controller .*; see best_effort$"):
        cgroup_limits.apply(str(run), {"cpu": 3}, best_effort=False)
    assert (tree / "cgroup.subtree_control").read_text() == "+cpu"
    assert (base / "cgroup.subtree_control").read_text() == "+cpu"
    cgroup_limits.apply(str(run), {"cpu": 3}, best_effort=True)
    assert list(run.iterdir()) == []


def test_without_a_cgroup_there_is_no_limit() -> None:
    with pytest.raises(StepError, match=r"limits\.cpu: no cgroup"):
        cgroup_limits.apply("", {"cpu": 1}, best_effort=False)
    cgroup_limits.apply("", {"cpu": 1}, best_effort=True)
    cgroup_limits.apply("", dict.fromkeys(CONTROLLERS), best_effort=False)
    cgroup_limits.apply("", {"memory": 1, "processes": 1}, best_effort=False)  # they are watched then
    with pytest.raises(StepError, match=r"group etl: limits\.memory: no cgroup"):
        cgroup_limits.apply_to_group("", "etl", {"memory": 1}, best_effort=False)
    cgroup_limits.apply_to_group("", "etl", {"memory": 1}, best_effort=True)


@pytest.mark.parametrize(("key", "value", "files"), WRITTEN)
def test_the_files_of_a_group_limit(run: Path, key: str, value: float, files: dict[str, str]) -> None:
    """Without the setting that all processes die together. A limit removed from the config is reset."""
    group = run.parent / "@etl"
    group.mkdir()
    made(group, *files)
    cgroup_limits.apply_to_group(str(group), "etl", {**dict.fromkeys(CONTROLLERS), key: value}, best_effort=False)
    expected = {name: "" if name == "memory.oom.group" else text for name, text in files.items()}
    assert {path.name: path.read_text() for path in group.iterdir()} == expected
    made(group, *files)
    cgroup_limits.apply_to_group(str(group), "etl", dict.fromkeys(CONTROLLERS), best_effort=False)
    unlimited = {"", "max", "max 100000", "100", "default 100"}
    assert {path.read_text() for path in group.iterdir()} <= unlimited


def test_a_controller_is_enabled_down_to_the_group(run: Path) -> None:
    tree, base, group = run.parent, run.parent.parent, run.parent / "@etl"
    inside = group / "run"
    inside.mkdir(parents=True)
    for place in (base, tree, group):
        made(place, "cgroup.subtree_control")
    cgroup_limits.apply(str(inside), {"cpu": 1}, best_effort=True)
    assert [(place / "cgroup.subtree_control").read_text() for place in (base, tree, group)] == ["+cpu"] * 3
    made(inside, "memory.oom.group")
    cgroup_limits.die_together(str(inside))
    assert (inside / "memory.oom.group").read_text() == "1"
    cgroup_limits.die_together(str(group / "none"))


def counted(directory: Path, limit: str, *, local: int, below: int = 0, killed: int = 0) -> None:
    """What the kernel tells of the memory of a cgroup."""
    (directory / "memory.max").write_text(f"{limit}\n")
    (directory / "memory.events").write_text(f"max 3\noom {local + below}\noom_kill {killed}\n")
    (directory / "memory.events.local").write_text(f"max 3\noom {local}\noom_kill 0\n")


@pytest.mark.parametrize(
    ("group", "why"),
    [
        (("max", 0, 0), "out of memory"),
        (("536870912", 3, 0), "memory limit 512M of @etl"),
        (("max", 0, 1), "out of memory"),  # another member has hit a limit of its own, then the machine was full
        (("536870912", 0, 1), "out of memory"),
        (("max", 3, 0), "out of memory"),  # a limit that a reload has taken back
    ],
)
def test_the_memory_of_a_group_is_the_reason(run: Path, group: tuple[str, int, int], why: str) -> None:
    inside = run.parent / "@etl" / "run"
    inside.mkdir(parents=True)
    counted(inside, "max", local=0, killed=1)
    limit, local, below = group
    counted(inside.parent, limit, local=local, below=below, killed=1)
    assert Cgroup(str(inside)).out_of_memory() == why


def test_a_limit_in_a_sub_cgroup_of_the_run_is_not_the_limit_of_the_run(run: Path) -> None:
    counted(run, "max", local=0, below=2, killed=1)
    assert Cgroup(str(run)).out_of_memory() == "out of memory"


@pytest.mark.parametrize("text", ["", "oom_kill", "oom_kill many\n", "oom_kill 1\n", "oom 1 oom_kill 1"])
def test_an_unreadable_cgroup_gives_no_reason(run: Path, text: str) -> None:
    """Nothing is raised, as the parent calls it in its loop."""
    for name in ("memory.events", "memory.events.local", "memory.max"):
        (run / name).write_text(text)
    assert Cgroup(str(run)).out_of_memory() in ("", "out of memory")


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
        (run / "memory.events.local").write_text(events)
        (run / "memory.max").write_text(f"{limit}\n")
    assert Cgroup(str(run)).out_of_memory() == why
