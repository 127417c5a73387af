"""A give-up and a storm of failures with real processes: the freeze on the disk, the exit code, the next start."""

import json
import os
from pathlib import Path

from lab import Lab

FREEZING = """
[task.web]
command = ["sh", "-c", "exit 7"]
give_up = { failures = 3, within = "1m" }
on_give_up = "freeze"
[task.mail]
command = "sleep 1000"
"""


def test_a_freeze_by_give_up_outlives_the_supervisor_and_its_journal(lab: Lab) -> None:
    lab.start(FREEZING)
    freeze = lab.until("freeze")
    assert (freeze["source"], freeze["by"]) == ("on_give_up", "the supervisor")
    assert freeze["reason"] == "on_give_up of web: gave up: 3 failures within 1m, the last: exit 7"
    assert "gave up: 3 failures within 1m, the last: exit 7" in lab.ctl("status", code=3).out
    lab.until(name="web", to="failed")
    lab.ctl("stop", "mail")
    assert lab.ctl("start", "mail", code=3).out.startswith("mail: held: frozen by the supervisor since")
    kept = json.loads((lab.dir / "state" / "freezes.json").read_text())["freezes"]
    assert [one["source"] for one in kept] == ["on_give_up"]
    assert lab.end() == 0
    lab.start()
    assert "on_give_up of web" in lab.tasks()["mail"]["why"]
    assert "thawed: everything" in lab.ctl("thaw").out


def test_a_shutdown_by_give_up_ends_with_69_and_begins_afresh(lab: Lab) -> None:
    gate = lab.dir / "gate"
    lab.start(f"""
[task.web]
command = ["sh", "-c", "test -e {gate} && exec sleep 1000; exit 7"]
give_up = {{ failures = 2, within = "1m" }}
on_give_up = "shutdown"
[task.mail]
command = "sleep 1000"
""", wait=False)  # fmt: skip
    assert lab.expect_exit() == 69
    assert "shutting down: on_give_up of web: gave up: 2 failures within 1m, the last: exit 7" in lab.stderr
    assert not lab.processes()
    Path(gate).touch()
    lab.start()
    lab.up("web", "mail")


def test_a_storm_freezes_the_fleet(lab: Lab) -> None:
    lab.start(
        '[defaults]\nlog = { to = "none" }\nbackoff = { initial = 0 }\n[task.web]\ncommand = "false"\nreplicas = 3\n'
        '[task.db]\ncommand = "sleep 1000"',
        'auto_freeze = { failures = 20, within = "1m" }',
    )
    assert lab.until("freeze")["reason"] == "auto_freeze: 20 failures within 1m: web 20"
    lab.up("db")
    assert all(task["state"] != "backoff" for task in lab.tasks().values())
    assert lab.ctl("status", code=3).out.splitlines()[1].startswith("frozen: everything by the supervisor since")


def test_an_act_is_audited_with_the_peer_credentials(lab: Lab) -> None:
    lab.start('[task.web]\ncommand = "sleep 1000"')
    lab.up("web")
    lab.ctl("stop", "web")
    event = lab.until("audit", verb="stop", outcome="done")
    assert (event["uid"], event["exit"]) == (os.geteuid(), 0)
    assert event["pid"] > 1
    assert event["program"].startswith("python")
    line = f'(uid {os.geteuid()}, pid {event["pid"]}, "{event["program"]}"): stop web wait: done'
    assert line in lab.stderr
