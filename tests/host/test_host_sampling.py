"""What a round of samples costs in system calls, and what a quick sample reports between two full ones."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.helpers.sampler import Sampler
from supervisor.host import clock, procload
from supervisor.host.procload import Load
from supervisor.runs import usage
from supervisor.runs.usage import Meter, Usage
from supervisor.store.statefile import SAMPLES
from supervisor.usage import pace

RUNS = 50
OURS = {"opened": None}
"""Where the audit hook counts, while a test wants it; a hook cannot be taken away again."""


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    opened = OURS["opened"]
    if opened is not None and event in ("open", "os.listdir", "os.scandir"):
        opened[str(arguments[0])] += 1


sys.addaudithook(_hook)


class NoHistory:
    path = ""


@pytest.fixture
def sleepers() -> Iterator[list[int]]:
    processes = [subprocess.Popen(["sleep", "1000"], start_new_session=True) for _ in range(RUNS)]
    yield [process.pid for process in processes]
    for process in processes:
        process.kill()
        process.wait()


def journal(here: Path, pids: list[int], *, cgroups: bool) -> None:
    lines = []
    for n, pid in enumerate(pids):
        cgroup = here / f"cgroup-{n}"
        if cgroups:
            cgroup.mkdir()
            (cgroup / "cgroup.procs").write_text(f"{pid}\n")
            (cgroup / "cpu.stat").write_text("usage_usec 5\n")
        run = {"id": f"web:{n}/1@e", "pid": pid, "cgroup": str(cgroup) if cgroups else "", "began": 0.0}
        lines.append(json.dumps({"instance": f"web:{n}", "run": run}, separators=(",", ":")) + "\n")
    (here / "journal").write_text("".join(lines))


def sampler(here: Path) -> Sampler:
    return Sampler(str(here), NoHistory(), lambda level, text: pytest.fail(f"{level}: {text}"))  # type: ignore[arg-type]


def take(one: Sampler) -> Counter[str]:
    """One round; returns what it opened or listed."""
    opened: Counter[str] = Counter()
    OURS["opened"] = opened  # type: ignore[assignment]
    try:
        one.due(clock.now())
        while one.next_deadline() == 0.0:
            one.due(clock.now())
    finally:
        OURS["opened"] = None
    return opened


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were looked at in full."""
    found: list[int] = []
    real = usage.usage_of
    monkeypatch.setattr(usage, "usage_of", lambda pids, *more: found.extend(pids) or real(pids, *more))
    return found


def test_a_run_in_a_cgroup_costs_three_files_at_a_glance(
    tmp_path: Path, sleepers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, sleepers, cgroups=True)
    monkeypatch.setattr(pace, "in_full", lambda runs, new, *, asked: 0)
    one = sampler(tmp_path)
    first = take(one)
    opened = take(one)
    statm = [path for path in first if path.endswith("/statm")]
    assert len(statm) == RUNS, "what a new process shares is asked once"
    assert "/proc" not in opened
    for n, pid in enumerate(sleepers):
        mine = {path: count for path, count in opened.items() if f"/{pid}/" in path or f"/cgroup-{n}/" in path}
        names = sorted(path.rpartition("/")[2] for path in mine)
        assert names == ["cgroup.procs", "cpu.stat", "stat"], "memory and I/O are not counted here"
        assert set(mine.values()) == {1}
    rest = sum(opened.values()) - 3 * RUNS
    assert rest <= 5, f"the round itself: {opened}"


def test_a_controller_that_comes_later_counts_from_the_next_full_look(tmp_path: Path, sleepers: list[int]) -> None:
    journal(tmp_path, sleepers[:1], cgroups=True)
    one = sampler(tmp_path)
    take(one)
    (tmp_path / "cgroup-0" / "memory.current").write_text("9000000\n")
    (tmp_path / "cgroup-0" / "memory.stat").write_text("anon 1\ninactive_file 1000000\n")
    take(one)
    assert SAMPLES.read(str(tmp_path))["instances"]["web:0"]["memory"] == 8_000_000


def test_runs_without_a_cgroup_cost_one_pass_over_all_processes(
    tmp_path: Path, sleepers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, sleepers, cgroups=False)
    monkeypatch.setattr(pace, "in_full", lambda runs, new, *, asked: 0)
    one = sampler(tmp_path)
    take(one)
    opened = take(one)
    assert opened["/proc"] == 1
    for pid in sleepers:
        assert {path: count for path, count in opened.items() if f"/{pid}/" in path} == {f"/proc/{pid}/stat": 1}
    assert len(SAMPLES.read(str(tmp_path))["instances"]) == RUNS


@pytest.mark.parametrize("cgroups", [True, False])
def test_full_looks_go_round(tmp_path: Path, sleepers: list[int], looked: list[int], cgroups: bool) -> None:
    journal(tmp_path, sleepers, cgroups=cgroups)
    one = sampler(tmp_path)
    for expected in (20, 40, 50):
        take(one)
        assert len(looked) == len(set(looked)) == expected
    looked.clear()
    for _ in range(pace.TURNS):
        take(one)
    assert set(looked) == set(sleepers), "each of them again within so many rounds"
    assert len(looked) == 60, "three in each round"
    files = [run["files"] for run in SAMPLES.read(str(tmp_path))["instances"].values()]
    assert all(files), "a glance keeps what the last full look has told"


def test_a_request_has_all_runs_measured_in_full_soon(tmp_path: Path, sleepers: list[int], looked: list[int]) -> None:
    journal(tmp_path, sleepers, cgroups=True)
    one = sampler(tmp_path)
    one.configure({"sample": 1000.0})
    take(one)
    looked.clear()
    later = one.next_deadline()
    assert later is not None
    assert later > clock.now() + 900
    one.ask()
    soon = one.next_deadline()
    assert soon is not None
    assert soon < clock.now() + 30
    take(one)
    assert set(looked) == set(sleepers)
    again = one.next_deadline()
    assert again is not None
    assert again > clock.now() + 900, "one wish is one round"


def test_a_round_that_costs_much_is_not_repeated_soon(
    tmp_path: Path, sleepers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(tmp_path, sleepers, cgroups=True)
    one = sampler(tmp_path)
    one.configure({"sample": 1.0})
    times = iter(range(10_000))
    monkeypatch.setattr(clock, "cpu", lambda: next(times) * 0.006)
    take(one)
    deadline = one.next_deadline()
    assert deadline is not None
    assert deadline - clock.now() > RUNS * 0.006 / 0.002 * 0.9
    assert SAMPLES.read(str(tmp_path))["every"] > 100, "status knows how old its figures may be"


def test_a_round_that_fails_is_reported_once_and_repeated(
    tmp_path: Path, sleepers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptor is left, for example."""
    journal(tmp_path, sleepers, cgroups=False)
    said: list[str] = []
    one = Sampler(str(tmp_path), NoHistory(), lambda level, text: said.append(f"{level}: {text}"))  # type: ignore[arg-type]
    one.configure({"sample": 15.0})

    def refuse() -> list[int]:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr("supervisor.host.procfs.pids", refuse)
        take(one)
        take(one)
    assert len(said) == 1
    assert "Too many open files" in said[0] or "too many open files" in said[0]
    deadline = one.next_deadline()
    assert deadline is not None
    assert deadline > clock.now()
    take(one)
    assert len(SAMPLES.read(str(tmp_path))["instances"]) == RUNS


# -- between two full looks -------------------------------------------------------------------------------------------

MIB = 1 << 20


def process(pid: int, resident: int, cpu: float = 0.0) -> Load:
    one = Load(pid, "sleep", [b"S", *[b"1"] * 40])
    one.resident, one.cpu, one.threads = resident * MIB, cpu, 1
    return one


def test_memory_at_a_glance_is_the_last_pss_and_what_has_come_since(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Usage(cpu=1.0, memory=12 * MIB, processes=2, threads=2, read=1000, written=0, switches=5, files=7)
    monkeypatch.setattr(usage, "usage_of", lambda *_: full)
    monkeypatch.setattr(usage, "file_pages", lambda pid: 3 * MIB)
    meter = Meter("web:1/1@e", "", 0.0)
    pair = [process(1, 10), process(2, 30)]
    rows = [
        # processes, full look, MiB
        (pair, False, 34),  # nothing is known but the pages of files: 10 - 3 + 30 - 3
        (pair, True, 12),
        (pair, False, 12),
        ([process(1, 20), process(2, 30)], False, 22),
        ([process(1, 20), process(2, 30), process(3, 8)], False, 27),
        ([process(1, 5), process(2, 30)], False, 9),  # never less than nothing: the first shares 7
        ([process(1, 10)], False, 3),
    ]
    for n, (members, in_full, expected) in enumerate(rows, 1):
        found = meter.measure(members, float(n), in_full=in_full)
        assert round(found["memory"] / MIB) == expected, f"row {n}"
    assert (found["files"], found["read"]) == (7, 500.0), "as at the full look"


def test_memory_that_a_full_look_may_not_know_is_the_resident_one(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Usage(cpu=1.0, memory=0, processes=1, threads=1, read=None, written=None, switches=1, files=0)
    monkeypatch.setattr(usage, "usage_of", lambda *_: none)
    monkeypatch.setattr(usage, "file_pages", lambda pid: 3 * MIB)
    assert Meter("web:1/1@e", "", 0.0).measure([process(1, 10)], 1.0, in_full=True)["memory"] == 7 * MIB


def test_a_glance_agrees_with_a_full_look(tmp_path: Path) -> None:
    program = "import time; b = b'x' * (30 << 20); print(flush=True); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as large:
        assert large.stdout
        large.stdout.readline()
        members = procload.loads([large.pid])
        new = Meter("web:1/1@e", "", 0.0)
        glanced = new.measure(members, 1.0, in_full=False)
        full = new.measure(members, 2.0, in_full=True)
        again = new.measure(members, 3.0, in_full=False)
        large.kill()
    assert full["memory"] > 30 * MIB
    assert abs(glanced["memory"] - full["memory"]) < 8 * MIB
    assert abs(again["memory"] - full["memory"]) < MIB
    assert (again["processes"], again["threads"]) == (full["processes"], full["threads"]) == (1, 1)
