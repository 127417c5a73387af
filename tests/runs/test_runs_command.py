"""A command that may do anything costs its errand some seconds, and nothing else."""

import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.host import mark
from supervisor.host.clock import now
from supervisor.runs.command import KEPT, run

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
def test_the_result_of_a_command(script: str, wrong: str):
    assert shell(script) == wrong


def test_it_gets_its_input_whether_it_reads_it_or_not(tmp_path: Path):
    data = b"x" * 1_000_000
    assert shell(f"cat > {tmp_path}/got", data) == ""
    assert (tmp_path / "got").read_bytes() == data
    assert shell("exec sleep 0", data) == ""


def test_a_command_that_hangs_is_killed_with_its_group(tmp_path: Path):
    assert shell(f"sleep 1000 & echo $! > {tmp_path}/pid; wait", limit=0.5) == "took longer than 0.5 s and was killed"
    assert ends(int((tmp_path / "pid").read_text())), "it lives on"


RELATIVES = Path(__file__).parents[1] / "relatives.py"
KINDS = ("group", "setsid", "daemon", "bare", "stubborn")


def relatives(place: Path, *kinds: str, then: str) -> str:
    """Return a command that makes descendants of these kinds."""
    return f"exec {sys.executable} -S {RELATIVES} {place}/pids {place}/ready {then} {' '.join(kinds)}"


def ends(pid: int) -> bool:
    """Whether a process does, within a bound."""
    with suppress(ProcessLookupError):  # gone
        return bool(select.select([os.pidfd_open(pid)], [], [], LONG)[0])
    return True


def test_a_command_that_hangs_is_killed_with_its_descendants(tmp_path: Path):
    assert "was killed" in shell(relatives(tmp_path, *KINDS, "unmarked-setsid", then="stay"), limit=3.0)
    made = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(made) == len(KINDS) + 1
    assert all(map(ends, made))


def test_a_command_that_ends_may_leave_a_background_process(tmp_path: Path):
    assert shell(relatives(tmp_path, "setsid", "daemon", then="exit")) == ""
    for pid in (tmp_path / "pids").read_text().split():
        os.kill(int(pid), signal.SIGKILL)  # it lives


def test_the_mark_is_its_own_alone():
    before = mark.of(os.getpid())
    assert shell("grep locks /proc/self/limits; exit 1") != shell("grep locks /proc/self/limits; exit 1")
    assert mark.of(os.getpid()) == before


def test_only_the_beginning_of_a_long_output_is_kept():
    said = shell("yes no; exit 1", limit=0.5)
    assert said.startswith("took longer than 0.5 s and was killed: no no no")
    assert len(said) < KEPT + 60


def test_a_process_left_by_a_command_delays_nothing():
    began = now()
    assert shell("sleep 1000 & exit 0") == ""
    assert now() - began < LONG / 2


def test_a_command_inherits_nothing_of_the_supervisor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    assert shell('test -z "$NOTIFY_SOCKET$WATCHDOG_USEC"') == ""
    assert shell(f'test "$(ls /proc/self/fd | wc -l)" -le 4 && test $PPID = {os.getpid()}') == ""


def test_a_missing_program():
    with pytest.raises(FileNotFoundError):
        run(("no-such-program",), b"", LONG)
