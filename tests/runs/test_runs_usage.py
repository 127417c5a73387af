"""Resource use of runs, measured on real processes and on files like those of a cgroup."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor.helpers.sampler import Sampler
from supervisor.host import clock, mark, procfs, procload
from supervisor.host.procload import figures
from supervisor.runs import proctree
from supervisor.runs.usage import Usage, rates, usage_of, with_psutil
from supervisor.store.statefile import SAMPLES

LARGE = "import time; b = b'x' * (30 << 20); print(flush=True); time.sleep(1000)"


@pytest.fixture
def tree():
    """A shell with two Pythons below it, each with 30 MiB of its own."""
    one = f'{sys.executable} -c "{LARGE}"'
    shell = subprocess.Popen(
        ["sh", "-c", f"{one} & {one} & wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert shell.stdout
    shell.stdout.readline()
    shell.stdout.readline()
    yield shell
    os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate()


def test_the_whole_tree_is_counted(tree):
    usage = usage_of(proctree.descendants([tree.pid]), "")
    assert usage is not None
    assert usage.processes == 3
    assert usage.threads >= 3
    assert 60 << 20 < usage.memory < 120 << 20
    assert usage.cpu > 0
    assert usage.switches > 0
    assert usage.files >= 9


@pytest.mark.parametrize("look", [figures, with_psutil])
def test_the_slow_figures_are_those_of_the_kernel(tree, look):
    usage = usage_of([tree.pid], "", look)
    assert usage is not None
    assert usage.cpu == procload.load(tree.pid).cpu

    def figure(name: str, label: str) -> int:
        lines = Path(f"/proc/{tree.pid}/{name}").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{label}:"))

    switches = figure("status", "voluntary_ctxt_switches") + figure("status", "nonvoluntary_ctxt_switches")
    assert (usage.read, usage.written) == (figure("io", "read_bytes"), figure("io", "write_bytes"))
    assert (usage.switches, usage.files) == (switches, len(os.listdir(f"/proc/{tree.pid}/fd")))


@pytest.mark.parametrize("look", [figures, with_psutil])
def test_an_ended_process_uses_nothing(look):
    gone = subprocess.Popen(["true"])
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
    assert usage_of([gone.pid], "", look) is None, "it is a zombie"
    gone.wait()
    assert usage_of([gone.pid], "", look) is None
    assert usage_of([gone.pid], "/nowhere", look) is None


def test_psutil_is_loaded_only_when_a_client_asks(tmp_path):
    """It would take a megabyte in a process that lives as long as the machine."""
    code = (
        "import os, sys\n"
        "from supervisor.host import procload\n"
        "from supervisor.runs.usage import Meter\n"
        "meter, members = Meter('web:1/1@e', '', 0.0), procload.loads([os.getpid()])\n"
        "for asked in (False, True):\n"
        "    found = meter.measure(members, 9.0, in_full=True, asked=asked)\n"
        "    print('psutil' in sys.modules, found['files'] > 2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["False True", "True True"]


def test_a_cgroup_tells_what_it_counts_and_the_processes_the_rest(tmp_path, tree):
    files = {
        "cgroup.procs": f"{tree.pid}\n",
        "cpu.stat": "usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n",
        "memory.current": "9000000\n",
        "memory.stat": "anon 1\ninactive_file 1000000\n",
        "io.stat": "8:0 rbytes=100 wbytes=20 rios=1 wios=2\n9:0 rbytes=11 wbytes=2 rios=0 wios=0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    usage = usage_of([tree.pid], str(tmp_path))
    assert usage is not None
    assert (usage.cpu, usage.memory, usage.read, usage.written, usage.processes) == (2.5, 8_000_000, 111, 22, 1)
    (tmp_path / "memory.current").unlink()
    (tmp_path / "io.stat").unlink()
    usage = usage_of([tree.pid], str(tmp_path))
    assert usage is not None
    assert usage.memory < 8_000_000
    assert usage.read is not None


ESCAPED = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    b = b"x" * (30 << 20)
print(os.getpid(), flush=True)
if "b" not in globals():
    os.wait()
    print(0, flush=True)
time.sleep(1000)
"""


@pytest.fixture
def escaped(tmp_path):
    """The leader of a run whose grandchild has left its session and its parent, with 30 MiB of its own."""
    known = mark.number("web:1/1@e", str(tmp_path))
    command = [sys.executable, "-c", ESCAPED]
    leader = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: mark.set_own(known))
    assert leader.stdout
    pids = {int(leader.stdout.readline()) for _ in range(3)} - {0}
    assert proctree.descendants([leader.pid]) == [leader.pid]
    yield leader
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    leader.communicate()


class _NoHistory:
    path = ""


def sampled(here: Path, run: dict) -> dict:
    """What the sampler publishes of a run."""
    line = json.dumps({"instance": "web:1", "run": {"id": "web:1/1@e", "began": 0.0, **run}}, separators=(",", ":"))
    (here / "journal").write_text(f"{line}\n")
    (here / "samples").mkdir(exist_ok=True)
    sampler = Sampler(str(here), _NoHistory(), lambda level, text: pytest.fail(f"{level}: {text}"))
    sampler.due(clock.now())
    while sampler.next_deadline() == 0.0:
        sampler.due(clock.now())
    return SAMPLES.read(str(here))["instances"]["web:1"]


def test_a_grandchild_outside_of_session_and_tree_is_in_the_samples(tmp_path, escaped):
    found = sampled(tmp_path, {"pid": escaped.pid, "cgroup": ""})
    assert found["processes"] == 2
    assert found["memory"] > 30 << 20


def test_a_run_in_a_cgroup_needs_no_scan_of_all_processes(tmp_path, escaped, monkeypatch):
    (tmp_path / "cgroup.procs").write_text(f"{escaped.pid}\n")
    monkeypatch.setattr(procfs, "pids", lambda: pytest.fail("all processes are looked at"))
    assert sampled(tmp_path, {"pid": escaped.pid, "cgroup": str(tmp_path)})["processes"] == 1


FEW = {"processes": 1, "threads": 2, "switches": 7, "files": 3}


def usage(**changes) -> Usage:
    return Usage(**({"cpu": 10.0, "memory": 5, "read": 100, "written": 0} | FEW | changes))


@pytest.mark.parametrize(
    ("before", "after", "seconds", "expected"),
    [
        (None, usage(), 100.0, {"cpu": 10.0, "read": 1.0}),
        (usage(), usage(cpu=11.5, read=130), 15.0, {"cpu": 10.0, "read": 2.0}),
        (usage(), usage(cpu=9.0), 15.0, {"cpu": 0.0}),
        (usage(), usage(read=None), 15.0, {"read": None}),
        (usage(), usage(), 0.0, {"cpu": None}),
    ],
)
def test_rates(before, after, seconds, expected):
    found = rates(before, after, seconds)
    assert {name: found[name] for name in expected} == expected
    assert found["memory"] == 5


def test_a_busy_process_is_at_a_hundred_percent():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        deadline = time.monotonic() + 20
        while not Path(f"/proc/{busy.pid}/stat").read_text().split()[13] > "2":
            assert time.monotonic() < deadline
        before, then = usage_of([busy.pid], ""), time.monotonic()
        while (after := usage_of([busy.pid], "")).cpu < before.cpu + 0.2:
            assert time.monotonic() < deadline
        assert 1 < rates(before, after, time.monotonic() - then)["cpu"] < 120
    finally:
        busy.kill()
        busy.wait()
