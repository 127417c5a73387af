"""The spawner forks children ahead, which are children of the parent.

Its death or silence fails no start. Each test has its own process, as a spawner makes its parent a subreaper.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from spawning import BEGIN

CASES = {
    "one after the other": "made = Spawning()\nfor _ in range(5): runs(made)",
    "one of several cannot be made": """
import errno
make = clone.make
def second(paths, begin, into):
    made = make(paths[:1], begin, into=into)
    return made + [(-errno.EAGAIN, False)] * (len(paths) - 1)
clone.make = second
made = Spawning()
made.spawner.prepare(3)
for _ in range(3):
    try: runs(made)
    except OSError as error: assert error.errno == errno.EAGAIN, error
    else: break
else: raise AssertionError("the first one was made")
for _ in range(3): runs(made)
""",
    "more than one order may have": "made = Spawning()\nmade.spawner.prepare(40)\nfor _ in range(42): runs(made)",
    "made ahead": "made = Spawning()\nmade.spawner.prepare(4)\nfor _ in range(9): runs(made)",
    "killed": """
made = Spawning()
runs(made)
signal.pidfd_send_signal(made._process.pidfd, signal.SIGKILL)
runs(made)
runs(made)
""",
    "killed, and its end is not seen yet": """
made = Spawning()
runs(made)
made.spawner.prepare(3)
signal.pidfd_send_signal(made._process.pidfd, signal.SIGKILL)
spawner_process.ended(made._process.pidfd, 10)
seen, spawner_process.ended = spawner_process.ended, lambda *_: False
made.do_deferred()
made.hand_over()
spawner_process.ended = seen
runs(made)
""",
    "killed before the first": """
made = Spawning()
signal.pidfd_send_signal(made._process.pidfd, signal.SIGKILL)
runs(made)
""",
    "stopped": """
made = Spawning()
import time
runs(made)
spawner_process.PATIENCE = 60
signal.pidfd_send_signal(made._process.pidfd, signal.SIGSTOP)
os.waitid(os.P_PIDFD, made._process.pidfd, os.WSTOPPED)
began = time.monotonic()
made.do_deferred()
made.spawner.prepare(3)
made.held.hold("/tmp/of/nobody", 0)
made.cgroups.remove("/tmp/of/nobody")
made.do_deferred()
assert time.monotonic() - began < 0.05, "a calm moment waits for nobody"
runs(made)
assert time.monotonic() - began < 5, "it is looked at, not waited for"
runs(made)
made.held.drop("/tmp/of/nobody")
""",
    "cannot be made at first": """
made = Spawning()
signal.pidfd_send_signal(made._process.pidfd, signal.SIGKILL)
fork, os.fork = os.fork, lambda: (_ for _ in ()).throw(BlockingIOError(11, "Resource temporarily unavailable"))
for _ in range(2):
    try: made.spawner.spawn(SPEC)
    except OSError as error: assert error.errno == 11, error
    else: raise AssertionError("made out of nothing")
    made.do_deferred()
    made.spawner.prepare(2)
os.fork = fork
runs(made)
runs(made)
""",
    "a spare is killed": """
made = Spawning()
runs(made)
import time
def children():
    return [int(pid) for pid in open(f"/proc/self/task/{os.getpid()}/children").read().split()]
made.do_deferred()
while len(children()) < 2: time.sleep(0.001)  # the spawner, and the one that is made ahead
spare = max(children())
os.kill(spare, signal.SIGKILL)
os.waitid(os.P_PID, spare, os.WEXITED)
runs(made)
""",
    "no process is available": """
made = Spawning()
signal.pidfd_send_signal(made._process.pidfd, signal.SIGKILL)
os.fork = lambda: (_ for _ in ()).throw(BlockingIOError(11, "Resource temporarily unavailable"))
try: made.spawner.spawn(SPEC)
except OSError as error: assert error.strerror == "Resource temporarily unavailable", error
else: assert False
""",
    "no child is available": """
clone.make = lambda paths, begin, into: [(-11, False)] * len(paths)
made = Spawning()
first = made._process.pid
for _ in range(2):
    try: made.spawner.spawn(SPEC)
    except OSError as error: assert error.strerror == "Resource temporarily unavailable", error
    else: assert False
assert made._process.pid == first, "it has answered: no other one could do better"
""",
    "in state D": """
import ctypes, tempfile
spawner_process.PATIENCE = 1000
make, libc, once = clone.make, ctypes.CDLL(None), tempfile.mkstemp()[1]
def stuck(paths, begin, into):
    try: os.unlink(once)  # only the first spawner finds it
    except FileNotFoundError: return make(paths, begin, into=into)
    libc.vfork() or (libc.prctl(1, signal.SIGKILL), libc.pause())  # it waits for a child that does nothing
clone.make = stuck
made = Spawning()
runs(made)
runs(made)
""",
    "no memory for a while": """
import errno
make, left = clone.make, [2]
def full(paths, begin, into):
    left[0] -= 1  # in the spawner, which has a copy of it
    return [(-errno.ENOMEM, False)] if left[0] >= 0 else make(paths, begin, into=into)
clone.make = full
made = Spawning()
first = made._process.pid
for _ in range(2):
    try: made.spawner.spawn(SPEC)
    except OSError as error: assert error.strerror == "Cannot allocate memory", error
    else: assert False
runs(made)
assert made._process.pid == first, "it has answered: no other one could do better"
""",
    "no file of others is removed at the end": """
made = Spawning()
removed, os.unlink = [], lambda path: removed.append(path)
made.close()
assert removed == [], removed
""",
    "no number of clone(2) is known": """
clone._SYS_CLONE.clear()
made = Spawning()
for _ in range(3): runs(made)
""",
    "the group has as many processes as it may": """
import errno
make = clone.make
full = lambda paths: [(-errno.EAGAIN, False) for path in paths if "@etl" in path]
clone.make = lambda paths, begin, into: full(paths) or make(paths, begin, into=into)
made = Spawning()
runs(made)
made.cgroups.tree, before = made.cgroups.tree or "/nowhere", made._process.pid
for _ in range(2):
    try: made.spawner.spawn(SPEC, "etl")
    except OSError as error: assert "limits.processes of group etl" in error.strerror, error
    else: raise AssertionError("made in spite of it")
assert made._process.pid == before, "the spawner has answered, so it is not replaced"
""",
    "too long": """
made = Spawning()
try:
    made.spawner.spawn(SPEC | {"command": ("x" * 10_000_000,)})
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


SECOND = """
from functools import partial
from supervisor.spawn import orders, server
from supervisor.spawn.spawner import Spawner
from supervisor.spawn.spawner_process import SpawnerProcess

def serve(parent):
    maker = server.Maker(parent, made.open_files, made.cgroups.tree)
    load = lambda: __import__("this_is_preloaded")
    server.serve(parent, orders.Part(orders.MAKE, maker.make, begin=lambda: (maker.begin(), load())))

sys.modules["this_is_preloaded"] = None  # an import of it fails
made = Spawning()
process = SpawnerProcess(serve)
second = Spawner(process, made.cgroups, ahead=0)
first, made.spawner = made.spawner, second
try: runs(made)
except OSError as error: assert "does not answer" in error.strerror, error
else: raise AssertionError("it has begun without its image")
sys.modules["this_is_preloaded"] = os
runs(made)
second.do_deferred()
os.kill(process.pid, signal.SIGKILL)
runs(made)
second.close()
made.spawner = first
runs(made)
"""


def test_a_second_spawner_has_an_image_of_its_own():
    """It preloads what it likes, uses the same cgroups, and neither depends on the other."""
    code = BEGIN + SECOND
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("ModuleNotFoundError")) == (0, 2), done.stderr


def test_a_spare_and_a_spawner_end_with_their_parent():
    """Nothing waits for ever for a launch that nobody can give any more."""
    code = BEGIN + "made = Spawning()\nmade.spawner.prepare(2)\nruns(made)\nos.kill(os.getpid(), signal.SIGKILL)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"", "read to the end: every process that held the pipe is gone"


def test_a_step_that_fails_is_named():
    """A step whose value the launch does not set is left out."""
    code = (
        BEGIN
        + """
def fail(_): raise OSError(24, "Too many open files")
from supervisor.spawn import child; child.STEPS = (("chdir", "directory", None), ("open output", "", fail))
made = Spawning()
child = made.spawner.spawn(SPEC)
os.set_blocking(child.channel, True)
from supervisor.spawn.child import reason
assert reason(os.read(child.channel, 100)) == ("open output: Too many open files", True)
"""
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


PROGRAM = """
import ctypes, gc, json, os, signal, sys

PR_GET_DUMPABLE = 3

def main():
    import supervisor.host.files
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with open("/proc/self/cmdline") as file:
        title = file.read().rstrip("\\0")
    print(json.dumps({
        "argv": sys.argv,
        "title": title,
        "loaded": [name for name in sys.modules if name.startswith("supervisor.")],
        "blocked": [int(one) for one in blocked],
        "fds": [fd for fd in range(1024) if os.path.exists(f"/proc/self/fd/{fd}")],
        "inherited": [fd for fd in range(1024) if os.path.exists(f"/proc/self/fd/{fd}") and os.get_inheritable(fd)],
        "dumpable": ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
        "gc": gc.isenabled(),
        "broken": signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,
        "term": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "exe": os.readlink("/proc/self/exe"),
    }))
    sys.exit("it cannot go on")
"""

HELPER = """
sys.path.append(os.environ["PLACE"])
made = Spawning()
kept = made.fd_holder.theirs.fileno()
child = made.spawner.spawn(SPEC | {
    "title": "lab @probe /run/lab", "helper": True, "python": "program:main", "command": ("a", "b"), "kept": kept,
    "err": os.environ["PLACE"] + "/err",
})
os.set_blocking(child.channel, True)
os.write(child.channel, b"g")
assert os.read(child.channel, 100) == b"", "it has begun"
print(kept, os.waitid(os.P_PID, child.pid, os.WEXITED).si_status)
"""


def test_a_helper_is_a_fork_that_loads_the_package_again(tmp_path: Path):
    """So it shares the interpreter, but its modules are those of the version that is installed now."""
    (tmp_path / "program.py").write_text(PROGRAM)
    os.mkfifo(tmp_path / "err")
    reader = os.open(tmp_path / "err", os.O_RDONLY | os.O_NONBLOCK)
    words, env = [sys.executable, "-c", BEGIN + HELPER], {**os.environ, "PLACE": str(tmp_path)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said, last = done.stdout.splitlines()
    kept, code = map(int, last.split())
    assert json.loads(said) == {
        "argv": ["program:main", "a", "b"],
        "title": "supervisor: lab @probe /run/lab",
        "loaded": ["supervisor.version", "supervisor.host", "supervisor.host.lookup", "supervisor.host.files"],
        "blocked": [signal.SIGTERM],
        "fds": [0, 1, 2, kept],
        "inherited": [0, 1, 2],
        "dumpable": 0,
        "gc": True,
        "broken": True,
        "term": True,
        "exe": os.path.realpath(sys.executable),
    }
    assert (code, os.read(reader, 100)) == (1, b"it cannot go on\n")
    os.close(reader)
