"""One supervisor for each runtime directory; also when a child of a killed one still holds what it inherited."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from e2e.lab import PATIENCE, wait_for

from supervisor.control.server import InUseError, Server
from supervisor.host import clock
from supervisor.host.deadlines import overdue
from supervisor.host.interface import MadeAnew
from supervisor.host.loop import Loop
from supervisor.shell import runtime_dir
from supervisor.store.journal import Journal

HOLDS = textwrap.dedent("""
    import os, sys, time
    from supervisor.control.server import Server
    from supervisor.host import clock
    from supervisor.host.loop import Loop
    from supervisor.shell.runtime_dir import RuntimeDir
    held = RuntimeDir(sys.argv[1], print)
    server = Server(Loop(), clock.now, {}, None)
    server.listen(sys.argv[1] + "/supervisor.sock", 0o600)
    child = os.fork()
    if child:
        os.write(1, str(child).encode() + b"\\n")
    time.sleep(1000)
""")


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[tuple[Path, int, int]]:
    """A supervisor that holds a runtime directory, and a child of it that has everything open, too."""
    said, says = os.pipe()
    holder = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, says, 1)],
    )
    os.close(says)
    child = int(os.read(said, 100))
    os.close(said)
    yield tmp_path, holder, child
    for pid in (holder, child):
        if runtime_dir.procfs.stat(pid).alive:
            os.kill(pid, signal.SIGKILL)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def hurry(patched: pytest.MonkeyPatch) -> None:
    """Time passes by itself."""
    moments = count(0, 2)
    patched.setattr(clock, "now", lambda: next(moments))
    patched.setattr(clock, "sleep", lambda _: None)


def test_a_lock_in_a_child_of_a_dead_supervisor_is_waited_for(killed: tuple[Path, int, int], monkeypatch):
    directory, holder, child = killed
    end(holder)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            os.kill(child, signal.SIGKILL)
            wait_for(lambda: not runtime_dir.procfs.stat(child).alive)

    monkeypatch.setattr(clock, "sleep", sleep)
    taken = runtime_dir.RuntimeDir(str(directory), print)
    assert len(waited) == 3
    taken.close()


def test_a_living_supervisor_is_not_waited_for(killed: tuple[Path, int, int], monkeypatch):
    directory, holder, _ = killed
    monkeypatch.setattr(clock, "sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(runtime_dir.TakenError, match=f"another supervisor \\(pid {holder}\\) runs with"):
        runtime_dir.RuntimeDir(str(directory), print)


def test_the_wait_for_a_child_that_keeps_the_lock_is_bounded(killed: tuple[Path, int, int], monkeypatch):
    directory, holder, _ = killed
    end(holder)
    hurry(monkeypatch)
    with pytest.raises(runtime_dir.TakenError, match=f"a child of a dead supervisor \\(pid {holder}\\)"):
        runtime_dir.RuntimeDir(str(directory), print)


def test_many_refused_supervisors_do_not_change_that(killed: tuple[Path, int, int], monkeypatch):
    """Their connections are never accepted, so at some time the holder can no longer be identified."""
    directory, holder, child = killed
    hurry(monkeypatch)
    for _ in range(200):
        with pytest.raises(runtime_dir.TakenError):
            runtime_dir.RuntimeDir(str(directory), print)
    end(holder)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: not runtime_dir.procfs.stat(child).alive)
    runtime_dir.RuntimeDir(str(directory), print).close()


def test_a_name_without_a_listener_is_not_a_supervisor(tmp_path: Path, monkeypatch):
    """Any user could take the name first. Then only the lock counts."""
    first = runtime_dir.RuntimeDir(str(tmp_path), print)
    with socket.socket(fileno=os.dup(first.held[1])) as guard:
        address = guard.getsockname()
    first.close()
    hurry(monkeypatch)
    said: list[str] = []
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(address)
        runtime_dir.RuntimeDir(str(tmp_path), lambda _, text: said.append(text)).close()
    assert said == [
        f"somebody holds a socket name that keeps a second supervisor out of {tmp_path}; its lock still does"
    ]


@pytest.fixture
def covered(killed: tuple[Path, int, int]) -> Iterator[Path]:
    """Its directory, with a file system mounted over it."""
    directory, _, _ = killed
    if subprocess.run(["mount", "-t", "tmpfs", "lab", str(directory)], check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_living_supervisor_is_found_below_a_mount(killed: tuple[Path, int, int], covered: Path):
    with pytest.raises(runtime_dir.TakenError, match=f"another supervisor \\(pid {killed[1]}\\) runs with"):
        runtime_dir.RuntimeDir(str(covered), print)
    assert not os.listdir(covered)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_living_supervisor_is_found_from_another_mount_namespace(killed: tuple[Path, int, int]):
    directory, holder, _ = killed
    (directory / "lock").unlink()
    look = "import sys; from supervisor.shell.runtime_dir import RuntimeDir; RuntimeDir(sys.argv[1], print)"
    command = ["unshare", "--mount", sys.executable, "-c", look, str(directory)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "unshare failed" in done.stderr:
        pytest.skip("cannot make a mount namespace here")
    assert f"another supervisor (pid {holder}) runs with {directory}" in done.stderr


def is_due(taken: runtime_dir.RuntimeDir) -> bool:
    return any(overdue((taken,), clock.now()))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
@pytest.mark.parametrize("then", [None, 2 * PATIENCE], ids=["by epoll", "by select"])
def test_a_mount_wakes_who_sleeps_and_disturbs_only_where_the_directory_is(tmp_path: Path, then: float | None):
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    other.mkdir()
    loop = Loop()
    server = Server(loop, clock.now, {}, None)
    server.listen(f"{run}/supervisor.sock", 0o600)
    journal = Journal(f"{run}/journal", "boot", "epoch")
    taken = runtime_dir.RuntimeDir(str(run), print)
    taken.watch(loop, (journal, server))

    def disturbed_by(*command: str) -> bool:
        loop.wait(0)
        mounted = subprocess.Popen(command)
        began = clock.now()
        loop.wait(then)
        assert clock.now() < began + PATIENCE
        if mounted.wait():
            pytest.skip("cannot mount a tmpfs here")
        return is_due(taken)

    try:
        assert not disturbed_by("mount", "-t", "tmpfs", "lab", str(other))
        assert disturbed_by("mount", "-t", "tmpfs", "lab", str(run))
        assert taken.due(clock.now())
        assert sorted(os.listdir(run)) == ["journal", "lock", "supervisor.sock"]
        assert not is_due(taken)
        assert disturbed_by("umount", "-l", str(run))
        assert taken.due(clock.now()) == [MadeAnew()]
        assert not taken.due(clock.now())
    finally:
        for place in (run, other):
            if os.path.ismount(place):
                subprocess.run(["umount", "-l", str(place)], check=True)
    server.close()
    taken.close()


def test_what_an_earlier_program_has_held_is_held_all_the_while(tmp_path: Path):
    first = runtime_dir.RuntimeDir(str(tmp_path), print)
    held = [os.dup(fd) for fd in first.held]
    assert len(held) == 3
    second = runtime_dir.RuntimeDir(str(tmp_path), print, lock=held[0], guards=tuple(held[1:]))
    assert list(second.held) == held
    second.close()
    first.close()


def test_an_earlier_program_that_knew_one_guard_only_is_no_other_supervisor(tmp_path: Path):
    """The name is held by this very process: it has come here through a program that does not know what it is."""
    first = runtime_dir.RuntimeDir(str(tmp_path), print)
    lock, guard = map(os.dup, first.held[:2])
    second = runtime_dir.RuntimeDir(str(tmp_path), lambda _, text: pytest.fail(text), lock=lock, guards=(guard, -1))
    assert second.held == (lock, guard, -1)
    second.close()
    first.close()


def test_a_socket_of_a_dead_supervisor_is_replaced(killed: tuple[Path, int, int]):
    directory, holder, _ = killed
    path = f"{directory}/supervisor.sock"
    server = Server(Loop(), clock.now, {}, None)
    with pytest.raises(InUseError):
        server.listen(path, 0o600)
    end(holder)
    server.listen(path, 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    server.close()
