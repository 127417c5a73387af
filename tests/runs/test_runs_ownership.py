"""Which run each process belongs to, in one pass: the same as `kin.find` finds for each run alone."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from supervisor.host import mark, procfs
from supervisor.host.procload import Load, load, loads
from supervisor.runs import proctree
from supervisor.runs.evidence import Evidence
from supervisor.runs.ownership import Strangers, owners

DIRECTORY = "/run/a"

TREE = "import os, time; os.fork(); os.fork(); time.sleep(1000)"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as made:

        def begin(*command: str, **popen: object) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(command, start_new_session=True, **popen)  # type: ignore[call-overload]
            made.enter_context(process)
            made.callback(os.killpg, process.pid, 9)
            return process

        yield begin


def family(run: str, leader: int) -> proctree.Family:
    return proctree.family(Evidence(f"{run}/1@e", DIRECTORY), leader, frozenset({os.geteuid()}))


def measured() -> list[Load]:
    return loads(procfs.pids())


def marked(run: str) -> Callable[[], None]:
    return lambda: mark.set_own(mark.number(f"{run}/1@e", DIRECTORY))


def test_each_process_is_found_as_for_one_run_alone(start: Start) -> None:
    tree = start(sys.executable, "-c", TREE)
    start("sleep", "1000", preexec_fn=marked("escaped:1"))
    orphan_environment = {"SUPERVISOR_RUN": "orphan:1/1@e", "SUPERVISOR_SOCKET": f"{DIRECTORY}/supervisor.sock"}
    start("sleep", "1000", env=orphan_environment)
    stranger = start("sleep", "1000")
    families = {
        "tree:1": family("tree:1", tree.pid),
        "escaped:1": family("escaped:1", 0),
        "orphan:1": family("orphan:1", 0),
        "gone:1": family("gone:1", 0),
    }
    while len(proctree.find(families["tree:1"])) < 4 or not proctree.find(families["orphan:1"]):
        assert stranger.poll() is None
    everyone = measured()
    found = owners(families, everyone, Strangers())
    for key, one in families.items():
        alone = [process.pid for process in proctree.find(one, [*everyone])]
        assert sorted(process.pid for process in found.get(key, [])) == alone, key
    assert [len(found.get(key, [])) for key in families] == [4, 1, 1, 0]


def test_a_process_is_compared_with_few_runs_however_many_there_are(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = [start("sleep", "1000") for _ in range(5)]
    families = {f"web:{n}": family(f"web:{n}", one.pid) for n, one in enumerate(processes)}
    families |= {f"other:{n}": family(f"other:{n}", 0) for n in range(500)}
    everyone = measured()
    asked: list[str] = []
    real = proctree.belongs
    monkeypatch.setattr(proctree, "belongs", lambda *a, **k: asked.append("belongs") or real(*a, **k))
    found = owners(families, everyone, Strangers())
    assert sorted(found) == [f"web:{n}" for n in range(5)]
    assert len(asked) <= 2 * len(everyone), "a run to which a process cannot belong is not asked about"


def test_a_stranger_is_read_once_for_the_same_runs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = start(sys.executable, "-c", TREE)
    escaped = start("sleep", "1000", preexec_fn=marked("escaped:1"))
    while len(proctree.find(family("tree:1", tree.pid))) < 4 or not mark.of(escaped.pid):
        assert tree.poll() is None
    read: list[int] = []
    real = mark.of
    monkeypatch.setattr(mark, "of", lambda pid: read.append(pid) or real(pid))
    strangers, nobody = Strangers(), {"tree:1": family("tree:1", 0)}
    assert not owners(nobody, measured(), strangers)
    assert {tree.pid, escaped.pid} <= set(read)
    read.clear()
    assert not owners(nobody, measured(), strangers)
    assert not {tree.pid, escaped.pid} & set(read)
    found = owners({"tree:1": family("tree:1", tree.pid)}, measured(), strangers)
    assert len(found["tree:1"]) == 4, "a process group is compared each time"
    more = {"tree:1": family("tree:1", tree.pid), "escaped:1": family("escaped:1", 0)}
    found = owners(more, measured(), strangers)
    assert [one.pid for one in found["escaped:1"]] == [escaped.pid], "of a run that was not known before"


def test_a_process_tells_its_load(start: Start) -> None:
    busy = start(sys.executable, "-c", "b = b'x' * (30 << 20)\nwhile True: pass")
    while (one := load(busy.pid)) is None or one.cpu < 0.05 or one.resident < 30 << 20:
        assert busy.poll() is None
    assert (one.pid, one.parent, one.threads, one.birth) == (busy.pid, os.getpid(), 1, procfs.birth(busy.pid))


def test_a_zombie_and_one_that_is_gone_use_nothing() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert load(process.pid) is None
    process.wait()
    assert load(process.pid) is None
    assert loads([process.pid]) == []
