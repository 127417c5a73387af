"""Schedules with a real @timekeeper: many tasks, far due times, a broken file, and what people see."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from lab import Lab, wait_for


def test_three_thousand_tasks_have_a_next_firing_each(lab: Lab) -> None:
    """The messages about them are larger than a socket takes at once."""
    tasks = "".join(
        f'[task.t{n:04}-{"x" * 40}]\ncommand = "true"\nschedule = "{n % 60} 3 1 1 *"\n' for n in range(3000)
    )
    lab.start(tasks)
    shown = wait_for(lambda: (found := lab.ctl("schedule", "--json").json["tasks"]) and found[-1]["next"] and found)
    assert len(shown) == 3000
    assert all(one["next"] and one["words"] for one in shown)
    assert "Traceback" not in lab.stderr


def test_a_far_due_time_does_not_end_the_helper(lab: Lab) -> None:
    """poll(2) takes no more than 24 days."""
    lab.start('[task.far]\ncommand = "true"\nschedule = "@yearly"\n[task.every]\ncommand = "true"\nevery = "300ms"\n')
    pid = wait_for(lambda: lab.helper("timekeeper"))
    wait_for(lambda: lab.ctl("schedule", "every", "--json").json["tasks"][0]["ran"] >= 3)
    assert lab.helper("timekeeper") == pid
    assert lab.ctl("schedule", "far").out.splitlines()[1].split()[0] == "far"


def test_a_broken_file_is_set_aside_and_the_schedule_goes_on(lab: Lab) -> None:
    lab.start('[task.tick]\ncommand = "true"\nschedule = "* * * * * *"\n')
    lab.until("fired", task="tick")
    lab.hang_up()
    lab.end()
    path = lab.dir / "state" / "firings.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    lab.start()
    lab.until("fired", task="tick")
    assert "set aside as" in lab.stderr
    assert len(list(path.parent.glob("firings.db.corrupt*"))) >= 1


def test_a_newer_file_is_left_alone_and_status_says_why_nothing_fires(lab: Lab) -> None:
    (lab.dir / "state").mkdir()
    with sqlite3.connect(lab.dir / "state" / "firings.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    lab.start('[task.tick]\ncommand = "true"\nschedule = "* * * * * *"\n')
    shown = wait_for(lambda: "version 99" in (out := lab.ctl("status").out) and out)
    assert "no task fires" in shown


def test_run_starts_one_run_of_a_task_with_several(lab: Lab) -> None:
    lab.start('[task.job]\ncommand = "sleep 1000"\nkind = "triggered"\nmax_parallel = 3\n')
    lab.ctl("run", "job")
    assert list(lab.tasks()) == ["job:1"]
    lab.ctl("run", "job")
    assert list(lab.tasks()) == ["job:1", "job:2"]


def test_a_schedule_fires_on_after_the_helper_was_killed(lab: Lab) -> None:
    lab.start('[task.tick]\ncommand = "true"\nschedule = "* * * * * *"\n')
    lab.until("fired", task="tick")
    os.kill(wait_for(lambda: lab.helper("timekeeper")), signal.SIGKILL)
    due = [lab.until("fired", task="tick")["due"] for _ in range(3)]
    assert sorted(due) == due


def test_what_is_shown_of_a_scheduled_task(lab: Lab) -> None:
    lab.start('[task.backup]\ncommand = "true"\nschedule = "17 3 * * *"\ntimezone = "Europe/Berlin"\n')
    wait_for(lambda: "Europe/Berlin" in lab.ctl("schedule").out)
    assert "at 03:17 every day, Europe/Berlin" in lab.ctl("schedule").out
    assert "fires next at " in lab.ctl("status").out
    assert "Fires next at " in lab.ctl("why", "backup").out
    assert "at 03:17 every day" in lab.ctl("show", "backup").out
    assert lab.ctl("schedule", "nothing", code=None).code == 4


TWO = """[task.backup]
command = "true"
schedule = "30 2 * * *"
timezone = "Europe/Berlin"
[task.web]
command = "sleep 1000"
"""


def test_the_next_firings_in_order_and_at_a_change_of_the_clock(lab: Lab) -> None:
    lab.start(TWO + '[task.poll]\ncommand = "sleep 1000"\nevery = "1h"\n')
    wait_for(lambda: lab.ctl("schedule", "backup", "--json").json["tasks"][0]["words"])
    found = lab.ctl("schedule", "--from", "2027-03-27", "-n", "3", "--json").json
    assert set(found) == {"firings", "tasks"}
    assert [(one["task"], one["due"], one["local"], one["trigger"]) for one in found["firings"]] == [
        ("backup", "2027-03-27T01:30:00.000Z", "2027-03-27T02:30:00+01:00", "schedule"),
        ("backup", "2027-03-28T01:00:00.000Z", "2027-03-28T03:00:00+02:00", "schedule"),
        ("backup", "2027-03-29T00:30:00.000Z", "2027-03-29T02:30:00+02:00", "schedule"),
    ]
    assert found["firings"][0]["id"] == f"backup/schedule/{second('2027-03-27T01:30:00Z')}"
    backup, poll = found["tasks"]
    assert {key: backup[key] for key in ("name", "words", "last", "missed", "skipped")} == {
        "name": "backup", "words": "at 02:30 every day, Europe/Berlin", "last": None, "missed": 0, "skipped": 0
    }  # fmt: skip
    assert poll["words"] == "1h after each run (at most 24 times a day)"
    shown = lab.ctl("schedule", "-n", "2").out.splitlines()
    assert shown[0].split() == ["DUE", "LOCAL", "TASK", "TRIGGER"]
    assert len(shown) == 3
    assert len(lab.ctl("schedule", "--json").json["firings"]) == 10
    assert lab.ctl("schedule", "--from", "2h", "-n", "1").out.count("\n") == 2
    for bad in ("yesterday", "2027-13-01", "", "-5m", "99999-01-01", "25:00"):
        assert "is not a time" in lab.ctl("schedule", f"--from={bad}", code=2).err
    assert "'0'" in lab.ctl("schedule", "-n", "0", code=2).err
    assert "web is continuous: it has no schedule" in lab.ctl("schedule", "web", code=1).err


def test_a_hold_outlives_a_kill_and_a_restart(lab: Lab) -> None:
    lab.start('[task.tick]\ncommand = "true"\nschedule = "* * * * * *"\n')
    lab.until("fired", task="tick")
    out = lab.ctl("schedule", "--hold", "tick", "--reason", "moving", "--for", "1h").out
    assert "held: the schedules of tick until" in out
    held = lab.until("hold")
    assert (held["scope"], held["by"], held["reason"]) == ("tick", "root", "moving")
    assert lab.until("audit", verb="schedule", exit=0)["arguments"].startswith("schedule tick hold reason=moving")
    lab.hang_up()
    lab.end(signal.SIGKILL)
    lab.start()
    lab.until("missed", task="tick")
    lab.hang_up()
    assert lab.end() == 0
    lab.start()
    assert "held by root" in lab.until("missed", task="tick")["why"]
    assert [one["scope"] for one in lab.ctl("status", "--json").json["supervisor"]["holds"]] == ["tick"]
    assert "held by root" in lab.ctl("schedule", "tick", "--json").json["tasks"][0]["held"]
    assert "is held by root" in lab.ctl("show", "tick").out
    assert not [event for event in lab.events if event["event"] == "fired"]
    lab.ctl("run", "tick", "--wait")
    lab.ctl("schedule", "--release", "tick")
    fired = lab.until("fired", task="tick", trigger="schedule")
    assert fired["missed"] >= 1
    assert lab.ctl("status", "--json").json["supervisor"]["holds"] == []


def test_skipped_firings_and_due_times_are_in_the_history_over_kills(lab: Lab) -> None:
    """Each second is in one run or in one row of a skip, also after the supervisor was killed."""
    lab.start('[task.slow]\ncommand = "sleep 2.4"\nschedule = "* * * * * *"\n')
    for _ in range(2):
        lab.until("fired", task="slow")
        lab.until("skipped", task="slow")
        lab.hang_up()
        lab.end(signal.SIGKILL)
        lab.start()
    lab.until("fired", task="slow")  # also for what was missed: nothing of that waits any more
    lab.until("skipped", task="slow")
    lab.hang_up()
    assert lab.end() == 0
    skipped = lab.ctl("runs", "slow", "--skipped", "-n", "1000", "--json").json["runs"]
    ran = lab.ctl("runs", "slow", "-n", "1000", "--json").json["runs"]
    assert all(one["run"] is None and one["skipped"] for one in skipped)
    assert all(one["run"] and one["skipped"] is None and one["lateness_s"] >= 0 for one in ran)
    runs = {one["due"] for one in ran}
    assert len(runs) == len(ran) >= 2, lab.stderr
    ends = [*(second(one["due"]) for one in (*ran, *skipped)), *(second(one["last_due"]) for one in skipped)]
    with sqlite3.connect(f"file:{lab.dir}/state/firings.db?mode=ro", uri=True) as store:
        (waiting,) = store.execute("SELECT count(*) FROM firings WHERE due <= ?", (max(ends),)).fetchone()
    store.close()
    alone = sum(one["missed"] for one in skipped if "was still on" in one["skipped"])  # no later run is for these
    known = sum(one["missed"] or 1 for one in ran) + alone + waiting
    assert known == max(ends) - min(ends) + 1, f"each due time once: {ran}, {skipped}"
    shown = lab.ctl("runs", "slow").out.splitlines()
    assert shown[0].split()[:4] == ["RUN", "TRIGGER", "DUE", "LATE"]
    assert "was still on" in lab.ctl("runs", "--skipped").out
    assert lab.ctl("runs", "other", "--skipped").out == "no skipped firings\n"
    assert "due" in lab.ctl("show", ran[0]["run"]).out


def second(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp())


def test_a_task_that_may_write_no_file_fires(lab: Lab) -> None:
    """The limit is in force before the child notes that it begins."""
    lab.start('[task.tick]\ncommand = "true"\nevery = "100ms"\nlimits = { file_size = 1 }\n')
    last = wait_for(lambda: lab.tasks()["tick"]["last_exit"])
    assert last["reason"] == "exit 0"


def test_check_says_the_schedules_in_words_and_warns_of_those_that_fire_too_often(lab: Lab) -> None:
    lab.write(
        TWO + '[task.often]\ncommand = "true"\nschedule = "* */15 * * * *"\ntimezone = "UTC"\n'
        '[task.hour]\ncommand = "true"\nschedule = "* * 3 * * *"\ntimezone = "UTC"\n'
        '[task.all]\ncommand = "true"\nschedule = ["* * * * * *", "*/5 * * * *"]\ntimezone = "UTC"\n'
        '[task.poll]\ncommand = "true"\nevery = "1h"\n'
    )
    found = lab.ctl("check", str(lab.path))
    lines = found.out.splitlines()
    assert lines[1] == "backup: at 02:30 every day, Europe/Berlin"
    assert [line.partition(":")[0] for line in lines[1:]] == ["backup", "often", "hour", "all", "poll"]
    assert "(5760 times a day)" in lines[2]
    assert "(3600 times a day)" in lines[3]
    assert "(86400 times a day)" in lines[4]
    assert "(288 times a day)" in lines[4]
    assert lines[5] == "poll: 1h after each run (at most 24 times a day)"
    assert '"* */15 * * * *" fires each second of such a minute; "0 */15 * * * *" fires once' in found.err
    assert '"* * 3 * * *" fires each second of such an hour; "0 0 3 * * *" fires once' in found.err
    assert found.err.count("fires each") == 2
    assert lab.ctl("check", str(lab.path), "--json").json["schedules"]["poll"].startswith("1h after each run")


def test_status_has_a_row_for_each_run_and_one_with_the_name_for_none(lab: Lab) -> None:
    lab.start(
        '[task.job]\ncommand = "sleep 1000"\nschedule = "0 0 1 1 *"\nmax_parallel = 3\n'
        '[task.wait]\ncommand = "sleep 1000"\nschedule = "* * * * * *"\noverlap = "queue"\n'
        '[task.web]\ncommand = "sleep 1000"\n'
    )
    lab.up("web")
    wait_for(lambda: lab.tasks()["job"]["next"])
    job = lab.tasks()["job"]
    assert (job["name"], job["state"], job["next"]["what"], job["waiting"]) == ("job", "stopped", "run (schedule)", 0)
    assert lab.tasks()["web"]["next"] is None
    assert {one["progress"] for one in lab.tasks().values()} == {None}
    lab.ctl("run", "job")
    lab.ctl("run", "job")
    found = [name for name in lab.tasks() if name.startswith("job")]
    assert found == ["job:1", "job:2"]
    wait_for(lambda: any(one["waiting"] >= 2 for one in lab.tasks().values()), "firings of `wait` are queued")
    assert "job" in lab.ctl("status").out
    lab.ctl("schedule", "--hold", "job")
    lab.ctl("stop", "job")
    assert (lab.tasks()["job"]["state"], lab.tasks()["job"]["next"]) == ("stopped", None)


# -- the state directory cannot be written ----------------------------------------------------------------------------

EACH_SECOND = """
[task.tick]
command = ["sh", "-c", "echo $SUPERVISOR_DUE >> {dir}/ran"]
schedule = "* * * * * *"
overlap = "allow"
catch_up = "all"
"""


def seconds(lab: Lab) -> list[int]:
    """The due times of all runs."""
    path = lab.dir / "ran"
    return [second(line) for line in path.read_text().split()] if path.exists() else []


def helpers(lab: Lab) -> list[str]:
    return lab.ask("status")["answer"]["supervisor"]["helpers"]


@pytest.fixture
def disk(lab: Lab) -> Iterator[Path]:
    """A small file system for the state directory."""
    path = lab.dir / "state"
    path.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "lab", path], check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def refuse(disk: Path, trouble: str) -> None:
    if trouble == "full":
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def accept(disk: Path, trouble: str) -> None:
    if trouble == "full":
        (disk / "filler").unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def kill_timekeeper(lab: Lab) -> None:
    os.kill(wait_for(lambda: lab.helper("timekeeper")), signal.SIGKILL)


def fires_on(lab: Lab, times: int = 2) -> None:
    more = len(seconds(lab)) + times
    wait_for(lambda: len(seconds(lab)) >= more, "it fires on")


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_schedules_go_on_while_the_state_directory_cannot_be_written(lab: Lab, disk: Path, trouble: str) -> None:
    """Over a death of the supervisor and of @timekeeper; then the firings are on the disk again."""
    lab.start(EACH_SECOND.replace("{dir}", str(lab.dir)))
    lab.until("fired", task="tick")
    if trouble == "read-only":  # possible only while no file is open for writing
        lab.hang_up()
        assert lab.end() == 0
        refuse(disk, trouble)
        lab.start()
    else:
        refuse(disk, trouble)
    said = wait_for(lambda: [one for one in helpers(lab) if "firings are kept in memory" in one])
    assert "a loss of power may double their runs" in said[0]
    assert f"{disk}/firings.db cannot be written" in lab.ctl("status").out
    for words in (("--in", "1h"), ("--at", "23:59"), ("--id", "x")):
        refused = lab.ctl("run", "tick", *words, code=1).err
        assert f"--id, --in and --at must be kept on disk, but {disk}/firings.db cannot be written" in refused
    kill_timekeeper(lab)
    lab.hang_up()
    lab.end(signal.SIGKILL)
    lab.start()
    fires_on(lab, 3)
    accept(disk, trouble)
    kill_timekeeper(lab)  # the next one tries at once
    wait_for(lambda: not (lab.run / "firings-in-memory.db").exists(), "they are on the disk")
    fires_on(lab)
    wait_for(lambda: helpers(lab) == [], "the history is written again, too")
    lab.hang_up()
    assert lab.end() == 0
    due = seconds(lab)
    assert len(due) == len(set(due)), "doubled"
    assert set(due) == set(range(min(due), max(due) + 1)), "lost"


def test_status_does_not_blame_a_timekeeper_that_works_again(lab: Lab) -> None:
    lab.start(EACH_SECOND.replace("{dir}", str(lab.dir)))
    lab.until("fired", task="tick")
    pid = wait_for(lambda: lab.helper("timekeeper"))
    os.kill(pid, signal.SIGKILL)
    os.kill(wait_for(lambda: (new := lab.helper("timekeeper")) != pid and new), signal.SIGKILL)
    fires_on(lab, 3)  # after fewer, the answer of the one that was killed may count
    assert helpers(lab) == [], "it was killed twice, and works"


def test_a_file_of_firings_that_another_process_uses(lab: Lab) -> None:
    (lab.dir / "state").mkdir()
    script = "import sys; from supervisor.store.firings import *; "
    script += "store = open_to_write(sys.argv[1], Firings)[0]; print(flush=True); input()"
    command = [sys.executable, "-c", script, str(lab.dir / "state" / "firings.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        lab.start(EACH_SECOND.replace("{dir}", str(lab.dir)))
        said = wait_for(lambda: [one for one in helpers(lab) if "another process uses it" in one])
        assert f"(pid {other.pid})" in said[0]
        assert seconds(lab) == []
        other.communicate(b"\n")
    lab.until("fired", task="tick")
