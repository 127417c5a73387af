"""Who may speak for a run: its processes, and one of its user that has ended already."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.host import mark
from supervisor.host.sender import is_of_run, lives_in_run, user_of

NUMBER = mark.number("web:1/7@e", "/run/s")


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A session of its own, with a child in it, and one that has left it but bears the mark."""
    script = (
        "import os,resource,subprocess,sys\n"
        "one=subprocess.Popen(['sleep','1000'])\n"
        f"resource.setrlimit({mark.RLIMIT_LOCKS},({NUMBER},resource.getrlimit({mark.RLIMIT_LOCKS})[1]))\n"
        "two=subprocess.Popen(['sleep','1000'],start_new_session=True)\n"
        "print(one.pid,two.pid,flush=True)\nsys.stdin.read()\none.kill()\ntwo.kill()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=-1, stdout=-1, start_new_session=True) as made:
        yield made
        made.stdin.close()


def test_its_own(leader: subprocess.Popen[bytes]) -> None:
    one, two = map(int, leader.stdout.readline().split())
    for pid in (leader.pid, one, two):
        assert is_of_run(leader.pid, NUMBER, pid, os.geteuid())
        assert lives_in_run(leader.pid, NUMBER, pid)


def test_a_stranger(leader: subprocess.Popen[bytes]) -> None:
    leader.stdout.readline()
    for pid in (os.getpid(), 1, 0, -1):
        assert not is_of_run(leader.pid, NUMBER, pid, 0)


def test_one_that_has_ended(leader: subprocess.Popen[bytes]) -> None:
    leader.stdout.readline()
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert is_of_run(leader.pid, NUMBER, gone.pid, os.geteuid())
    assert is_of_run(leader.pid, NUMBER, gone.pid, 0)
    assert not is_of_run(leader.pid, NUMBER, gone.pid, os.geteuid() + 12345)
    assert not lives_in_run(leader.pid, NUMBER, gone.pid)
    assert user_of(gone.pid) == -1
