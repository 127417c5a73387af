"""Retries, `on` and `autostart` with real processes."""

import json
import signal

from lab import Lab, wait_for

RETRY = """
[task.job]
command = ["sh", "-c", "echo $SUPERVISOR_TRIGGER $SUPERVISOR_ATTEMPT $${{SUPERVISOR_RESUME:-0}} >> ran; {command}"]
directory = "{dir}"
kind = "triggered"
autostart = true
retry = {{ attempts = 3, backoff = {{ initial = "50ms" }} }}

[task.tell]
command = ["sh", "-c", "cat >> {dir}/told"]
on = ["job.failed", "job.succeeded"]
overlap = "queue"
"""


def lines(lab: Lab, name: str) -> list[str]:
    path = lab.dir / name
    return path.read_text().splitlines() if path.exists() else []


def test_three_attempts_and_the_record_of_the_last(lab: Lab) -> None:
    lab.start(RETRY.format(dir=lab.dir, command="exit 4"))
    wait_for(lambda: lines(lab, "told"))
    assert lines(lab, "ran") == ["start 1 0", "retry 2 0", "retry 3 0"]
    (record,) = map(json.loads, lines(lab, "told"))
    assert (record["task"], record["attempt"], record["code"], record["success"]) == ("job", 3, 4, False)
    assert record["firing"].startswith("job/start/")
    assert record["reason"] == "exit 4"


def test_a_run_that_a_shutdown_cut_off_runs_again_at_the_next_start(lab: Lab) -> None:
    """The next start has a firing of its own, too."""
    lab.start(RETRY.format(dir=lab.dir, command=f"test -e {lab.dir}/go || exec sleep 1000"))
    wait_for(lambda: lines(lab, "ran"))
    lab.hang_up()
    assert lab.end() == 0, lab.stderr
    (lab.dir / "go").touch()
    lab.start()
    wait_for(lambda: "start 1 1" in lines(lab, "ran"))
    assert lines(lab, "ran")[0] == "start 1 0"
    wait_for(lambda: lines(lab, "told"))
    assert all(json.loads(line)["success"] for line in lines(lab, "told"))


def test_after_a_kill_of_the_supervisor_nothing_is_doubled(lab: Lab) -> None:
    lab.start(RETRY.format(dir=lab.dir, command=f"test -e {lab.dir}/go || exec sleep 1000; exit 5"))
    wait_for(lambda: lines(lab, "ran"))
    lab.hang_up()
    lab.end(signal.SIGKILL)
    (lab.dir / "go").touch()
    lab.start()
    pid = wait_for(lambda: lab.tasks()["job"]["pid"])
    lab.ctl("signal", "TERM", "job")
    assert pid
    wait_for(lambda: lines(lab, "told"))
    assert lines(lab, "ran") == ["start 1 0", "retry 2 0", "retry 3 0"]
    (record,) = map(json.loads, lines(lab, "told"))
    assert record["attempt"] == 3


def test_supctl_retry_runs_it_again_with_the_same_input(lab: Lab) -> None:
    """The content of stdin was kept. A run that is unknown has exit code 4, an empty filter 2, no match 1."""
    command = f"echo $SUPERVISOR_TRIGGER $DAY $0 $(cat) >> {lab.dir}/ran; exit 3"
    lab.start(f"[task.job]\nkind = \"triggered\"\ncommand = ['sh', '-c', '{command}']\n")
    (lab.dir / "in").write_text("content")
    lab.ctl("run", "job", "--wait", "--env", "DAY=monday", "--stdin", str(lab.dir / "in"), "--", "word", code=1)
    run = lab.ctl("runs", "job", "--json").json["runs"][0]["run"]
    assert "runs again what ended with: exit 3" in lab.ctl("retry", run).out
    wait_for(lambda: len(lines(lab, "ran")) == 2)
    assert lines(lab, "ran") == ["manual monday word content", "retry monday word content"]
    wait_for(lambda: lab.ctl("runs", "job", "--json").json["runs"][-1]["trigger"] == "retry")
    lab.ctl("retry", "--failed", "--since", "1h", "job")
    wait_for(lambda: len(lines(lab, "ran")) == 3)
    assert lab.ctl("retry", "job:1/99@abc", code=None).code == 4
    assert lab.ctl("retry", "--since", "1h", code=None).code == 2
    assert lab.ctl("retry", code=None).code == 2
    wait_for(lambda: lab.ctl("runs", "job", "--json").json["runs"][-1]["success"] is False)
    assert lab.ctl("retry", "--failed", "--since", "2030-01-01", "job", code=None).code == 1
