"""After kill -9 of the supervisor: what the next one takes over, and which records it does not trust."""

import os
import re
import signal
import subprocess
from contextlib import suppress

import pytest
from lab import SUPERVISOR, Lab, alive, wait_for

from supervisor.host.pidfd import kernel_tells


def test_kill_9_and_the_next_one_takes_over(lab: Lab) -> None:
    tasks = '[task.a]\ncommand = "sleep 1000"\nreplicas = 3\n[task.b]\ncommand = "sleep 1000"\nrequires = ["a"]\n'
    tasks += '[task.prepare]\nkind = "startup"\ncommand = "sh -c \'echo x >> prepared\'"\n'
    lab.start(tasks + '[task.down]\ncommand = "sleep 1000"')
    names = ("a:1", "a:2", "a:3", "b")
    before = lab.up(*names)
    lab.ctl("stop", "down")
    for _ in range(3):
        lab.end(signal.SIGKILL)
        assert all(map(alive, before.values()))
        lab.start()
        now = lab.tasks()
        assert {name: now[name]["pid"] for name in names} == before
        assert now["down"]["state"] == "stopped"
        assert {now[name]["restarts"] for name in names} == {0}
    assert sorted(lab.processes()) == sorted(before.values())
    assert (lab.dir / "prepared").read_text() == "x\n"
    adopted = [event["name"] for event in lab.events if event["event"] == "adopted"] or lab.until("adopted")
    assert adopted
    os.kill(before["b"], signal.SIGKILL)
    lab.until(name="b", to="running")
    assert len(lab.processes()) == 4


def test_a_task_that_ended_without_a_supervisor_is_recorded_and_restarted(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\n[task.never]\ncommand = "sleep 1000"\nrestart = "never"')
    before = lab.up("a", "never")
    lab.end(signal.SIGKILL)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: not alive(pid))
    lab.start()
    lab.up("a")
    now = lab.tasks()
    assert now["a"]["pid"] != before["a"]
    assert now["a"]["last_exit"]["reason"] == (
        "killed by SIGKILL" if kernel_tells() else "ended unseen, exit status unknown"
    )
    assert now["never"]["state"] == "failed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_without_room_for_the_journal_nothing_is_started(lab: Lab) -> None:
    """A run that cannot be recorded is not started; running tasks go on. All works again as soon as there is room."""
    lab.run.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", str(lab.run)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount")
    try:
        crashes = """sh -c 'test -e fixed && exec sleep 1000; exit 1'"""
        lab.start(f'[task.a]\ncommand = "{crashes}"\n[task.b]\ncommand = "sleep 1000"')
        before = lab.up("b")
        with suppress(OSError), (lab.run / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 1024):
                pass
        wait_for(lambda: "cannot write the journal: No space left" in str(lab.tasks()["a"]["why"]))
        assert lab.processes() == [before["b"]]
        (lab.run / "filler").unlink()
        (lab.dir / "fixed").touch()
        lab.until(name="a", to="running")
        lab.ctl("start", "a")
        assert lab.tasks()["b"]["pid"] == before["b"]
        assert "the journal can be written again" in lab.stderr
    finally:
        lab.hang_up()
        lab.end()
        subprocess.run(["umount", "-l", str(lab.run)], check=False)


def test_a_stop_under_way_goes_on_after_kill_9(lab: Lab) -> None:
    lab.start(
        """
        [task.stubborn]
        command = ["sh", "-c", "trap '' TERM; echo up > mark; while :; do sleep 0.05; done"]
        stop = { grace = "1s" }
        """
    )
    pid = lab.up("stubborn")["stubborn"]
    wait_for((lab.dir / "mark").exists)
    lab.ctl("stop", "stubborn", "--no-wait")
    lab.until(name="stubborn", to="stopping")
    lab.end(signal.SIGKILL)
    assert alive(pid)
    lab.start()
    wait_for(lambda: lab.tasks()["stubborn"]["state"] == "stopped")
    assert not alive(pid)
    assert lab.processes() == []


def test_what_a_dead_supervisor_left_is_swept_away(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\n[task.b]\ncommand = ["sh", "-c", "setsid sleep 1000 & sleep 1000"]')
    before = lab.up("a", "b")
    sweep = [*SUPERVISOR, "-c", str(lab.path), "--sweep"]

    def swept(result: str) -> subprocess.CompletedProcess[str]:
        env = {**lab.env, "SERVICE_RESULT": result}
        return subprocess.run(sweep, env=env, capture_output=True, text=True, timeout=60, check=False)

    refused = swept("success")
    assert refused.returncode == 1
    assert "another supervisor" in refused.stderr
    lab.end(signal.SIGKILL)
    crashed = swept("signal")
    assert crashed.returncode == 0
    assert "the tasks keep running for the next supervisor" in crashed.stderr
    assert all(map(alive, before.values()))
    meant = swept("timeout")
    assert meant.returncode == 0, meant.stderr
    assert lab.processes() == []
    again = swept("timeout")
    assert (again.returncode, "killed" in again.stderr) == (0, False), "nothing is left to do"


@pytest.mark.parametrize("cgroups", ["yes", "no"])
def test_a_lost_journal_doubles_nothing(lab: Lab, cgroups: str) -> None:
    note = lab.dir / "grandchild"
    hidden = f"echo $$ > {note}.new; mv {note}.new {note}; unset SUPERVISOR_RUN SUPERVISOR_SOCKET; exec sleep 1000"
    lab.start(
        f'[task.a]\ncommand = ["sh", "-c", "setsid sh -c \'{hidden}\' & exec sleep 1000"]\n',
        env={"SUPERVISOR_CGROUPS": cgroups},
    )
    leader = lab.up("a")["a"]
    wait_for(note.exists)
    grandchild = int(note.read_text())
    lab.end(signal.SIGKILL)
    (lab.run / "journal").unlink()
    # Looks like one of it, as a job of at(1) does, but has inherited nothing from it.
    copy = {"SUPERVISOR_SOCKET": str(lab.socket), "SUPERVISOR_RUN": "a:1/1@other"}
    with subprocess.Popen(["/bin/sleep", "1000"], env=copy) as bystander:
        lab.start(env={"SUPERVISOR_CGROUPS": cgroups})
        assert lab.up("a")["a"] != leader
        assert bystander.poll() is None
        bystander.kill()
    assert not alive(leader)
    assert not alive(grandchild)
    assert re.search(rf"run a:1/1@.* has no record: killed .*sleep \(pid {leader}\)", lab.stderr)


@pytest.mark.parametrize("cgroups", ["yes", "no"])
@pytest.mark.parametrize(("old", "new"), [('"restarts":0', '"restarts":"x"'), ('"id":"a:1/1@', '"id":"b:1/1@')])
def test_a_run_whose_record_is_not_trusted_is_not_doubled(lab: Lab, cgroups: str, old: str, new: str) -> None:
    hidden = "" if "id" in old else "unset SUPERVISOR_RUN SUPERVISOR_SOCKET; "
    command = f'command = ["sh", "-c", "{hidden}exec sleep 1000"]'
    lab.start(f"[task.a]\n{command}\n[task.calm]\n{command}\n", env={"SUPERVISOR_CGROUPS": cgroups})
    before = lab.up("a", "calm")
    lab.end(signal.SIGKILL)
    journal = lab.run / "journal"
    lines = journal.read_text().splitlines(keepends=True)
    changed = [line.replace(old, new) if '"instance":"a:1"' in line else line for line in lines]
    assert changed != lines
    journal.write_text("".join(changed))
    lab.start(env={"SUPERVISOR_CGROUPS": cgroups})
    assert lab.up("a")["a"] != before["a"]
    assert lab.tasks()["calm"]["pid"] == before["calm"]
    assert not alive(before["a"])
    assert re.search(rf"run a:1/1@.*: killed .*sleep \(pid {before['a']}\)", lab.stderr)


@pytest.mark.parametrize("cgroups", ["yes", "no"])
def test_another_process_with_the_pid_of_a_run_is_left_alone(lab: Lab, cgroups: str) -> None:
    """The task ended while no supervisor ran, and another process has its pid now."""
    lab.start('[task.a]\ncommand = "sleep 1000"\n', env={"SUPERVISOR_CGROUPS": cgroups})
    before = lab.up("a")["a"]
    lab.end(signal.SIGKILL)
    os.kill(before, signal.SIGKILL)
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        journal = lab.run / "journal"
        journal.write_text(journal.read_text().replace(f'"pid":{before}', f'"pid":{stranger.pid}'))
        lab.start(env={"SUPERVISOR_CGROUPS": cgroups})
        ended = lab.until(name="a", to="backoff")
        assert (ended["pid"], ended["exit"]["code"], ended["exit"]["signal"]) == (stranger.pid, None, None)
        assert "unknown" in ended["exit"]["reason"]
        lab.up("a")
        lab.ctl("stop", "a")
        assert stranger.poll() is None
        stranger.kill()


def test_a_config_that_changed_without_a_supervisor_restarts_what_changed(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\n[task.gone]\ncommand = "sleep 1000"')
    before = lab.up("a", "gone")
    lab.end(signal.SIGKILL)
    lab.write('[task.a]\ncommand = "sleep 1000"\n[task.new]\ncommand = "sleep 1000"')
    lab.start()
    lab.up("new")
    wait_for(lambda: not alive(before["gone"]))
    wait_for(lambda: set(lab.tasks()) == {"a", "new"})
    assert lab.tasks()["a"]["pid"] == before["a"]


def test_a_torn_journal_is_reported_and_not_trusted(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\n[task.b]\ncommand = "sleep 1000"')
    before = lab.up("a", "b")
    lab.end(signal.SIGKILL)
    with (lab.run / "journal").open("ab") as journal:
        journal.write(b'{"instance": "a:1", "stat')
    lab.start()
    assert "incomplete or unknown" in lab.stderr
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before


@pytest.mark.parametrize("how", ["a key that is unknown", "no TOML at all"])
def test_a_broken_config_after_kill_9_leaves_no_task_alone(lab: Lab, how: str) -> None:
    """The next supervisor uses the last good config for the living tasks, and reports the errors."""
    tasks = '[task.a]\ncommand = "sleep 1000"\n[task.b]\ncommand = "sleep 1000"\n'
    lab.start(tasks)
    before = lab.up("a", "b")
    lab.end(signal.SIGKILL)
    lab.write(tasks + ("[task.a]\nflavour = 7\n[" if how == "no TOML at all" else "flavour = 7\n"))
    lab.start()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before
    assert "the config has errors" in lab.ctl("status").out
    assert lab.path.name in lab.ask("status")["answer"]["supervisor"]["config"]["error"]
    lab.ctl("reload", code=1)
    lab.write(tasks)
    lab.ctl("reload")
    assert lab.ask("status")["answer"]["supervisor"]["config"]["error"] is None
    lab.ctl("stop", "--all")
    lab.end(signal.SIGKILL)
    lab.write("[")
    lab.start(wait=False)
    assert lab.expect_exit() == 78, "nothing is wanted: as ever"
