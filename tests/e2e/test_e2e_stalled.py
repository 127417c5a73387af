"""The supervisor, or all processes, stand still for a while (SIGSTOP): no task fails for that."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import Lab, wait_for

STALL = 6.0


@contextmanager
def still(*pids: int) -> Iterator[None]:
    """These processes stand still; the supervisor, which is the first, goes on first."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
        end = time.monotonic() + STALL
        wait_for(lambda: time.monotonic() > end, "the time of the stall is over")
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_start_timeout_does_not_count_a_stall_of_the_supervisor(lab: Lab) -> None:
    """The ready probe is sent again when the supervisor continues, within the rest of start_timeout."""
    probe = f'{{ command = ["test", "-e", "{lab.dir}/up"], every = "200ms" }}'
    lab.start(f'[task.web]\ncommand = "sleep 1000"\nstart_timeout = "5s"\nready = {probe}\n')
    lab.until(name="web", to="starting")
    with still(lab.pid):
        (lab.dir / "up").touch()
    lab.until("stalled")
    lab.until(name="web", to="running")
    assert lab.tasks()["web"]["restarts"] == 0, lab.stderr


def test_no_watchdog_fires_after_a_stall_of_everything(lab: Lab) -> None:
    says = "import os, socket, time\nmouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    says += 'while True:\n    mouth.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])\n    time.sleep(0.8)\n'
    (lab.dir / "says.py").write_text(says)
    lab.start(f'[task.web]\ncommand = ["python3", "{lab.dir}/says.py"]\nwatchdog = "2s"\n')
    pid = lab.up("web")["web"]
    with still(lab.pid, pid):
        pass
    lab.until("stalled")
    end = time.monotonic() + 2 * 2.0
    wait_for(lambda: time.monotonic() > end, "two periods of the watchdog are over")
    assert lab.tasks()["web"]["pid"] == pid


def test_a_stall_of_everything_does_not_shorten_the_grace(lab: Lab) -> None:
    """The task is about to save its work when the machine freezes for longer than the grace."""
    saves = f"trap 'sleep 1; touch {lab.dir}/saved; exit 0' TERM; touch {lab.dir}/up; while :; do sleep 0.05; done"
    lab.start(f'[task.web]\ncommand = ["sh", "-c", "{saves}"]\nstop = {{ grace = "3s", to = "main" }}\n')
    pid = lab.up("web")["web"]
    wait_for((lab.dir / "up").exists, "it has its trap")
    lab.ctl("stop", "web", "--no-wait")
    with still(lab.pid, pid):
        pass
    lab.until(name="web", to="stopped")
    assert (lab.dir / "saved").exists()
    assert lab.tasks()["web"]["last_exit"]["reason"] == "exit 0"
