"""Who may speak for a run: its processes, and its main process when that has ended already."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.host import mark, procfs
from supervisor.host.sender import is_gone, is_of_run, lives_in_run

NUMBER = mark.number("web:1/7@e", "/run/s")


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A session of its own, with a child in it, one that has left it but bears the mark, and one that has ended."""
    script = (
        "import os,resource,subprocess,sys\n"
        "one=subprocess.Popen(['sleep','1000'])\n"
        f"resource.setrlimit({mark.RLIMIT_LOCKS},({NUMBER},resource.getrlimit({mark.RLIMIT_LOCKS})[1]))\n"
        "two=subprocess.Popen(['sleep','1000'],start_new_session=True)\n"
        "three=subprocess.Popen(['true'],start_new_session=True)\n"
        "print(one.pid,two.pid,three.pid,flush=True)\nsys.stdin.read()\none.kill()\ntwo.kill()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=-1, stdout=-1, start_new_session=True) as made:
        yield made
        made.stdin.close()


def led_by(leader: subprocess.Popen[bytes]) -> dict[int, int]:
    return {leader.pid: procfs.birth(leader.pid)}


def test_its_own(leader: subprocess.Popen[bytes]) -> None:
    """Also one that has ended, as long as nobody has reaped it."""
    one, two, three = map(int, leader.stdout.readline().split())
    pidfd = os.pidfd_open(three)
    assert select.select([pidfd], [], [], 30)[0], "it never ended"
    os.close(pidfd)
    for pid in (leader.pid, one, two, three):
        assert is_of_run(led_by(leader), NUMBER, pid)
        assert lives_in_run(leader.pid, NUMBER, pid)
        assert not is_gone(pid)


def test_a_stranger(leader: subprocess.Popen[bytes]) -> None:
    leader.stdout.readline()
    for pid in (os.getpid(), 1, 0, -1):
        assert not is_of_run(led_by(leader), NUMBER, pid)


def test_one_that_is_gone_was_the_main_process_or_is_not_believed(leader: subprocess.Popen[bytes]) -> None:
    """Of which user it was is no proof."""
    leader.stdout.readline()
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert is_gone(gone.pid)
    assert not is_of_run(led_by(leader), NUMBER, gone.pid)
    assert not lives_in_run(leader.pid, NUMBER, gone.pid)
    assert is_of_run({gone.pid: 7, **led_by(leader)}, NUMBER, gone.pid)


def test_a_pid_that_the_main_process_had_and_a_stranger_has(leader: subprocess.Popen[bytes]) -> None:
    leader.stdout.readline()
    assert not is_of_run({os.getpid(): 7, **led_by(leader)}, NUMBER, os.getpid())
