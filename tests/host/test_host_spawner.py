"""The spawner: children are made ahead and are the parent's own; its death or silence costs nobody a start.

A program of its own per test, as a spawner makes whoever has it a subreaper.
"""

import subprocess
import sys

import pytest

BEGIN = """
import os, signal, sys
from supervisor.host import clone, spawner
spawner.PATIENCE = 0.5
SPEC = {
    "title": "a", "helper": False, "command": ("/bin/sh", "-c", "exit 7"), "python": None, "stop_signal": "SIGTERM",
    "directory": None, "user": None, "umask": None, "inherit_environment": True, "environment": {},
    "environment_file": (), "out": "", "err": "", "ear": "", "bound": False, "mark": 7, "no_new_privileges": False,
    "confine": None,
}

def runs(made):
    child = made.spawn(SPEC)
    os.set_blocking(child.channel, True)
    parent = open(f"/proc/{child.pid}/stat").read().rpartition(") ")[2].split()[1]
    assert int(parent) == os.getpid(), "the child is the parent's own"
    os.write(child.channel, b"g")
    assert os.read(child.channel, 100) == b"", "an exec that succeeds closes the channel"
    status = os.waitid(os.P_PID, child.pid, os.WEXITED)
    assert (status.si_code, status.si_status) == (os.CLD_EXITED, 7), status
    os.close(child.channel)

"""

CASES = {
    "one after the other": "made = spawner.Spawner()\nfor _ in range(5): runs(made)",
    "made ahead": "made = spawner.Spawner()\nmade.prepare(4)\nfor _ in range(9): runs(made)",
    "killed": """
made = spawner.Spawner()
runs(made)
signal.pidfd_send_signal(made._pidfd, signal.SIGKILL)
runs(made)
runs(made)
""",
    "killed, and its end is not seen yet": """
made = spawner.Spawner()
runs(made)
made.prepare(3)
signal.pidfd_send_signal(made._pidfd, signal.SIGKILL)
spawner._await(made._pidfd, 10)
seen, spawner._await = spawner._await, lambda *_: False
made.rest()
made.leave()
spawner._await = seen
runs(made)
""",
    "killed before the first": """
made = spawner.Spawner()
signal.pidfd_send_signal(made._pidfd, signal.SIGKILL)
runs(made)
""",
    "stopped": """
made = spawner.Spawner()
import time
runs(made)
spawner.PATIENCE = 60
signal.pidfd_send_signal(made._pidfd, signal.SIGSTOP)
os.waitid(os.P_PIDFD, made._pidfd, os.WSTOPPED)
began = time.monotonic()
made.rest()
made.prepare(3)
made.hold("/tmp/of/nobody", 0)
made.remove("/tmp/of/nobody")
made.rest()
assert time.monotonic() - began < 0.05, "a calm moment waits for nobody"
runs(made)
assert time.monotonic() - began < 5, "it is looked at, not waited for"
runs(made)
made.drop("/tmp/of/nobody")
""",
    "cannot be made at first": """
made = spawner.Spawner()
signal.pidfd_send_signal(made._pidfd, signal.SIGKILL)
fork, os.fork = os.fork, lambda: (_ for _ in ()).throw(BlockingIOError(11, "Resource temporarily unavailable"))
for _ in range(2):
    try: made.spawn(SPEC)
    except OSError as error: assert error.errno == 11, error
    else: raise AssertionError("made out of nothing")
    made.rest()
    made.prepare(2)
os.fork = fork
runs(made)
runs(made)
""",
    "a spare is killed": """
made = spawner.Spawner()
runs(made)
import time
def children():
    return [int(pid) for pid in open(f"/proc/self/task/{os.getpid()}/children").read().split()]
made.rest()
while len(children()) < 2: time.sleep(0.001)  # the spawner, and the one that is made ahead
spare = max(children())
os.kill(spare, signal.SIGKILL)
os.waitid(os.P_PID, spare, os.WEXITED)
runs(made)
""",
    "no process is to be had": """
made = spawner.Spawner()
signal.pidfd_send_signal(made._pidfd, signal.SIGKILL)
os.fork = lambda: (_ for _ in ()).throw(BlockingIOError(11, "Resource temporarily unavailable"))
try: made.spawn(SPEC)
except OSError as error: assert error.strerror == "Resource temporarily unavailable", error
else: assert False
""",
    "no child is to be had": """
clone.make = lambda path, into: (-11, False)
made = spawner.Spawner()
first = made._pid
for _ in range(2):
    try: made.spawn(SPEC)
    except OSError as error: assert error.strerror == "Resource temporarily unavailable", error
    else: assert False
assert made._pid == first, "it has answered: no other one could do better"
""",
    "in state D": """
import ctypes, tempfile
spawner.PATIENCE = 1000
make, libc, once = clone.make, ctypes.CDLL(None), tempfile.mkstemp()[1]
def stuck(path, into):
    try: os.unlink(once)  # only the first spawner finds it
    except FileNotFoundError: return make(path, into=into)
    libc.vfork() or (libc.prctl(1, signal.SIGKILL), libc.pause())  # it waits for a child that does nothing
clone.make = stuck
made = spawner.Spawner()
runs(made)
runs(made)
""",
    "no memory for a while": """
import errno
make, left = clone.make, [2]
def full(path, into):
    left[0] -= 1  # in the spawner, which has a copy of it
    return (-errno.ENOMEM, False) if left[0] >= 0 else make(path, into=into)
clone.make = full
made = spawner.Spawner()
first = made._pid
for _ in range(2):
    try: made.spawn(SPEC)
    except OSError as error: assert error.strerror == "Cannot allocate memory", error
    else: assert False
runs(made)
assert made._pid == first, "it has answered: no other one could do better"
""",
    "no file of others is removed at the end": """
made = spawner.Spawner()
removed, os.unlink = [], lambda path: removed.append(path)
made.close()
assert removed == [], removed
""",
    "no number of clone(2) is known": """
clone._SYS_CLONE.clear()
made = spawner.Spawner()
for _ in range(3): runs(made)
""",
    "the group has as many processes as it may": """
import errno
make = clone.make
clone.make = lambda path, into: (-errno.EAGAIN, False) if "@etl" in path else make(path, into=into)
made = spawner.Spawner()
runs(made)
made.tree, before = made.tree or "/nowhere", made._pid
for _ in range(2):
    try: made.spawn(SPEC, "etl")
    except OSError as error: assert "limits.processes of group etl" in error.strerror, error
    else: raise AssertionError("made in spite of it")
assert made._pid == before, "the spawner has answered, so it is not replaced"
""",
    "too long": """
made = spawner.Spawner()
try:
    made.spawn(SPEC | {"command": ("x" * 10_000_000,)})
except OSError as error:
    assert "too long" in str(error)
runs(made)
""",
}


@pytest.mark.parametrize("case", CASES)
def test_children_are_made(case: str):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + CASES[case]], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_spare_and_a_spawner_end_with_their_parent():
    """Nothing waits for ever for a launch that nobody can give any more."""
    code = BEGIN + "made = spawner.Spawner()\nmade.prepare(2)\nruns(made)\nos.kill(os.getpid(), signal.SIGKILL)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"", "read to the end: every process that held the pipe is gone"


def test_a_step_that_fails_ahead_is_told_for_the_start_that_it_concerns():
    code = (
        BEGIN
        + """
def fail(): raise OSError(24, "Too many open files")
spawner.child.AHEAD = (("open /dev/null", fail),)
made = spawner.Spawner()
child = made.spawn(SPEC)
os.set_blocking(child.channel, True)
assert os.read(child.channel, 100) == b"open /dev/null: Too many open files"
"""
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
