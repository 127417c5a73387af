"""A command that may do anything costs its errand some seconds, and nobody anything else."""

import os
import select
from contextlib import suppress
from pathlib import Path

import pytest

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
    left = int((tmp_path / "pid").read_text())
    with suppress(ProcessLookupError):  # gone
        assert select.select([os.pidfd_open(left)], [], [], LONG)[0], "it lives on"


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
