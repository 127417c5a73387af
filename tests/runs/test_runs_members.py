"""A signal to the members of a run hits no process that got the pid of a member later."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.immutable import replace
from supervisor.host import procfs
from supervisor.host.loop import Loop
from supervisor.runs.evidence import Evidence
from supervisor.runs.members import ByMark, InCgroup, ProcessTable


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that ends when its stdin is closed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True) as made:
        yield made
        made.kill()


def by_mark(pid: int, birth: int) -> ByMark:
    """The members of a run that has this process, besides a leader that is gone."""
    loop = Loop()
    process_table = ProcessTable(loop, (), lambda: frozenset({os.geteuid()}))
    made = ByMark(loop, process_table, 0, Evidence("web:1/1@e", "/run", 0), ours=True)
    made.family = replace(made.family, known=frozenset({(pid, birth)}))
    return made


def got_none(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has got no signal until its stdin is closed."""
    process.communicate()
    return process.returncode == 0


def test_a_member_gets_each_signal(process: subprocess.Popen[bytes]) -> None:
    by_mark(process.pid, procfs.birth(process.pid)).send([process.pid], signal.SIGTERM, signal.SIGCONT)
    assert process.wait(30) == -signal.SIGTERM


def test_a_process_with_a_reused_pid_gets_no_signal(process: subprocess.Popen[bytes]) -> None:
    by_mark(process.pid, procfs.birth(process.pid) - 1).send([process.pid], signal.SIGTERM)
    assert got_none(process)


def test_a_process_outside_of_the_cgroup_gets_no_signal(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    for path in (str(tmp_path), "/sys/fs/cgroup/none"):
        InCgroup(Loop(), 0, path).send([process.pid], signal.SIGTERM)
    assert got_none(process)


def test_an_ended_member_stops_nothing(process: subprocess.Popen[bytes]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    by_mark(process.pid, procfs.birth(process.pid)).send([gone.pid, process.pid], signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
