"""What runs use, measured on real processes and on files as a cgroup has them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor.host.usage import Usage, rates, usage_of

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
    usage = usage_of(tree.pid, "")
    assert usage is not None
    assert usage.processes == 3
    assert usage.threads >= 3
    assert 60 << 20 < usage.memory < 120 << 20
    assert usage.cpu > 0
    assert usage.switches > 0
    assert usage.files >= 9


def test_nothing_is_used_by_what_is_gone():
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert usage_of(gone.pid, "") is None
    assert usage_of(gone.pid, "/nowhere") is None


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
    usage = usage_of(tree.pid, str(tmp_path))
    assert usage is not None
    assert (usage.cpu, usage.memory, usage.read, usage.written, usage.processes) == (2.5, 8_000_000, 111, 22, 1)
    (tmp_path / "memory.current").unlink()
    (tmp_path / "io.stat").unlink()
    usage = usage_of(tree.pid, str(tmp_path))
    assert usage is not None
    assert usage.memory < 8_000_000
    assert usage.read is not None


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
        before, then = usage_of(busy.pid, ""), time.monotonic()
        while (after := usage_of(busy.pid, "")).cpu < before.cpu + 0.2:
            assert time.monotonic() < deadline
        assert 1 < rates(before, after, time.monotonic() - then)["cpu"] < 120
    finally:
        busy.kill()
        busy.wait()
