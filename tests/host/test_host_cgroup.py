"""Cgroups and marks: where the tree is, what is removed, and what is inherited."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from spawning import BEGIN

from supervisor.host import cgroup, mark
from supervisor.spawn import clone

UNIFIED = "/sys/fs/cgroup"

HOMES = {
    "the root": ("/", [("/", UNIFIED)], (), UNIFIED),
    "a hybrid hierarchy": ("/", [("/", f"{UNIFIED}/unified")], (), f"{UNIFIED}/unified"),
    "a service": ("/system.slice/a.service", [("/", UNIFIED)], ("a.service",), f"{UNIFIED}/system.slice/a.service"),
    "a leaf of a service": ("/a.service/leaf", [("/", UNIFIED)], ("a.service",), f"{UNIFIED}/a.service"),
    "not delegated": ("/a.scope", [("/", UNIFIED)], (), f"{UNIFIED}/a.scope"),
    "a part is mounted": ("/docker/x/own", [("/docker/x", "/cg")], (), "/cg/own"),
    "only another part is": ("/docker/xy", [("/docker/x", "/cg")], (), None),
    "the second mount": ("/a", [("/b", "/cg1"), ("/", "/cg2")], (), "/cg2/a"),
    "none": ("/", [], (), None),
}


@pytest.mark.parametrize("case", HOMES)
def test_where_the_tree_belongs(case: str, monkeypatch: pytest.MonkeyPatch):
    own, mounts, delegated, expected = HOMES[case]
    monkeypatch.setattr(cgroup, "_own", lambda: own)
    monkeypatch.setattr(cgroup, "_mounts", lambda: mounts)
    monkeypatch.setattr(cgroup, "_delegated", lambda path: path.endswith(delegated) if delegated else False)
    if expected is None:
        with pytest.raises(cgroup.NoCgroupError, match="no mounted cgroup v2"):
            cgroup.home()
    else:
        assert cgroup.home() == expected


def test_the_tests_can_do_without(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cgroup.NEVER, "no")
    with pytest.raises(cgroup.NoCgroupError, match="=no"):
        cgroup.plant(1, 1)


@pytest.fixture
def tree() -> Iterator[str]:
    """A tree of a supervisor that is no more: pid 1 was born at another time."""
    try:
        os.rmdir(cgroup.plant(os.getpid(), 1))
    except cgroup.NoCgroupError as why:
        pytest.skip(str(why))
    place = f"{cgroup.home()}/tests-{os.getpid()}"  # not where supervisors that run beside these tests clear up
    cgroup.make(f"{place}/supervisor-1-1")
    yield f"{place}/supervisor-1-1"
    cgroup.remove(place)
    assert not Path(place).exists()


def enter(path: str) -> None:
    """Moves the calling process."""
    Path(f"{path}/cgroup.procs").write_text("0")


def sleeper(path: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"], preexec_fn=lambda: enter(path))


def test_a_cgroup_of_a_run(tree: str):
    """It is alive as long as anything is in it, also in what the task made below; then all of it is removed."""
    cgroup.make(f"{tree}/1")
    one = cgroup.Cgroup(f"{tree}/1")
    assert not one.alive()
    cgroup.make(f"{tree}/1/of/the/task")
    with sleeper(f"{tree}/1/of/the/task") as process:
        assert one.alive()
        assert one.pids() == [process.pid]
        assert not cgroup.remove(one.path)
        one.kill()
        process.wait()
    assert not one.alive()
    assert cgroup.remove(one.path)
    assert not Path(one.path).exists()
    assert not one.alive(), "one that is gone has nothing in it"
    one.kill()
    one.close()


def test_cgroups_of_earlier_supervisors_are_removed_when_empty(tree: str):
    cgroup.make(f"{tree}/1")
    cgroup.make(f"{tree}/2")
    beside = f"{os.path.dirname(tree)}/supervisor-{os.getpid()}-1"
    with sleeper(f"{tree}/2") as process:
        cgroup.clear_old(beside, lambda pid, birth: True)
        assert Path(f"{tree}/1").exists(), "its supervisor lives"
        cgroup.clear_old(beside, lambda pid, birth: (pid, birth) == (1, 0))
        assert not Path(f"{tree}/1").exists()
        assert Path(f"{tree}/2").exists()
        process.kill()
        process.wait()
    cgroup.clear_old(beside, lambda pid, birth: (pid, birth) == (1, 0))
    assert not Path(tree).exists()


LEFT = """
made = Spawning()
made.held.hold("/tmp/nobody/of/it", 0)
signal.pidfd_send_signal(made._process.pidfd, signal.SIGSTOP)
os.waitid(os.P_PIDFD, made._process.pidfd, os.WSTOPPED)
made.spawner.prepare(3)
pidfd = os.pidfd_open(made._process.pid)
import select, threading
threading.Timer(0.1, lambda: signal.pidfd_send_signal(pidfd, signal.SIGCONT)).start()
spawner_process.comes = lambda fd, pid: select.select([fd], [], [])[0]
made.hand_over()
signal.pidfd_send_signal(pidfd, signal.SIGTERM)
select.select([pidfd], [], [])
assert not os.path.exists(made.cgroups.tree), os.listdir(made.cgroups.tree)
"""


INSIDE = """
inside = lambda pid: open(f"/proc/{pid}/cgroup").read().rpartition("0::")[2].strip()
made = Spawning()
for _ in range(3):
    spare = made.spawner.spawn(SPEC)
    assert spare.cgroup.endswith(inside(spare.pid)), (spare.cgroup, inside(spare.pid))
    spare.close()
    os.waitid(os.P_PID, spare.pid, os.WEXITED)
runs(made)
made.spawner.prepare(2)
made.close()
assert not os.path.exists(made.cgroups.tree), "children that wait are let go, and their cgroups with them"
"""


@pytest.mark.parametrize("how", ["cloned", "moved, as clone3 is refused", "moved, as our own cgroup was killed once"])
def test_a_child_is_made_in_a_cgroup(how: str, tree: str):
    """The last case is a trap of the kernel: a process cloned from a killed cgroup into a new one dies at once."""
    cgroup.make(f"{tree}/1")
    if "killed" in how:
        cgroup.Cgroup(f"{tree}/1").kill()
    change = "clone._SYS_CLONE3 = 10**6\n" if "refused" in how else ""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + change + INSIDE],
        capture_output=True, text=True, timeout=60, check=False, preexec_fn=lambda: enter(f"{tree}/1"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("failure", "elsewhere"), [("EAGAIN", False), ("ENOMEM", False), ("ENOSYS", True), ("EPERM", True), ("E2BIG", True)]
)
def test_a_full_cgroup_gets_no_child_by_a_move(
    failure: str, elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A process that is moved into a cgroup does not count against pids.max."""
    number = getattr(errno, failure)
    made: list[bool] = []
    monkeypatch.setattr(clone, "_clone_into", lambda directory, flag: -number)
    monkeypatch.setattr(clone, "_clone", lambda: made.append(True) or -errno.ENFILE)
    monkeypatch.setattr(clone, "_fork_twice", lambda: made.append(True) or -errno.ENFILE)
    made_in = clone.make([f"{tmp_path}/1"], pytest.fail, into=True)  # type: ignore[arg-type]
    assert made_in == [(-errno.ENFILE if elsewhere else -number, False)]
    assert bool(made) == elsewhere
    assert not (tmp_path / "1").exists(), "the cgroup of nobody is removed"


def test_no_cgroup_is_made_after_the_program_has_left_its_tree(tree: str):
    """Cgroups that the spawner makes during the re-exec would never be removed."""
    cgroup.make(f"{tree}/1")
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + LEFT],
        capture_output=True, text=True, timeout=60, check=False, preexec_fn=lambda: enter(f"{tree}/1"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


# -- marks ------------------------------------------------------------------------------------------------------------


def test_the_mark_of_a_run():
    assert mark.number("web:1/1@e", "/run/a") == mark.number("web:1/1@e", "/run/a/")
    assert mark.number("web:1/1@e", "/run/a") != mark.number("web:1/1@e", "/run/b"), "the same run of two supervisors"
    many = {mark.number(f"web:{index}/{run}@e", "/run/a") for index in range(1, 50) for run in range(1, 50)}
    assert len(many) == 49 * 49
    assert all(0 < one < 1 << 62 for one in many)


def test_the_mark_is_inherited_whatever_a_process_does():
    number = mark.number("web:1/1@e", "/run/a")
    words = ["setsid", "env", "-i", "sh", "-c", "exec sleep 1000 <&- >&- 2>&-"]
    with subprocess.Popen(words, preexec_fn=lambda: mark.set_own(number)) as process:
        assert mark.of(process.pid) == number
        process.kill()
    assert mark.of(process.pid) == 0, "it is gone"
