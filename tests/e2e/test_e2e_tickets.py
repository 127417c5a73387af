"""The outcome of a request that takes time reaches whoever asks for it, whatever becomes of connections and clients."""

import signal
import subprocess
from contextlib import closing
from typing import Any

from lab import PATIENCE, SUPCTL, Lab, wait_for

from supervisor.control.client import Connection

SLOW = """
[task.slow]
command = ["sh", "-c", "trap : TERM; echo $$ > {dir}/up; while ! [ -e {dir}/end ]; do sleep 0.02; done"]
stop = {{ grace = "100s", to = "main" }}
"""
"""It ends once the test allows it: no bound of time plays a part."""


def begin(lab: Lab, **start: Any) -> None:
    lab.start(SLOW.format(dir=lab.dir), **start)
    wait_for((lab.dir / "up").exists, "it has set its trap")


def supctl(lab: Lab, *words: str) -> "subprocess.Popen[str]":
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
    return subprocess.Popen([*SUPCTL, *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def let_it_end(lab: Lab) -> None:
    (lab.dir / "end").touch()


def stopping(lab: Lab) -> bool:
    return bool(lab.tasks()["slow"]["state"] == "stopping")


def test_a_client_that_was_cut_off_asks_again_by_the_id(lab: Lab) -> None:
    begin(lab)
    with closing(Connection(str(lab.socket))) as connection:
        lines = connection.ask("stop", {"names": ["slow"], "wait": True})
        number = next(line["ticket"]["id"] for line in lines if line and "ticket" in line)
    waiting = lab.ctl("ticket", number, "--no-wait", "--json").json["ticket"]
    assert (waiting["verb"], waiting["state"], waiting["progress"][0]["state"]) == ("stop", "waiting", "stopping")
    let_it_end(lab)
    said = lab.ctl("ticket", number).out
    assert said.startswith("stop by root, asked at ")
    assert ": done\n  slow: stopped (" in said


def test_a_supctl_that_was_killed_leaves_an_act_that_goes_on(lab: Lab) -> None:
    begin(lab)
    asking = supctl(lab, "stop", "slow")
    wait_for(lambda: stopping(lab), "it is asked to end")
    asking.send_signal(signal.SIGKILL)
    asking.communicate(timeout=PATIENCE)
    let_it_end(lab)
    told = lab.until("audit", outcome="done")
    assert (told["verb"], told["exit"]) == ("stop", 0)


def test_supctl_asks_the_program_that_an_upgrade_has_executed(lab: Lab) -> None:
    """The stop goes on, and the new program says so. It does not know which outcome the old one waited for."""
    begin(lab)
    asking = supctl(lab, "stop", "slow")
    wait_for(lambda: stopping(lab), "it is asked to end")
    lab.hang_up()
    lab.ctl("upgrade")
    _, err = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 1
    assert "the supervisor was upgraded before `stop` had an outcome; what was asked goes on" in err
    lab.follow()
    assert stopping(lab)
    let_it_end(lab)
    wait_for(lambda: lab.tasks()["slow"]["state"] == "stopped", "it has ended")


def test_supctl_does_not_wait_for_a_supervisor_that_is_dead(lab: Lab) -> None:
    begin(lab)
    asking = supctl(lab, "stop", "slow")
    wait_for(lambda: stopping(lab), "it is asked to end")
    lab.hang_up()
    assert lab.end(signal.SIGKILL) == -signal.SIGKILL
    _, err = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 5
    assert err.startswith(f"supctl: the supervisor at {lab.socket} ")
    let_it_end(lab)
    lab.start()


def test_the_next_supervisor_does_not_know_the_ticket_of_a_dead_one(lab: Lab) -> None:
    begin(lab)
    asking = supctl(lab, "stop", "slow")
    wait_for(lambda: stopping(lab), "it is asked to end")
    asking.send_signal(signal.SIGSTOP)
    lab.hang_up()
    assert lab.end(signal.SIGKILL) == -signal.SIGKILL
    lab.start()
    asking.send_signal(signal.SIGCONT)
    _, err = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 5
    assert f"the supervisor ended before it had answered, and another one (pid {lab.pid}) runs" in err
    let_it_end(lab)
