"""The supervisor runs short of descriptors, processes or memory while its tasks live.

A run that it cannot check counts as alive: no second copy starts, a stop is done only when the run is empty, and a
shutdown leaves nothing. Nothing of this is a traceback.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lab import SUPERVISOR, Lab, alive, wait_for
from someone import modules, usable

ENOUGH = (20000, 20000)

LEAVES_ONE = """
[task.one]
command = ["sh", "-c", "trap '' TERM; setsid sleep 1001 & exec sleep 1002"]
stop = { grace = "1s" }
[task.two]
command = "sleep 1003"
"""
"""`one` has a process in a session of its own, which ignores SIGTERM and outlives its leader."""


def limit(pid: int, files: int) -> None:
    """Somebody lowers the limit of open files of a process that runs; its hard limit stays."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, ENOUGH[1]))


def spawner(lab: Lab) -> int:
    """The pid of @spawner, which is forked before all others."""
    children = Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split()
    return min(map(int, children))


def copies(lab: Lab, argument: str) -> list[int]:
    """The living processes of the lab that sleep for so long."""
    found = []
    for pid in lab.processes():
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:2] == ["sleep", argument]:
                found.append(pid)
    return found


@pytest.mark.parametrize("files", [3, 12, 28])
def test_a_run_that_cannot_be_checked_counts_as_alive(lab: Lab, mode: str, files: int) -> None:
    lab.start(LEAVES_ONE)
    leader = lab.up("one", "two")["one"]
    [stray] = wait_for(lambda: copies(lab, "1001"))
    limited = [lab.pid, spawner(lab)]
    for pid in limited:
        limit(pid, files)
    os.kill(leader, signal.SIGKILL)

    def over() -> bool:
        """The stray has been killed, or the whole grace and a second kill have passed without that."""
        assert len(copies(lab, "1001")) <= 1, "a second copy runs beside the first"
        return not alive(stray) or time.monotonic() > end

    end = time.monotonic() + 4
    wait_for(over)
    assert lab.process.poll() is None, lab.stderr
    for pid in limited:
        limit(pid, ENOUGH[0])
    wait_for(lambda: not alive(stray), "the stray is killed at last")
    wait_for(lambda: len(copies(lab, "1002")) == 1, "one runs again")
    assert "Traceback" not in lab.stderr
    lab.hang_up()
    assert lab.end() == 0
    assert lab.processes() == []


@pytest.mark.parametrize("files", [8, 14, 16, 19, 22, 24, 26])
def test_a_start_with_too_few_descriptors_is_reported(lab: Lab, files: int) -> None:
    """It ends with a reason, or it starts and reports what it cannot start. Nothing is left either way."""
    lab.start(LEAVES_ONE, wait=False, command=["prlimit", f"--nofile={files}", *SUPERVISOR, "-c", str(lab.path)])
    assert lab.process
    wait_for(lambda: "Too many open files" in lab.stderr or lab.process.poll() is not None)
    assert lab.end() in (0, 1)
    assert "Too many open files" in lab.stderr
    assert "Traceback" not in lab.stderr
    assert lab.processes(helpers=True) == []


@pytest.mark.parametrize("files", [3, 20])
def test_a_shutdown_without_descriptors_ends_when_nothing_is_left(lab: Lab, mode: str, files: int) -> None:
    lab.start(LEAVES_ONE)
    lab.up("one", "two")
    wait_for(lambda: copies(lab, "1001"))
    lab.hang_up()
    limit(lab.pid, files)
    os.kill(lab.pid, signal.SIGTERM)

    def ended() -> bool:
        return lab.process.poll() is not None or time.monotonic() > end

    end = time.monotonic() + 4
    wait_for(ended)
    if lab.process.poll() is None:
        limit(lab.pid, ENOUGH[0])
    assert lab.expect_exit() == 0
    assert lab.processes() == []
    assert "Traceback" not in lab.stderr


CROWD = """
import socket, sys, time
crowd = []
for _ in range(int(sys.argv[2])):
    crowd.append(socket.socket(socket.AF_UNIX))
    crowd[-1].connect(sys.argv[1])
print("connected", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("many", [100, 1000])
def test_idle_clients_take_no_descriptor_that_a_task_needs(lab: Lab, mode: str, many: int) -> None:
    """With 128 descriptors in all, tasks crash and restart, and every request is answered."""
    tasks = "".join(f'[task.t{n}]\ncommand = "sleep 1000"\nlog = {{ to = "file" }}\n' for n in range(20))
    crash = '[task.crash]\ncommand = ["sh", "-c", "setsid sleep 0.3 & exit 1"]\nbackoff = { max = "1s" }'
    lab.start(tasks + crash, command=["prlimit", "--nofile=128", *SUPERVISOR, "-c", str(lab.path)])
    before = lab.up("t0")
    lab.hang_up()
    crowd = subprocess.Popen([sys.executable, "-S", "-c", CROWD, str(lab.socket), str(many)], stdout=subprocess.PIPE)
    try:
        assert crowd.stdout
        assert crowd.stdout.readline() == b"connected\n"
        restarts = lab.tasks()["crash"]["restarts"]
        os.kill(before["t0"], signal.SIGKILL)
        wait_for(lambda: lab.tasks()["t0"]["pid"] not in (None, before["t0"]))
        wait_for(lambda: lab.tasks()["crash"]["restarts"] > restarts + 5)
        assert lab.ctl("status", code=None).code in (0, 3)
    finally:
        crowd.kill()
        crowd.communicate()
    assert "Traceback" not in lab.stderr
    assert "Too many open files" not in lab.stderr
    assert lab.end() == 0


CRASHES = """
[defaults]
log = { to = "none" }
backoff = { initial = "50ms", max = "50ms", jitter = 0 }
stop = { grace = "1s" }
[task.crash]
command = ["sh", "-c", "setsid sleep 1.5 & sleep 0.1; exit 1"]
[task.stays]
command = "sleep 1004"
[task.probed]
command = "sleep 1005"
health = { command = ["true"], every = "1s" }
"""


KINDS = ["descriptors", "memory", "processes"]


OPTIONS = {resource.RLIMIT_NOFILE: "nofile", resource.RLIMIT_AS: "as", resource.RLIMIT_NPROC: "nproc"}


def lower(lab: Lab, what: int, soft: int, user: int | None) -> None:
    """Sets the soft limit of the supervisor, as the user that it is; it may just have ended."""
    words = ["prlimit", "--pid", str(lab.pid), f"--{OPTIONS[what]}={'unlimited' if soft < 0 else soft}:"]
    subprocess.run(words, user=user, check=False, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("what", [resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_NPROC], ids=KINDS)
def test_limits_that_change_at_random_moments(lab: Lab, mode: str, what: int, seed: int) -> None:
    """Each task has at most one copy.

    A supervisor that ends for lack of memory reports it, and the next one goes on.
    """
    rng = random.Random(seed)
    user: dict[str, Any] = {}
    if what == resource.RLIMIT_NPROC and os.geteuid() == 0:  # root has as many as it likes
        python = next(filter(usable, (sys.executable, "/usr/bin/python3")), "")
        if not python:
            pytest.skip("no interpreter that everybody may run and that has what it takes")
        user = {"user": 54321, "group": 54321, "extra_groups": [], "env": {"PYTHONPATH": modules()}}
        user["command"] = [python, *SUPERVISOR[1:], "-c", str(lab.path)]
        lab.write(CRASHES)
        os.chown(lab.dir, 54321, 54321)
    lab.start(CRASHES, **user)
    before = lab.up("stays", "probed")
    lab.hang_up()
    _, hard = resource.getrlimit(what)
    for _ in range(12):
        low = rng.randint(1, 40)
        if what == resource.RLIMIT_AS:
            size = int(Path(f"/proc/{lab.pid}/statm").read_text().split()[0]) * resource.getpagesize()
            low = size + rng.choice((0, 65536, 150_000, 1_000_000))
        lower(lab, what, low, user.get("user"))
        until = time.monotonic() + rng.choice((0.1, 0.4, 0.8))
        wait_for(lambda until=until: lab.process.poll() is not None or time.monotonic() > until)
        assert len(copies(lab, "1004")) == len(copies(lab, "1005")) == 1
        if lab.process.poll() is None:
            lower(lab, what, hard, user.get("user"))
        else:
            assert lab.process.returncode == 1, lab.stderr
            lab.start(**user)
            lab.hang_up()
    assert "Traceback" not in lab.stderr
    assert {name: lab.tasks()[name]["pid"] for name in before} == before
    assert lab.end() == 0
    assert lab.processes() == []
