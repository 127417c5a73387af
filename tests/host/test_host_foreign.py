"""Reading data of processes that block the reader."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.host import cgroup, foreign, mark, procfs, procload
from supervisor.runs import evidence, leftovers

HUNG = Path(__file__).parents[1] / "hung.py"

ENVIRONMENT = {"SUPERVISOR_RUN": "a:1/1@e", "SUPERVISOR_SOCKET": "/run/a/supervisor.sock"}


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[int]:
    """The pid of a process whose memory is locked for ever."""
    if os.geteuid() or not os.path.exists("/dev/fuse"):
        pytest.skip("needs root and FUSE")
    command = ["unshare", "-m", sys.executable, "-S", str(HUNG), str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, env=ENVIRONMENT, preexec_fn=lambda: mark.set_own(3)) as made:
        yield int(made.stdout.readline())
        made.stdin.close()


def length_of(pid: int) -> int:
    return len(procfs.environment(pid))


def test_a_process_that_hangs_costs_only_its_own_answer(hung: int) -> None:
    began = time.monotonic()
    found = foreign.answers([os.getpid(), hung, os.getppid()], length_of)
    assert time.monotonic() - began < foreign.PATIENCE * 2
    assert found.pop(hung) is None
    assert found == {pid: length_of(pid) for pid in (os.getpid(), os.getppid())}


def test_the_data_needed_of_every_process_can_be_read(hung: int) -> None:
    """Reading its state, user, mark, cgroup and descriptors does not touch its memory."""
    one = procfs.stat(hung)
    assert (one.state, procfs.users(one), mark.of(hung)) == ("D", {0}, 3)
    assert cgroup.of_process(hung)
    assert procfs.writes_to(hung)


def test_a_process_that_hangs_is_read_once_and_has_no_evidence(hung: int) -> None:
    for _ in range(2):
        one = procfs.stat(hung)
        began = time.monotonic()
        evidence.gather([one])
        assert one.evidence == frozenset()
    assert time.monotonic() - began < foreign.BLOCKED, "it is remembered"


def test_a_process_that_hangs_does_not_prevent_the_search_for_leftovers(hung: int) -> None:
    assert leftovers.find("/run/a", set()) == []


def test_the_memory_of_a_process_that_hangs_is_its_resident_size(hung: int) -> None:
    assert procload.proportional([hung]) > 0


def test_a_child_that_ends_without_an_answer_gives_none() -> None:
    assert foreign.answers([1, 2], lambda pid: os._exit(0)) == {}


def test_no_child_is_left() -> None:
    before = os.listdir("/proc/self/fd")
    assert foreign.answers([7], lambda pid: pid + 1) == {7: 8}
    assert os.listdir("/proc/self/fd") == before
    assert foreign._hanging == []
