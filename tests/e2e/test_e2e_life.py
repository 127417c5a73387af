"""Lives of tasks: crash, back-off, give-up, dependencies, stop order, grace, groups; and the end of the supervisor."""

import os
import signal
from pathlib import Path

import pytest
from lab import Lab, alive, wait_for

STUBBORN = """sh -c "trap '' TERM; echo up > {mark}; while :; do sleep 0.1; done" """


def states(lab: Lab, name: str) -> list[str]:
    """The states that an instance has been in, in order."""
    return [event["to"] for event in lab.events if event.get("name") == name and event["event"] == "state"]


def test_crash_back_off_give_up_start(lab: Lab) -> None:
    lab.start(
        """
        [task.crash]
        command = "sh -c 'test -e fixed || exit 3; exec sleep 1000'"
        give_up = { failures = 3, within = "1m" }
        """
    )
    lab.until(name="crash", to="failed")
    assert states(lab, "crash").count("backoff") == 2
    assert states(lab, "crash").count("starting") == 3
    shown = lab.tasks()["crash"]
    assert shown["failures"] == 3
    assert shown["restarts"] == 2
    assert shown["last_exit"]["code"] == 3
    assert "gave up: 3 failures within 1m, the last: exit 3" in lab.ctl("why", "crash").out
    assert "failed" in lab.ctl("status", code=3).out
    (lab.dir / "fixed").touch()
    assert "crash: running (pid" in lab.ctl("start", "crash").out
    assert lab.tasks()["crash"]["failures"] == 0
    assert lab.ctl("status").code == 0


def test_a_long_back_off_is_shown_with_its_end_and_start_cuts_it_short(lab: Lab) -> None:
    lab.start('[task.slow]\ncommand = "sh -c \'exit 1\'"\nbackoff = { initial = "1m" }')
    lab.until(name="slow", to="backoff")
    assert lab.tasks()["slow"]["next"]["what"] == "restart"
    assert "restart at" in lab.ctl("status", code=3).out
    assert "It is restarted at" in lab.ctl("why", "slow").out
    lab.ctl("start", "slow", "--no-wait")
    assert lab.until(name="slow", to="starting")["trigger"] == "start"


def test_requires_goes_down_and_comes_back_with_what_it_requires(lab: Lab) -> None:
    lab.start(
        """
        [task.db]
        command = "sleep 1000"
        [task.app]
        command = "sleep 1000"
        requires = ["db"]
        [task.after]
        command = "sleep 1000"
        after = ["db"]
        """
    )
    first = lab.up("db", "app", "after")
    os.kill(first["db"], signal.SIGKILL)
    lab.until(name="app", to="stopping")
    lab.until(name="app", to="running")
    now = lab.tasks()
    assert now["app"]["pid"] != first["app"]
    assert now["after"]["pid"] == first["after"]
    answer = lab.ctl("stop", "db", "--json").json
    assert [one["outcome"] for one in answer["instances"]] == ["stopped"]
    now = lab.tasks()
    assert now["app"]["state"] == "held"
    assert "requires db, which" in now["app"]["why"]
    assert lab.ctl("start", "app", code=3).out.startswith("app: held: requires db")
    lab.ctl("start", "db")
    lab.until(name="app", to="running")


def test_dependents_stop_first_and_start_last(lab: Lab) -> None:
    lab.start(
        """
        [task.c]
        command = "sleep 1000"
        requires = ["b"]
        [task.b]
        command = "sleep 1000"
        after = ["a"]
        [task.a]
        command = "sleep 1000"
        """
    )
    lab.up("a", "b", "c")
    ups = [event["name"] for event in lab.events if event.get("to") == "running"]
    assert ups == ["a", "b", "c"]
    lab.ctl("stop", "--all")
    lab.until(name="a", to="stopped")
    downs = [event["name"] for event in lab.events if event.get("to") == "stopped"]
    assert downs == ["c", "b", "a"]


def test_sigkill_comes_after_the_grace_and_not_before(lab: Lab) -> None:
    lab.start(
        f"""
        [task.stubborn]
        command = '''{STUBBORN.format(mark="mark")}'''
        stop = {{ grace = "300ms" }}
        """
    )
    lab.up("stubborn")
    wait_for((lab.dir / "mark").exists)
    assert "killed by SIGKILL" in lab.ctl("stop", "stubborn").out
    stopping = lab.until(name="stubborn", to="stopping")
    stopped = lab.until(name="stubborn", to="stopped")
    assert stopped["exit"]["signal"] == "SIGKILL"
    assert stopped["at"] > stopping["at"]
    seconds = float(stopped["at"][17:-1]) - float(stopping["at"][17:-1])
    assert seconds % 60 >= 0.299


@pytest.mark.parametrize("ends", ["stop", "crash"])
def test_grandchildren_in_the_group_do_not_survive(lab: Lab, ends: str) -> None:
    lab.start(
        """
        [task.family]
        command = [
            "sh", "-c", "sleep 1000 & echo $! > child; (trap '' TERM; sleep 1000 & echo $! > deaf; wait; wait) & wait"
        ]
        stop = { grace = "300ms" }
        """
    )
    leader = lab.up("family")["family"]
    for name in ("child", "deaf"):
        wait_for(lambda name=name: (lab.dir / name).exists() and (lab.dir / name).read_text().strip())
    pids = [int((lab.dir / name).read_text()) for name in ("child", "deaf")]
    assert all(map(alive, pids))
    if ends == "stop":
        lab.ctl("stop", "family")
        assert not any(map(alive, [leader, *pids]))
    else:
        os.kill(leader, signal.SIGKILL)
        lab.until(name="family", to="stopping")
        lab.until(name="family", to="backoff")
        again = lab.until(name="family", to="running")
        assert again["pid"] != leader
        assert not any(map(alive, pids))


def test_an_orphan_in_the_group_of_a_dead_leader_is_waited_for(lab: Lab) -> None:
    """A restart never starts before the old run is gone."""
    lab.start(
        """
        [task.messy]
        command = "sh -c 'trap \\"\\" TERM; sleep 0.4 & exit 1'"
        backoff = { initial = "1m" }
        """
    )
    event = lab.until(name="messy", to="stopping")
    assert "other processes of the run are alive" in event["why"]
    assert lab.until(name="messy", to="backoff")["exit"]["code"] == 1


def test_startup_tasks_come_first_and_ready_after_them(lab: Lab) -> None:
    os.mkfifo(lab.dir / "gate")
    lab.start(
        """
        [task.web]
        command = "sleep 1000"
        [task.prepare]
        kind = "startup"
        command = "cat gate"
        """
    )
    lab.until(name="prepare", to="running")
    assert lab.ask("status")["answer"]["supervisor"]["state"] == "starting"
    assert "start-up task prepare" in lab.tasks()["web"]["why"]
    (lab.dir / "gate").write_text("go")
    lab.until(name="prepare", to="stopped")
    lab.until("ready")
    lab.up("web")
    assert lab.ask("status")["answer"]["supervisor"]["state"] == "running"
    assert lab.ctl("status").code == 0


@pytest.mark.parametrize("restart", ["always", "on-failure", "never"])
@pytest.mark.parametrize("code", [0, 7])
def test_restart_policies(lab: Lab, restart: str, code: int) -> None:
    lab.start(f'[task.one]\ncommand = "sh -c \'exit {code}\'"\nrestart = "{restart}"\nbackoff = {{ initial = "1m" }}')
    again = restart == "always" or (restart == "on-failure" and code)
    expected = "backoff" if again else "failed" if code else "stopped"
    event = lab.until(name="one", to=expected)
    assert event["exit"]["code"] == code
    assert lab.ctl("status", code=None).code == (0 if expected == "stopped" else 3)


def test_signals_that_count_as_success(lab: Lab) -> None:
    lab.start(
        """
        [task.one]
        command = "sh -c 'kill -USR1 $$'"
        success_exit = [0, "SIGUSR1"]
        restart = "on-failure"
        """
    )
    event = lab.until(name="one", to="stopped")
    assert event["exit"]["signal"] == "SIGUSR1"
    assert event["exit"]["code"] is None


# -- the end of the supervisor ----------------------------------------------------------------------------------------


def test_sigterm_stops_everything_and_removes_the_socket(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"\n[task.b]\ncommand = "sleep 1000"\nrequires = ["a"]')
    pids = lab.up("a", "b")
    assert lab.end() == 0
    assert not any(map(alive, pids.values()))
    assert not lab.socket.exists()
    assert not (lab.run / "journal").exists()


def test_the_third_signal_kills_at_once(lab: Lab) -> None:
    mark = lab.dir / "mark"
    lab.start(f"[task.stubborn]\ncommand = '''{STUBBORN.format(mark=mark)}'''\nstop = {{ grace = \"1h\" }}")
    lab.up("stubborn")
    wait_for(mark.exists)
    assert lab.process
    lab.process.send_signal(signal.SIGTERM)
    lab.until("shutdown")
    lab.process.send_signal(signal.SIGINT)
    wait_for(lambda: "once more kills everything at once" in lab.stderr)
    assert lab.process.poll() is None
    assert lab.end(signal.SIGTERM) == 0
    assert not lab.processes()


def test_the_whole_stop_has_a_budget(lab: Lab) -> None:
    mark = lab.dir / "mark"
    tasks = f"[task.stubborn]\ncommand = '''{STUBBORN.format(mark=mark)}'''\nstop = {{ grace = \"1h\" }}"
    lab.start(tasks, 'stop_grace = "300ms"')
    lab.up("stubborn")
    wait_for(mark.exists)
    assert lab.end() == 0
    assert not lab.processes()


def test_shutdown_by_supctl_is_answered_when_nothing_is_left(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    pid = lab.up("a")["a"]
    assert lab.ctl("shutdown").out == "lab: every task is stopped, the supervisor ends\n"
    assert not alive(pid)
    assert lab.expect_exit() == 0
    assert "not running" in lab.ctl("status", code=5).err


def test_two_supervisors_never_share_a_directory(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    before = lab.up("a")
    other = Lab(lab.dir)
    other.start(wait=False)
    assert other.expect_exit() == 1
    assert f"another supervisor (pid {lab.pid}) runs with {lab.run}" in lab.stderr
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before


def test_ctrl_c_at_the_terminal_is_for_the_supervisor_alone(lab: Lab) -> None:
    """Tasks have their own sessions, so the signal of the terminal does not reach them. The supervisor stops them."""
    lab.start('[task.a]\ncommand = "sleep 1000"', start_new_session=True)
    lab.up("a")
    os.killpg(lab.pid, signal.SIGINT)
    assert lab.until(name="a", to="stopping")["why"] == "the supervisor is shutting down"
    assert lab.until(name="a", to="held")["exit"]["signal"] == "SIGTERM"
    assert lab.expect_exit() == 0


def test_the_process_title_shows_the_fleet(lab: Lab) -> None:
    lab.start('[task.a]\ncommand = "sleep 1000"')
    lab.up("a")
    cmdline = Path(f"/proc/{lab.pid}/cmdline")
    wait_for(lambda: cmdline.read_bytes().rstrip(b"\0") == b"supervisor: lab [1 running]")
