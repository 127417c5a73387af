"""`expect`: a task without a success for too long is unwell. People are told once, whatever dies, until it succeeds."""

import json
import os
import shutil
import signal
from typing import Any

from lab import Lab, wait_for

TASKS = """
[task.backup]
kind    = "triggered"
command = ["sh", "-c", "test -e good"]
expect  = "2s"

[task.other]
kind    = "triggered"
command = "true"
expect  = "1h"
"""

TOLD = ["sh", "-c", "cat >> told; echo >> told"]


def told(lab: Lab) -> list[tuple[str, str]]:
    """What notify_command got: each alert once, also if it was sent twice."""
    path = lab.dir / "told"
    lines = [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []
    notices = {notice["id"]: notice for line in lines for notice in line["notices"]}
    return [(notice["what"], notice["name"]) for notice in notices.values()]


def health(lab: Lab) -> dict[str, Any]:
    """The health of each task, as status has it."""
    return {name: task["health"] for name, task in lab.tasks().items()}


def test_overdue_is_told_once_until_a_success_whatever_dies(lab: Lab) -> None:
    settings = f"notify_command = {json.dumps(TOLD)}\n"
    lab.start(TASKS, settings)
    assert lab.until("overdue")["task"] == "backup"
    answer = lab.ctl("status", code=3)
    assert "no success for 2s (expected within 2s)" in answer.out
    assert health(lab) == {"backup": "unwell", "other": "ok"}
    assert "Its next success ends that it is overdue." in lab.ctl("why", "backup").out
    wait_for(lambda: told(lab) == [("overdue", "backup")])

    lab.hang_up()
    lab.end(signal.SIGKILL)
    lab.start()
    assert health(lab) == {"backup": "unwell", "other": "ok"}, "the journal has it at once"
    pid = wait_for(lambda: lab.helper("timekeeper"))
    os.kill(pid, signal.SIGKILL)
    lab.ctl("run", "backup", "--wait", code=1)
    assert "no success for" in lab.tasks()["backup"]["why"]
    wait_for(lambda: lab.helper("timekeeper") not in (0, pid))

    lab.hang_up()
    assert lab.end() == 0
    shutil.rmtree(lab.run)  # as a boot does
    lab.start()
    wait_for(lambda: health(lab) == {"backup": "unwell", "other": "ok"}, "the store has it")
    assert "the last run failed: exit 1; no success for" in lab.tasks()["backup"]["why"]
    assert ("overdue", "backup") in told(lab)

    (lab.dir / "good").touch()
    lab.ctl("run", "backup", "--wait")
    assert lab.until("in-time") | {"at": 0, "cursor": 0} == {
        "at": 0, "cursor": 0, "event": "in-time", "task": "backup", "why": "a run has succeeded",
    }  # fmt: skip
    assert health(lab) == {"backup": "ok", "other": "ok"}
    lab.ctl("status", code=0)
    assert "Without a success until " in lab.ctl("why", "backup").out
    assert lab.until("overdue")["task"] == "backup", "and it counts from the success"
    lab.hang_up()
    lab.end()
    assert [what for what, _ in told(lab) if what != "failed"] == ["overdue", "recovered", "overdue"]


def test_a_failed_run_is_unwell_also_for_health_and_after_a_boot(lab: Lab) -> None:
    settings = f'health_listen = "unix:{lab.dir}/health.sock"\n'
    tasks = '[task.job]\nkind = "triggered"\ncommand = "false"\n[task.tick]\ncommand = "true"\nevery = "1h"\n'
    lab.start(tasks, settings)
    lab.ctl("run", "job", "--wait", code=1)
    assert "unwell  exit 1" in lab.ctl("status", "job", code=3).out
    path = lab.run / "health.json"
    wait_for(lambda: json.loads(path.read_text())["tasks"]["job"]["health"] == "unwell")
    lab.hang_up()
    lab.end()
    shutil.rmtree(lab.run)
    lab.start()
    wait_for(lambda: health(lab)["job"] == "unwell")
    assert "the last run failed: exit 1" in lab.ctl("status", code=3).out
    lab.write(tasks.replace('"false"', '"true"'), settings)
    lab.ctl("reload")
    lab.ctl("run", "job", "--wait")
    lab.ctl("status", code=0)
