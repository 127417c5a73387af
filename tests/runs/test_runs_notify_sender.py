"""Which processes may send for a run: its members, and its main process after its end. Never a stranger."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor.core.immutable import replace
from supervisor.host import cgroup, mark, procfs
from supervisor.runs.notify_sender import AllowedSenders, is_gone, is_of_run, lives_in_run, may_be, may_lead

RUN, RUNTIME_DIR = "web:1/7@e", "/run/s"


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A session of its own, with a child in it, one that has left it, and one that has ended."""
    script = (
        "import subprocess,sys\n"
        "one=subprocess.Popen(['sleep','1000'])\n"
        "two=subprocess.Popen(['sleep','1000'],start_new_session=True)\n"
        "three=subprocess.Popen(['true'],start_new_session=True)\n"
        "print(one.pid,two.pid,three.pid,flush=True)\nsys.stdin.read()\none.kill()\ntwo.kill()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=-1, stdout=-1, start_new_session=True) as made:
        yield made
        made.stdin.close()


def led_by(leader: subprocess.Popen[bytes], **more: int) -> AllowedSenders:
    leaders = {**{int(pid): birth for pid, birth in more.items()}, leader.pid: procfs.birth(leader.pid)}
    return AllowedSenders(frozenset({os.geteuid()}), leaders, others={leader.pid})


@contextmanager
def stranger(number: int = 0, **popen: object) -> Iterator[int]:
    """A process of another parent and session, with this mark."""
    script = "import subprocess,sys; print(subprocess.Popen(['sleep','1000'],start_new_session=True).pid,flush=True)"
    command = [sys.executable, "-c", f"{script}; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, preexec_fn=lambda: mark.set_own(number), **popen) as made:
        pid = int(made.stdout.readline())
        yield pid
        os.kill(pid, 9)
        made.stdin.close()


def test_a_member_of_the_run(leader: subprocess.Popen[bytes]) -> None:
    """Also one that has ended, as long as it is not reaped."""
    one, two, three = map(int, leader.stdout.readline().split())
    pidfd = os.pidfd_open(three)
    assert select.select([pidfd], [], [], 30)[0], "it never ended"
    os.close(pidfd)
    for pid in (leader.pid, one, two, three):
        assert is_of_run(led_by(leader), pid)
        assert lives_in_run(led_by(leader), pid)
        assert not is_gone(pid)


def test_an_orphan_that_has_become_our_child(leader: subprocess.Popen[bytes]) -> None:
    """It descends from one of our tasks. The main process of another run, or a helper, does not count."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as orphan, subprocess.Popen(["cat"]) as helper:
        assert lives_in_run(led_by(leader), orphan.pid)
        assert not lives_in_run(replace(led_by(leader), others={leader.pid, orphan.pid}), orphan.pid)
        assert not lives_in_run(led_by(leader), helper.pid)
        orphan.kill()
        helper.kill()


def test_a_stranger(leader: subprocess.Popen[bytes]) -> None:
    leader.stdout.readline()
    for pid in (os.getpid(), 1, 0, -1):
        assert not is_of_run(led_by(leader), pid)


def test_the_mark_and_the_environment_of_the_run_are_no_proof(leader: subprocess.Popen[bytes]) -> None:
    """Any process can have both."""
    copy = {"SUPERVISOR_RUN": RUN, "SUPERVISOR_SOCKET": f"{RUNTIME_DIR}/supervisor.sock"}
    with stranger(mark.number(RUN, RUNTIME_DIR), env=copy) as pid:
        assert mark.of(pid) == mark.number(RUN, RUNTIME_DIR)
        assert not is_of_run(led_by(leader), pid)
        assert not may_lead(led_by(leader), pid)


def test_a_process_that_holds_the_output_of_the_run(leader: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """For a daemon of a run that an earlier supervisor started: its orphans are not our children."""
    output = str(tmp_path / "web:1.7@e")
    os.mkfifo(f"{output}.out")
    with open(os.open(f"{output}.out", os.O_RDWR)) as held, stranger(stderr=held) as pid:
        assert lives_in_run(replace(led_by(leader), output=output), pid)
        assert not lives_in_run(replace(led_by(leader), output=output + "x"), pid)


@pytest.mark.parametrize(("is_in", "right"), [("/a/7", True), ("/a/7/b", True), ("/a/77", False), ("/a", False)])
def test_a_cgroup_alone_decides(
    leader: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, is_in: str, right: bool
) -> None:
    """Also for a descendant that was moved out of it, and for a stranger inside of it."""
    leader.stdout.readline()
    monkeypatch.setattr(cgroup, "of_process", lambda _: is_in)
    for pid in (leader.pid, os.getpid()):
        assert lives_in_run(replace(led_by(leader), cgroup="/a/7"), pid) == right


def test_an_ended_sender_counts_only_as_the_main_process(leader: subprocess.Popen[bytes]) -> None:
    """Its user alone is no proof."""
    leader.stdout.readline()
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert is_gone(gone.pid)
    assert not is_of_run(led_by(leader), gone.pid)
    assert not lives_in_run(led_by(leader), gone.pid)
    assert is_of_run(led_by(leader, **{str(gone.pid): 7}), gone.pid)


def test_a_stranger_with_the_reused_pid_of_the_main_process(leader: subprocess.Popen[bytes]) -> None:
    leader.stdout.readline()
    assert not is_of_run(led_by(leader, **{str(os.getpid()): 7}), os.getpid())


def test_only_the_user_of_the_task_and_root_may_speak() -> None:
    allowed = AllowedSenders(frozenset({7}), {1: 1})
    assert [may_be(allowed, user) for user in (7, 0, 8, -1)] == [True, True, False, False]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_main_process_has_the_user_of_the_task(leader: subprocess.Popen[bytes]) -> None:
    """Not a process that changed any of its user ids: signals would go where that user wants."""
    with subprocess.Popen(["sleep", "1000"], user=65534, start_new_session=True) as nobody:
        allowed = led_by(leader)
        assert lives_in_run(allowed, nobody.pid)
        assert not may_lead(allowed, nobody.pid)
        assert may_lead(replace(allowed, users=frozenset({65534})), nobody.pid)
        nobody.kill()
