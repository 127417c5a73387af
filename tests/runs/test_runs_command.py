"""A command that may do anything costs its errand some seconds, and nobody anything else."""

import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.host import mark
from supervisor.host.clock import now
from supervisor.host.command import KEPT, run

LONG = 30.0


def shell(script: str, data: bytes = b"", limit: float = LONG) -> str:
    return run(("sh", "-c", script), data, limit)


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("true", ""),
        ("echo fine; echo well >&2", ""),
        ("exit 3", "exit 3"),
        ("echo no such host >&2; exit 3", "exit 3: no such host"),
        ("kill -9 $$", "killed by SIGKILL"),
    ],
)
def test_how_it_ended(script: str, wrong: str):
    assert shell(script) == wrong


def test_it_gets_its_input_whether_it_reads_it_or_not(tmp_path: Path):
    data = b"x" * 1_000_000
    assert shell(f"cat > {tmp_path}/got", data) == ""
    assert (tmp_path / "got").read_bytes() == data
    assert shell("exec sleep 0", data) == ""


def test_one_that_hangs_is_killed_with_all_of_its_group(tmp_path: Path):
    assert shell(f"sleep 1000 & echo $! > {tmp_path}/pid; wait", limit=0.5) == "took longer than 0.5 s and was killed"
    assert ends(int((tmp_path / "pid").read_text())), "it lives on"


RELATIVES = Path(__file__).parents[1] / "relatives.py"
KINDS = ("group", "setsid", "daemon", "bare", "stubborn")


def relatives(place: Path, *kinds: str, then: str) -> str:
    """A command that makes relatives of these kinds."""
    return f"exec {sys.executable} -S {RELATIVES} {place}/pids {place}/ready {then} {' '.join(kinds)}"


def ends(pid: int) -> bool:
    """Whether a process does, within a bound."""
    with suppress(ProcessLookupError):  # gone
        return bool(select.select([os.pidfd_open(pid)], [], [], LONG)[0])
    return True


def test_one_that_hangs_is_killed_with_all_that_it_began(tmp_path: Path):
    assert "was killed" in shell(relatives(tmp_path, *KINDS, "unmarked-setsid", then="stay"), limit=3.0)
    made = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(made) == len(KINDS) + 1
    assert all(map(ends, made))


def test_one_that_ends_may_leave_behind_who_delivers(tmp_path: Path):
    assert shell(relatives(tmp_path, "setsid", "daemon", then="exit")) == ""
    for pid in (tmp_path / "pids").read_text().split():
        os.kill(int(pid), signal.SIGKILL)  # it lives


def test_the_mark_is_its_own_alone():
    before = mark.of(os.getpid())
    assert shell("grep locks /proc/self/limits; exit 1") != shell("grep locks /proc/self/limits; exit 1")
    assert mark.of(os.getpid()) == before


def test_one_that_floods_has_its_beginning_kept():
    said = shell("yes no; exit 1", limit=0.5)
    assert said.startswith("took longer than 0.5 s and was killed: no no no")
    assert len(said) < KEPT + 60


def test_what_it_leaves_behind_does_not_hold_anybody_up():
    began = now()
    assert shell("sleep 1000 & exit 0") == ""
    assert now() - began < LONG / 2


def test_nothing_of_the_supervisors_own_is_for_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    assert shell('test -z "$NOTIFY_SOCKET$WATCHDOG_USEC"') == ""
    assert shell(f'test "$(ls /proc/self/fd | wc -l)" -le 4 && test $PPID = {os.getpid()}') == ""


def test_no_such_program():
    with pytest.raises(FileNotFoundError):
        run(("no-such-program",), b"", LONG)
