"""Samples with a real supervisor: status, show, top and heatmap; and the parent sleeps meanwhile."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from lab import PATIENCE, SUPCTL, Lab, Terminal, wait_for

TASKS = """
[defaults]
log = { to = "none" }
stop = { grace = "10s" }
[task.busy]
command = ["sh", "-c", "while :; do :; done"]
[task.web]
command = ["sh", "-c", "sleep 1000 & sleep 1000"]
"""
OFTEN = 'sample = "1s"'


def measured(lab: Lab) -> dict:
    def complete() -> dict:
        now = lab.tasks()
        return now if all(one["processes"] for one in now.values()) else {}

    return wait_for(complete)


def test_status_has_cpu_memory_and_processes(lab: Lab) -> None:
    lab.start(TASKS, OFTEN).up("busy", "web")
    now = measured(lab)
    assert now["web"]["processes"] == 3
    assert now["busy"]["memory_bytes"] > 50_000
    wait_for(lambda: lab.tasks()["busy"]["cpu_percent"] > 5)
    assert now["web"]["cpu_percent"] < 50
    table = lab.ctl("status").out
    assert re.search(r"CPU +MEMORY", table)
    assert re.search(r"busy .*\d%", table)


def test_a_new_run_has_no_figures_of_the_old_one(lab: Lab) -> None:
    lab.start(TASKS, 'sample = "1000s"').up("busy", "web")
    measured(lab)
    scribe = lab.scribe()
    os.kill(scribe, signal.SIGSTOP)
    try:
        lab.ctl("restart", "web")
        assert lab.tasks()["web"]["memory_bytes"] is None
    finally:
        os.kill(scribe, signal.SIGCONT)
    wait_for(lambda: lab.tasks()["web"]["memory_bytes"], "status has the new run measured, though it is not its time")


@pytest.mark.parametrize("name", ["SIGWINCH"])
def test_a_scribe_that_was_woken_by_a_signal_sleeps_again(lab: Lab, name: str) -> None:
    lab.start(TASKS, 'sample = "1000s"').up("busy", "web")
    measured(lab)
    scribe = lab.scribe()
    os.kill(scribe, signal.Signals[name])

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{scribe}/stat").read_text().rpartition(") ")[2].split()[11:13]))

    def sleeps() -> bool:
        before = ticks()
        for _ in range(3):
            lab.ctl("version")
        return ticks() == before

    wait_for(sleeps, "@scribe uses no CPU while three commands run")


def test_sample_0_measures_nothing(lab: Lab) -> None:
    lab.start(TASKS, "sample = 0").up("busy", "web")
    assert "sample = 0" in lab.ctl("top", code=1).err
    assert not (lab.run / "samples/samples.json").exists()
    assert "sample = 0" in lab.ctl("heatmap", code=1).err


def test_sampling_does_not_wake_the_parent(lab: Lab) -> None:
    lab.start(TASKS, OFTEN).up("busy", "web")
    measured(lab)
    switches = Path(f"/proc/{lab.pid}/status")

    def woken() -> int:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", switches.read_text(), re.MULTILINE)[1])

    def rounds() -> float:
        return json.loads((lab.run / "samples/samples.json").read_text())["at"]

    lab.hang_up()

    def sleeps() -> bool:
        before, first = woken(), rounds()
        wait_for(lambda: rounds() > first + 3)  # three rounds and more
        return woken() == before

    wait_for(sleeps, "the parent sleeps")  # not at once: it has just been asked for its status


def test_top_on_a_pipe_and_as_json(lab: Lab) -> None:
    lab.start(TASKS, OFTEN).up("busy", "web")
    measured(lab)
    (first, second) = lab.ctl("top", "--json").json["tasks"]
    assert [first["name"], second["name"]] == ["busy", "web"]
    assert second["threads"] == 3
    assert second["files"] > 0
    lines = lab.ctl("top", "--sort", "name").out.splitlines()
    assert lines[0].split()[:5] == ["NAME", "PID", "UPTIME", "RESTARTS", "CPU"]
    assert [line.split()[0] for line in lines[1:]] == ["busy", "web"]


def test_top_makes_the_figures_come_faster(lab: Lab) -> None:
    lab.start(TASKS, 'sample = "1000s"').up("busy", "web")
    measured(lab)
    at = json.loads((lab.run / "samples/samples.json").read_text())["at"]

    def newer() -> bool:
        lab.ask("top", names=[])
        return json.loads((lab.run / "samples/samples.json").read_text())["at"] > at

    wait_for(newer)


def test_top_on_a_terminal_is_sorted_by_keys(lab: Lab) -> None:
    lab.start(TASKS, OFTEN).up("busy", "web")
    ours, theirs = pty.openpty()
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket), "TERM": "xterm"}
    command = [*SUPCTL, "top", "--interval", "0.2"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, close_fds=True) as live:
        os.close(theirs)

        def until(text: str) -> None:
            seen, end = "", time.monotonic() + PATIENCE
            while text not in seen:
                assert time.monotonic() < end, f"no {text!r} in {seen!r}"
                if select.select([ours], [], [], 0.1)[0]:
                    seen += os.read(ours, 65536).decode()

        try:
            until("by cpu;")
            os.write(ours, b"m")
            until("by memory;")
            os.write(ours, b"q")
            assert live.wait(PATIENCE) == 0
        finally:
            live.kill()
    os.close(ours)


def test_the_heat_map_in_every_form(lab: Lab) -> None:
    lab.start(TASKS, OFTEN).up("busy", "web")
    measured(lab)

    def seen() -> bool:
        answer = lab.ctl("heatmap", "--since", "5m", "--json", code=None)
        return answer.code == 0 and answer.json["samples"] >= 6

    wait_for(seen)
    told = lab.ctl("heatmap", "--since", "5m", "--json").json
    assert set(told["tasks"]) == {"busy", "web"}
    assert told["unit"] == "percent of a processor"
    assert max(value for value in told["tasks"]["busy"] if value is not None) > 5
    assert told["advice"][0]["kind"] == "data"
    drawn = lab.ctl("heatmap", "--since", "5m").out.splitlines()
    assert drawn[0].split()[0] == "busy"
    assert any("measurements" in line for line in drawn)
    terminal = Terminal(lab, "heatmap", "--since", "5m")
    row = re.search(rb"busy ((\033\[48;2;\d+;\d+;\d+m \033\[0m)+)\r\n", terminal.until(b"hottest"))
    assert row
    assert b"\033[48;2;200;40;30m " in row[1], "the hottest cell is red"
    assert terminal.end() == 0
    said = lab.ctl("heatmap", "--metric", "memory", "--html", "memory.html").out
    assert said.startswith("memory.html: ")
    assert "<h1>lab: memory of the tasks</h1>" in (lab.dir / "memory.html").read_text()
    lab.hang_up()
    lab.end()
    assert lab.ctl("heatmap", "--metric", "io", "--json", env={"SUPERVISOR_CONFIG": str(lab.path)}).json["tasks"]
