"""Which evidence attributes an orphan without a mark to a run, and which orphans belong to none."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

from supervisor.host import foreign, mark, procfs
from supervisor.runs import evidence, proctree
from supervisor.runs.evidence import Evidence
from supervisor.runs.gauge import Census
from supervisor.store import layout

RUN = "web:1/1@e"

ENVIRONMENT = {"SUPERVISOR_RUN": RUN, "SUPERVISOR_SOCKET": "/run/a/supervisor.sock"}

Make = Callable[..., procfs.Stat]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes processes with no mark, in a session of their own; they end with the test."""
    with ExitStack() as made:

        def begin(environment: dict[str, str] | None = None, **popen: object) -> procfs.Stat:
            popen = {"start_new_session": True, **popen}
            process = subprocess.Popen(["/bin/sleep", "1000"], env=environment or {}, **popen)
            made.enter_context(process)
            made.callback(process.kill)
            while environment and not any(procfs.environment(process.pid)):  # its exec closes descriptors before that
                pass
            return procfs.stat(process.pid)

        yield begin


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """The stdout of the run."""
    path = Path(f"{layout.output(str(tmp_path), RUN)}.out")
    path.parent.mkdir()
    os.mkfifo(path)
    return path


def on(one: procfs.Stat, run: str = RUN, runtime_dir: str = "/run/a", since: int = 0) -> bool:
    return Evidence(run, runtime_dir, since).on(one)


def test_the_environment_of_a_run(make: Make) -> None:
    one = make(ENVIRONMENT)
    assert on(one)
    assert not on(one, run="web:1/2@e")
    assert not on(one, runtime_dir="/run/b"), "the same run of another supervisor"


def test_the_output_of_a_run_also_when_its_name_is_gone(make: Make, fifo: Path) -> None:
    with open(os.open(fifo, os.O_RDWR)) as held:
        one = make(stdout=held)
    assert on(one)
    assert not on(one, run="web:1/1@f")
    fifo.unlink()
    assert on(one)


def test_a_reader_of_the_output_does_not_belong_to_the_run(make: Make, fifo: Path) -> None:
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)) as held:
        assert not on(make(stdin=held))


def test_a_file_with_a_similar_name_is_not_an_output(make: Make, fifo: Path) -> None:
    other = fifo.with_name(f"{fifo.name}.old")
    with other.open("w") as held:
        assert not on(make(stdout=held))


def test_a_process_older_than_the_run_does_not_belong_to_it(make: Make) -> None:
    one = make(ENVIRONMENT)
    assert on(one, since=one.birth)
    assert not on(one, since=one.birth + 1)


@pytest.mark.parametrize("later", [0, 1])
def test_an_older_process_does_not_belong_to_a_run_without_a_main_process(make: Make, later: int) -> None:
    one = make(ENVIRONMENT)
    run = {"id": RUN, "pid": one.pid, "birth": one.birth + later, "outcome": {"reason": "exit 0"}}
    members = Census({"web:1": run}, "/run/a").members("web:1")
    assert [found.pid for found in members] == [one.pid] * (not later)


def test_a_process_with_the_mark_of_another_run_belongs_to_that_run(make: Make) -> None:
    assert not on(make(ENVIRONMENT, preexec_fn=lambda: mark.set_own(mark.number("db:1/1@e", "/run/a"))))


def test_a_process_is_checked_once_for_all_runs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check costs some system calls.

    On a large machine the parent has no time to check each process for each run.
    """
    one = make(ENVIRONMENT)
    looks: Counter[tuple[str, int]] = Counter()

    def counted(module: ModuleType, name: str) -> None:
        plain = getattr(module, name)

        def look(pid: int) -> object:
            looks[name, pid] += 1
            return plain(pid)

        monkeypatch.setattr(module, name, look)

    def answers(pids: Sequence[int], look: Callable[[int], object]) -> dict[int, object]:
        looks.update(("evidence", pid) for pid in pids)
        return plain_answers(pids, look)

    plain_answers = foreign.answers
    monkeypatch.setattr(foreign, "answers", answers)
    counted(mark, "of")
    everyone, ours = proctree.snapshot(), frozenset({os.geteuid()})
    found = [proctree.find(proctree.family(Evidence(f"web:1/{n}@e", "/run/a"), 0, ours), everyone) for n in range(20)]
    assert looks["evidence", one.pid] == 1
    assert [[other.pid for other in of] for of in found] == [[one.pid] if n == 1 else [] for n in range(20)]
    assert set(looks.values()) == {1}


def test_a_child_in_our_own_session_is_no_orphan(make: Make) -> None:
    heirs = evidence.heirs()
    assert evidence.orphaned(make(), heirs)
    assert not evidence.orphaned(make(start_new_session=False), heirs)


def test_a_process_with_another_parent_is_not_an_orphan() -> None:
    program = "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True); input()"
    with subprocess.Popen([sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, start_new_session=True) as its:
        while not (children := procfs.children(its.pid)):
            pass
        [child] = map(procfs.stat, children)
        heirs = evidence.heirs()
        assert (evidence.orphaned(procfs.stat(its.pid), heirs), evidence.orphaned(child, heirs)) == (True, False)
        os.kill(child.pid, 9)


def test_no_ancestor_of_ours_is_an_orphan() -> None:
    heirs = evidence.heirs()
    assert os.getppid() in heirs
    assert not any(evidence.orphaned(procfs.stat(pid), heirs) for pid in heirs)
