"""Notify messages that a task sends while no supervisor lives: the next one reads them."""

import os
import signal
import sys
from pathlib import Path

from lab import Lab, wait_for

SPEAKS = """
import os, pathlib, socket, time
here = pathlib.Path(r"{dir}")
mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
(here / "begun").touch()
while not (here / "go").exists():
    time.sleep(0.01)
try:
    mouth.sendto(b"READY=1\\nSTATUS=serving", os.environ["NOTIFY_SOCKET"])
    (here / "said").touch()
except ConnectionRefusedError:
    (here / "refused").touch()
time.sleep(1000)
"""


def speaker(lab: Lab) -> int:
    """A task that will say that it is ready when it is told to. Returns its pid."""
    (lab.dir / "speaks.py").write_text(SPEAKS.format(dir=lab.dir))
    lab.start(f'[task.web]\nready = "notify"\ncommand = "python3 {lab.dir}/speaks.py"\n')
    wait_for((lab.dir / "begun").exists, "it runs")
    return int(lab.tasks()["web"]["pid"])


def speak(lab: Lab) -> None:
    (lab.dir / "go").touch()
    wait_for(lambda: (lab.dir / "said").exists() or (lab.dir / "refused").exists(), "it has spoken")
    assert (lab.dir / "said").exists(), "nobody keeps what it says"


def holders(lab: Lab) -> list[int]:
    return [int(path.name) for path in (lab.run / "notify_holders").iterdir()]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_ready_between_a_kill_9_and_the_next_start_counts(lab: Lab) -> None:
    pid = speaker(lab)
    lab.end(signal.SIGKILL)
    (holder,) = holders(lab)
    speak(lab)
    lab.start()
    assert lab.until(name="web", to="running")["pid"] == pid
    assert lab.tasks()["web"]["says"] == "serving"
    wait_for(lambda: gone(holder), "it ends when the next one has it all")


def test_messages_outlive_a_supervisor_that_dies_at_its_start(lab: Lab) -> None:
    """A supervisor that dies before it holds the sockets itself has taken nothing away."""
    pid = speaker(lab)
    lab.end(signal.SIGKILL)
    speak(lab)
    dying = [sys.executable, str(Path(__file__).parents[1] / "kill" / "dying.py"), "-c", str(lab.path)]
    for step in ("adopt:before:1", "settled:before:1", "settled:after:1"):
        lab.start(wait=False, command=dying, env={"DIE_AT": step})
        assert lab.expect_exit() == -signal.SIGKILL
    lab.start()
    assert lab.until(name="web", to="running")["pid"] == pid


def test_the_holder_ends_when_no_supervisor_comes(lab: Lab) -> None:
    speaker(lab)
    lab.end(signal.SIGKILL)
    (holder,) = holders(lab)
    os.kill(holder, signal.SIGTERM)
    wait_for(lambda: gone(holder), "it can be ended")
    (lab.dir / "go").touch()
    wait_for((lab.dir / "refused").exists, "who speaks then is told that nobody listens")
    lab.start()
    assert lab.tasks()["web"]["state"] == "starting"


def test_a_shutdown_leaves_no_holder(lab: Lab) -> None:
    speaker(lab)
    (holder,) = holders(lab)
    lab.end()
    wait_for(lambda: gone(holder), "it has ended")
    assert holders(lab) == []
