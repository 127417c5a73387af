"""Pools with real programs: who holds a slot, for how long, and over whose death."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pytest
from lab import PATIENCE, SUPCTL, Lab, alive, wait_for

from supervisor.host.lookup import FOR_TASKS

GPU = "[pool.gpu]\nslots = 1\n"
WEB = '[task.web]\ncommand = "sleep 1000"\npool = "gpu"\nautostart = false\n'

Hold = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def hold(lab: Lab) -> Any:
    """Begin `supctl pool …`, and end it with the test."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str, **popen: Any) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [*SUPCTL, "--socket", str(lab.socket), "pool", *words]
        one = subprocess.Popen(command, env=lab.env, text=True, cwd=lab.dir, **{**pipes, **popen})
        begun.append(one)
        return one

    yield begin
    for one in begun:
        with suppress(ProcessLookupError):
            one.kill()
        one.communicate()


def pool(lab: Lab, name: str = "gpu") -> dict[str, Any]:
    (one,) = lab.ask("pool", name=name)["answer"]["pools"]
    return dict(one)


def waiting(lab: Lab, count: int) -> None:
    wait_for(lambda: len(pool(lab)["waiting"]) == count, f"{count} wait")


def held(lab: Lab, process: "subprocess.Popen[str]") -> None:
    wait_for(lambda: [one["pid"] for one in pool(lab)["holders"]] == [process.pid], "it has the slot")


def test_the_command_has_the_slot_until_it_ends(lab: Lab, hold: Hold) -> None:
    lab.start(GPU + WEB)
    cat = hold("gpu", "--", "cat")
    taken = lab.until("slots-taken")
    assert (taken["pid"], taken["program"], taken["slots"]) == (cat.pid, "cat", 1)
    wait_for(lambda: os.readlink(f"/proc/{cat.pid}/exe").endswith(("cat", "coreutils", "busybox")), "it is the command")
    lab.ctl("start", "web", code=3)
    assert f"waits for pool gpu: 1 of 1 slot is used by cat (pid {cat.pid}, " in lab.ctl("why", "web").out
    shown = lab.ctl("pool").out.splitlines()[1].split()
    assert shown[:5] == ["gpu", "1", "1", "1", "cat"]
    assert cat.communicate("hello", timeout=PATIENCE)[0] == "hello"
    assert lab.until("slots-released")["why"] == "it has ended"
    lab.until(name="web", to="running")


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (("sh", "-c", "exit 7"), 7, ""),
        (("sh", "-c", "kill -TERM $$"), -signal.SIGTERM, ""),
        (("/nowhere/program",), 127, "cannot execute /nowhere/program: command not found"),
        (("/etc",), 126, "cannot execute /etc: Permission denied"),
        (("caf\udce9",), 127, "cannot execute caf"),
    ],
)
def test_the_exit_code_is_that_of_the_command(
    lab: Lab, hold: Hold, command: tuple[str, ...], code: int, text: str
) -> None:
    lab.start(GPU)
    one = hold("gpu", "--", *command)
    assert text in one.communicate(timeout=PATIENCE)[1]
    assert one.returncode == code
    lab.until("slots-released")
    assert pool(lab)["used"] == 0


def test_a_command_has_the_signals_of_a_shell(lab: Lab) -> None:
    """Python ignores SIGPIPE; a command that is executed by it must not."""
    lab.start(GPU)
    shown = lab.ctl("pool", "gpu", "--", "grep", "SigIgn", "/proc/self/status").out
    assert int(shown.split()[1], 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_no_slot_in_time(lab: Lab, hold: Hold) -> None:
    lab.start(GPU)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    used = f"1 of 1 slot is used by cat (pid {cat.pid}, "
    assert f"no slot of pool gpu at once: {used}" in lab.ctl("pool", "gpu", "--wait", "0", "--", "true", code=1).err
    began = time.monotonic()
    assert f"within 300ms: {used}" in lab.ctl("pool", "gpu", "--wait", "300ms", "--", "true", code=1).err
    assert time.monotonic() - began >= 0.3
    assert "did you mean 'gpu'?" in lab.ctl("pool", "gpus", "--", "true", code=4).err
    assert "no pool 'x'; there are: gpu" in lab.ctl("pool", "x", code=4).err
    assert "has 1 slots, not 2" in lab.ctl("pool", "gpu", "--slots", "2", "--", "true", code=1).err
    assert "which pool?" in lab.ctl("pool", "--", "true", code=2).err
    assert "are for a command" in lab.ctl("pool", "gpu", "--wait", "1s", code=2).err
    assert pool(lab)["waiting"] == []


def test_holders_leave_enough_descriptors_for_tasks(lab: Lab, hold: Hold) -> None:
    """Each holder costs the supervisor one, and slots may be many."""
    lab.start("[pool.gpu]\nslots = 1000\n" + WEB)
    used = len(os.listdir(f"/proc/{lab.pid}/fd"))
    soft, hard = resource.prlimit(lab.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(lab.pid, resource.RLIMIT_NOFILE, (used + FOR_TASKS + 10, hard))
    cats = []
    while not any(one.poll() is not None for one in cats):
        assert len(cats) < 20
        cats.append(hold("gpu", "--", "cat"))
        wait_for(lambda: cats[-1].poll() is not None or cats[-1].pid in [one["pid"] for one in pool(lab)["holders"]])
    assert len(cats) > 1
    assert cats[-1].returncode == 1
    assert "no slot of pool gpu: your process cannot be watched: Too many open files" in cats[-1].communicate()[1]
    assert lab.ctl("start", "web").code == 0
    resource.prlimit(lab.pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: hold("gpu", "--", "true").wait(PATIENCE) == 0)


def test_a_holder_keeps_its_slot_over_a_kill_of_the_supervisor(lab: Lab, hold: Hold) -> None:
    lab.start(GPU + WEB)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    for how in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        lab.end(how)
        assert alive(cat.pid)
        lab.start()
        assert [one["pid"] for one in pool(lab)["holders"]] == [cat.pid]
        assert lab.ctl("start", "web", code=3).out.startswith("web: held: waits for pool gpu")
    lab.hang_up()
    lab.ctl("upgrade")
    lab.follow()
    assert [one["pid"] for one in pool(lab)["holders"]] == [cat.pid]
    cat.communicate(timeout=PATIENCE)
    lab.until(name="web", to="running")


def test_a_holder_that_dies_while_there_is_no_supervisor_is_found_out(lab: Lab, hold: Hold) -> None:
    lab.start(GPU + WEB)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    lab.end(signal.SIGKILL)
    cat.kill()
    wait_for(lambda: not alive(cat.pid), "it is dead, though not reaped yet")
    lab.start()
    assert lab.until("slots-released")["pid"] == cat.pid
    lab.ctl("start", "web")


def test_another_process_with_the_pid_of_a_holder_has_no_slot(lab: Lab, hold: Hold) -> None:
    """As if the pid was reused: the journal says another birth."""
    lab.start(GPU)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    lab.end(signal.SIGKILL)
    journal = lab.run / "journal"
    text = journal.read_text()
    birth = json.loads(next(line for line in text.splitlines() if '"fleet":"holder' in line))["holder"]["birth"]
    journal.write_text(text.replace(f'"birth":{birth},"program"', f'"birth":{birth - 1},"program"'))
    lab.start()
    assert pool(lab)["used"] == 0


def test_a_damaged_record_of_a_holder_stops_nobody(lab: Lab, hold: Hold) -> None:
    lab.start(GPU)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    lab.end(signal.SIGKILL)
    with (lab.run / "journal").open("a") as file:
        for number, record in enumerate((None, [], {}, {"pool": "gpu"}, {"pool": 1, "pid": "x"})):
            file.write(json.dumps({"fleet": f"holder {number}", "holder": record}) + "\n")
    lab.start()
    assert [one["pid"] for one in pool(lab)["holders"]] == [cat.pid]
    assert lab.stderr.count("is not usable") == 5


def test_a_client_that_waits_asks_the_next_supervisor(lab: Lab, hold: Hold) -> None:
    lab.start(GPU)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    patient = hold("gpu", "--", "echo", "at last")
    waiting(lab, 1)
    for how in (signal.SIGKILL, signal.SIGTERM):
        lab.end(how)
        lab.start()
        waiting(lab, 1)
    cat.communicate(timeout=PATIENCE)
    assert patient.communicate(timeout=PATIENCE)[0] == "at last\n"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_client_that_is_killed_leaves_the_line(lab: Lab, hold: Hold, how: int) -> None:
    lab.start(GPU)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    first = hold("gpu", "--", "cat")
    waiting(lab, 1)
    second = hold("gpu", "--", "cat")
    waiting(lab, 2)
    first.send_signal(how)
    waiting(lab, 1)
    cat.kill()
    held(lab, second)


def test_a_hundred_wait_and_each_has_its_turn_alone(lab: Lab, hold: Hold) -> None:
    lab.start(GPU)
    (lab.dir / "log").mkdir(exist_ok=True)
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    alone = "mkdir log/lock && echo $0 >> log/turns && rmdir log/lock"
    clients = [hold("gpu", "--", "sh", "-c", alone, str(n), stdin=subprocess.DEVNULL) for n in range(100)]
    waiting(lab, 100)
    line = [one["pid"] for one in pool(lab)["waiting"]]
    cat.communicate(timeout=PATIENCE)
    for one in clients:
        _, error = one.communicate(timeout=PATIENCE)
        assert one.returncode == 0, error
    turns = [int(number) for number in (lab.dir / "log" / "turns").read_text().split()]
    assert [clients[number].pid for number in turns] == line, "first come, first served"
    wait_for(lambda: pool(lab)["used"] == 0, "the last slot is free")


def test_a_supervisor_that_is_killed_all_the_time_gives_no_slot_twice(lab: Lab, hold: Hold) -> None:
    """Thirty commands that must be alone, and a kill -9 whenever some more of them have had their turn."""
    lab.start(GPU)
    (lab.dir / "log").mkdir(exist_ok=True)
    turns = lab.dir / "log" / "turns"
    turns.touch()
    alone = "mkdir log/lock && sleep 0.1 && echo $0 >> log/turns && rmdir log/lock"
    cat = hold("gpu", "--", "cat")
    held(lab, cat)
    clients = [hold("gpu", "--", "sh", "-c", alone, str(n), stdin=subprocess.DEVNULL) for n in range(30)]
    waiting(lab, 30)
    cat.communicate(timeout=PATIENCE)
    for count in (1, 4, 9, 15, 22):
        wait_for(lambda: len(turns.read_text().split()) >= count, f"{count} had their turn")  # noqa: B023 - at once
        lab.end(signal.SIGKILL)
        lab.start()
    for one in clients:
        _, error = one.communicate(timeout=PATIENCE)
        assert one.returncode == 0, error
    assert sorted(map(int, turns.read_text().split())) == list(range(30))


def test_runs_never_use_more_slots_than_there_are(lab: Lab) -> None:
    """Four tasks that fire each second, two slots: each run makes a file, and counts those that are there."""
    count = "import os, sys, time; n = os.getpid(); open(f'slots/{n}', 'x'); c = len(os.listdir('slots')); "
    count += "open('most', 'a').write(f'{c}\\n'); time.sleep(0.1); os.unlink(f'slots/{n}')"
    (lab.dir / "slots").mkdir()
    command = json.dumps([sys.executable, "-S", "-c", count])
    more = 'schedule = "* * * * * *"\noverlap = "queue"\n'
    tasks = [f'[task.t{n}]\ncommand = {command}\ndirectory = "{lab.dir}"\npool = "two"\n{more}' for n in range(4)]
    lab.start("[pool.two]\nslots = 2\n" + "".join(tasks))
    wait_for(lambda: (lab.dir / "most").exists() and len((lab.dir / "most").read_text().split()) >= 12, "they run")
    lab.end(signal.SIGKILL)
    lab.start()
    before = len((lab.dir / "most").read_text().split())
    wait_for(lambda: len((lab.dir / "most").read_text().split()) >= before + 12, "they go on")
    assert max(map(int, (lab.dir / "most").read_text().split())) == 2


def test_one_process_holds_slots_of_two_pools(lab: Lab, hold: Hold) -> None:
    lab.start(GPU + "[pool.disk]\nslots = 3\n")
    inner = [*SUPCTL, "--socket", str(lab.socket), "pool", "disk", "--slots", "2", "--"]
    cat = hold("gpu", "--", *inner, "cat")
    again = [*SUPCTL, "--socket", str(lab.socket), "pool", "disk", "--slots", "3", "--", "true"]
    greedy = hold("disk", "--wait", "0", "--", *again)
    assert f"process {greedy.pid} has 1 slot of pool disk, and would wait for itself" in greedy.communicate()[1]
    held(lab, cat)
    wait_for(lambda: pool(lab, "disk")["used"] == 2, "it has the others as well")
    assert [one["pid"] for one in pool(lab, "disk")["holders"]] == [cat.pid]
    cat.communicate(timeout=PATIENCE)
    wait_for(lambda: pool(lab)["used"] == pool(lab, "disk")["used"] == 0, "all are free")


def test_a_lock_for_a_part_of_a_run(lab: Lab) -> None:
    """A task takes a slot by supctl; when its run is stopped, the slot is free."""
    part = json.dumps([*SUPCTL, "pool", "gpu", "--", "sleep", "1000"])
    lab.start(f"{GPU}[task.part]\ncommand = {part}\n")
    pid = lab.up("part")["part"]
    wait_for(lambda: [one["pid"] for one in pool(lab)["holders"]] == [pid], "the run has it")
    lab.ctl("stop", "part")
    wait_for(lambda: pool(lab)["used"] == 0, "it is free")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, for a pid namespace")
def test_a_client_whose_pid_is_not_ours_is_refused(lab: Lab) -> None:
    """A supervisor in a pid namespace of its own sees pid 0 for clients outside of it."""
    lab.start(GPU, command=["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "supervisor", "-c",
                            str(lab.path)])  # fmt: skip
    assert "in another pid namespace" in lab.ctl("pool", "gpu", "--", "true", code=1).err
    lab.hang_up()
    lab.end(signal.SIGKILL)  # unshare ignores SIGTERM, and takes the supervisor along


def test_a_process_that_sends_its_own_pid_is_not_believed(lab: Lab) -> None:
    lab.start(GPU)
    request = {"v": 1, "verb": "pool", "args": {"name": "gpu", "command": ["x"], "pid": 1}}
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(lab.socket))
        client.sendall(json.dumps(request).encode() + b"\n")
        assert b"unknown argument 'pid'" in client.recv(1 << 16)


def test_a_client_that_closes_its_connection_after_the_answer_keeps_the_slot(lab: Lab) -> None:
    """The process counts, not the connection; a client of its own protocol may hold a slot as long as it lives."""
    lab.start(GPU)
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(lab.socket))
        client.sendall(b'{"v": 1, "verb": "pool", "args": {"name": "gpu", "command": ["\\u001b[2Jx\\n"]}}\n')
        assert b'"answer"' in client.recv(1 << 16)
    assert [one["pid"] for one in pool(lab)["holders"]] == [os.getpid()]
    assert "\x1b" not in lab.ctl("pool").out
