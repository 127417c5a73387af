"""After a clean shutdown every run is in the history. Nothing waits in the runtime directory, which a boot clears."""

import os
import signal
import sqlite3
import sys
from contextlib import closing

import pytest
from lab import Lab, wait_for

from supervisor.store import database, spool

TASKS = "".join(
    f'[task.t{n}]\ncommand = ["{sys.executable}", "-S", "-c", "import time; print({n}); time.sleep(1000)"]\n'
    f"history.keep = 10\n"
    for n in range(3)
)

BYE = """
[task.bye]
command = ["sh", "-c", "trap 'echo bye; exit' TERM; sleep 1000 & wait"]
log = { to = "file" }
"""
"""A task that writes its last line when it is stopped."""


def kept(lab: Lab) -> list[str]:
    with closing(database.open_to_read(f"{lab.dir}/state/history.db")) as connection:
        connection.row_factory = sqlite3.Row
        return sorted(row["instance"] for row in connection.execute("SELECT instance FROM runs"))


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("how", ["SIGTERM", "supctl shutdown"])
def test_the_last_runs_are_in_the_history_before_scribe_ends(lab: Lab, how: str, turn: int) -> None:
    lab.start(TASKS)
    lab.up("t0", "t1", "t2")
    if how == "SIGTERM":
        assert lab.end() == 0
    else:
        lab.ctl("shutdown")
        assert lab.expect_exit() == 0
    assert spool.waiting(str(lab.run / "spool")) == []
    assert kept(lab) == ["t0:1", "t1:1", "t2:1"]


def break_scribe(lab: Lab) -> None:
    """Let @scribe end again and again, until its lock is no directory any more."""
    scribe = wait_for(lab.scribe)
    lock = lab.run / "scribe.lock"
    wait_for(lock.exists)
    lock.unlink()
    lock.mkdir()
    os.kill(scribe, signal.SIGKILL)
    wait_for(lambda: lab.stderr.count("IsADirectoryError") >= 3, "it has failed again and again")


def test_a_shutdown_starts_scribe_at_once(lab: Lab) -> None:
    """Its back-off would outlast the shutdown, and it stores the last output and the last runs."""
    lab.start(TASKS + BYE)
    lab.up("t0", "t1", "t2", "bye")
    break_scribe(lab)
    (lab.run / "scribe.lock").rmdir()
    assert lab.end() == 0
    assert spool.waiting(str(lab.run / "spool")) == []
    assert set(kept(lab)) >= {"t0:1", "t1:1", "t2:1"}
    assert (lab.dir / "log/bye.log").read_text().endswith(" bye\n")


def test_runs_that_could_not_be_stored_are_reported_and_stored_at_the_next_start(lab: Lab) -> None:
    lab.start(TASKS)
    lab.up("t0", "t1", "t2")
    break_scribe(lab)
    assert lab.end() == 0
    says = " ended runs are not in the history yet, as @scribe could not write them: they wait in "
    assert f"{says}{lab.run}/spool for the next start" in lab.stderr
    (lab.run / "scribe.lock").rmdir()
    lab.start()
    wait_for(lambda: not spool.waiting(str(lab.run / "spool")), "the next @scribe takes them")
    assert {"t0:1", "t1:1", "t2:1"} <= set(kept(lab))
