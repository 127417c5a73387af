"""`notify_command` with a real command: which messages it gets, and that a slow or failing one disturbs no task."""

import json
import time
from pathlib import Path

from lab import Lab, alive, wait_for

TASKS = """
[task.web]
command = ["sh", "-c", "test -e stop || exec sleep 1000; exit 7"]
directory = "{place}"
give_up = {{ failures = 2, within = "1m" }}
on_give_up = "{then}"
backoff = {{ initial = 0 }}
[task.mail]
command = "sleep 1000"
"""


def tell(lab: Lab, script: str) -> str:
    """A command that keeps each message in a file of its own: told.1, told.2 …"""
    path = lab.dir / "tell"
    path.write_text(f"#!/bin/sh\ncd {lab.dir}\n{script}\n")
    path.chmod(0o755)
    return f'notify_command = ["{path}"]'


KEEP = 'n=$(ls | grep -c "^told"); cat > new; mv new told.$((n + 1))'


def messages(lab: Lab) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted(lab.dir.glob("told.*"))]


def test_alerts_of_a_give_up_and_its_shutdown_are_sent_before_the_end(lab: Lab) -> None:
    lab.start(TASKS.format(place=lab.dir, then="shutdown"), tell(lab, KEEP))
    lab.up("web", "mail")
    (lab.dir / "stop").touch()
    lab.ctl("signal", "KILL", "web")
    assert lab.expect_exit() == 69
    told = messages(lab)
    notices = [(one["what"], one["name"]) for message in told for one in message["notices"]]
    assert notices == [("failed", "web"), ("shutdown", "the supervisor"), ("gave-up", "web")]
    assert told[0]["subject"] == "lab: web failed"
    assert told[0]["text"].endswith("Z web failed: killed by SIGKILL\n")
    assert told[-1]["text"].endswith("Z web gave up: 2 failures within 1m, the last: exit 7\n")
    assert not lab.processes()


def test_a_command_that_hangs_delays_no_answer_and_no_restart(lab: Lab) -> None:
    lab.start(TASKS.format(place=lab.dir, then="freeze"), tell(lab, "echo $$ > pid; exec sleep 1000"))
    lab.up("web", "mail")
    (lab.dir / "stop").touch()
    lab.ctl("signal", "KILL", "web")
    pid = int(wait_for(lambda: (lab.dir / "pid").exists() and (lab.dir / "pid").read_text()))
    began = time.monotonic()
    lab.ctl("thaw")
    (lab.dir / "stop").unlink()
    lab.ctl("start", "web")
    assert Path(f"/proc/{pid}").exists()
    assert time.monotonic() - began < 5


def test_a_command_that_fails_is_logged_once(lab: Lab) -> None:
    lab.start(TASKS.format(place=lab.dir, then="stay"), tell(lab, "echo no route to host; exit 1"))
    lab.up("web", "mail")
    lab.ctl("freeze", "mail")
    wait_for(lambda: "error: notify_command: exit 1: no route to host; tried again" in lab.stderr)
    assert lab.end() == 0
    assert lab.stderr.count("error: notify_command") == 1


def test_a_command_that_takes_too_long_is_killed_with_its_children(lab: Lab) -> None:
    words = lab.make("group", "setsid", "daemon", "bare", "stubborn")
    lab.start(TASKS.format(place=lab.dir, then="stay"), f"notify_command = {words!r}")
    lab.up("web", "mail")
    lab.ctl("freeze", "mail")
    made = lab.relatives()
    wait_for(lambda: "error: notify_command: took longer than 10 s and was killed" in lab.stderr)
    wait_for(lambda: not [pid for pid in made if alive(pid)], "nothing of it is left")
