"""Nobody else is there: also when a child of a supervisor that was killed has not yet let go of what it inherited."""

import os
import signal
import socket
import sys
import textwrap
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from e2e.lab import wait_for

from supervisor import premises
from supervisor.control.server import InUseError, Server
from supervisor.host import clock
from supervisor.host.loop import Loop

HOLDS = textwrap.dedent("""
    import os, sys, time
    from supervisor.control.server import Server
    from supervisor.host import clock
    from supervisor.host.loop import Loop
    from supervisor.premises import Premises
    held = Premises(sys.argv[1], print)
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
        if premises.procfs.stat(pid).alive:
            os.kill(pid, signal.SIGKILL)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def hurry(patched: pytest.MonkeyPatch) -> None:
    """Time passes by itself."""
    moments = count(0, 2)
    patched.setattr(clock, "now", lambda: next(moments))
    patched.setattr(clock, "sleep", lambda _: None)


def release(taken: premises.Premises) -> None:
    lock, _ = taken.held
    os.close(lock)
    if taken._guard:
        taken._guard.close()


def test_what_a_dead_one_has_left_in_a_child_is_waited_for(killed: tuple[Path, int, int], monkeypatch):
    directory, holder, child = killed
    end(holder)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            os.kill(child, signal.SIGKILL)
            wait_for(lambda: not premises.procfs.stat(child).alive)

    monkeypatch.setattr(clock, "sleep", sleep)
    taken = premises.Premises(str(directory), print)
    assert len(waited) == 3
    release(taken)


def test_a_living_one_is_not_waited_for(killed: tuple[Path, int, int], monkeypatch):
    directory, holder, _ = killed
    monkeypatch.setattr(clock, "sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(premises.TakenError, match=f"another supervisor \\(pid {holder}\\) runs with"):
        premises.Premises(str(directory), print)


def test_a_child_that_never_lets_go_is_not_waited_for_without_end(killed: tuple[Path, int, int], monkeypatch):
    directory, holder, _ = killed
    end(holder)
    hurry(monkeypatch)
    with pytest.raises(premises.TakenError, match=f"a child of a supervisor that has died \\(pid {holder}\\)"):
        premises.Premises(str(directory), print)


def test_many_that_were_refused_do_not_change_that(killed: tuple[Path, int, int], monkeypatch):
    """Nobody accepts them, so at some time it cannot be told any more who holds it."""
    directory, holder, child = killed
    hurry(monkeypatch)
    for _ in range(200):
        with pytest.raises(premises.TakenError):
            premises.Premises(str(directory), print)
    end(holder)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: not premises.procfs.stat(child).alive)
    release(premises.Premises(str(directory), print))


def test_a_name_that_nobody_listens_to_is_no_supervisors(tmp_path: Path, monkeypatch):
    """Any user could take it first. Then the lock counts alone."""
    first = premises.Premises(str(tmp_path), print)
    address = first._guard.getsockname()
    release(first)
    hurry(monkeypatch)
    said: list[str] = []
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(address)
        release(premises.Premises(str(tmp_path), lambda _, text: said.append(text)))
    assert said == [f"somebody holds the name that guards {tmp_path}; only its lock does now"]


def test_a_socket_of_the_dead_is_nobodys(killed: tuple[Path, int, int]):
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
