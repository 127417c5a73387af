"""Signals that the caller ignores or blocks (`nohup`, `&` in a script) are not passed to children.

The supervisor itself obeys SIGINT even then, as s6, nginx and PostgreSQL do, because somebody sends it on purpose.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import PATIENCE, Lab, wait_for

TESTS = Path(__file__).parents[1]

DISTURBED = """
import os, signal, sys
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Executes Python with the arguments given, and with every signal ignored and blocked."""


def masks(status: str) -> tuple[int, int]:
    """The ignored and the blocked signals, from the text of /proc/PID/status. Python itself ignores two, libc none."""
    found = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    return int(found["SigIgn"], 16), int(found["SigBlk"], 16)


def test_children_get_the_default_of_each_signal(lab: Lab) -> None:
    show = f"cat /proc/self/status > {lab.dir}/notified"
    lab.start(
        '[task.web]\ncommand = ["sleep", "1000"]\n[task.bad]\ncommand = ["false"]\nrestart = "never"\n',
        f'notify_command = ["sh", "-c", "{show}.new; mv {lab.dir}/notified.new {lab.dir}/notified"]',
        command=[sys.executable, "-c", DISTURBED, "-m", "supervisor", "-c", str(lab.path)],
    )  # fmt: skip
    pid = lab.until("state", name="web", to="running")["pid"]
    assert masks(Path(f"/proc/{pid}/status").read_text()) == (0, 0)
    wait_for((lab.dir / "notified").exists, "notify_command was run")
    assert masks((lab.dir / "notified").read_text()) == (0, 0)
    assert lab.process
    lab.process.send_signal(signal.SIGINT)
    assert lab.process.wait(PATIENCE) == 0


def test_the_suite_can_be_run_where_signals_are_ignored() -> None:
    """A follower (`events -f`) ends by the SIGINT that its test sends; it inherits what pytest ignores."""
    test = f"{TESTS}/e2e/test_e2e_supctl.py::test_events"
    command = [sys.executable, "-c", DISTURBED, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("where", ["test", "teardown"])
def test_a_test_that_hangs_fails(tmp_path: Path, where: str) -> None:
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    body = {"test": "os.read(hung, 1)", "teardown": "pass"}[where]
    (tmp_path / "test_hangs.py").write_text(
        "import os, pytest\n"
        "@pytest.fixture\n"
        "def hung():\n"
        "    ours, theirs = os.pipe()\n"
        "    yield ours\n"
        f"    {'os.read(ours, 1)' if where == 'teardown' else 'pass'}\n"
        "@pytest.mark.bound(0.5)\n"
        f"def test_hangs(hung):\n    {body}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "took longer than 0.5 s" in done.stdout
