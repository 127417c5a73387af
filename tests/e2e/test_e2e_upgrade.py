"""`supctl upgrade`: another version in the same process, under living tasks. The other version is a changed copy."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from lab import PATIENCE, SUPCTL, SUPERVISOR, Lab, alive, wait_for

import supervisor
from supervisor.version import __version__

TASKS = """
[task.steady]
command = "sleep 1000"
[task.limits]
command = "sh -c 'ulimit -Sn >> {dir}/limits; exec sleep 1000'"
[task.crashes]
command = "sh -c 'exit 3'"
backoff = {{ initial = "100s", max = "100s", jitter = 0 }}
[task.told]
command = "sh -c 'read line < {dir}/fifo; exit 7'"
restart = "never"
"""

AT_START = "    log = Log()\n"
"""The first line of boot.supervise: not reached by a rehearsal."""

WAITS = """    import pathlib, time
    pathlib.Path("{dir}/arrived").touch()
    while not pathlib.Path("{dir}/go").exists():
        time.sleep(0.01)
"""
"""The new program waits for the test: what happens meanwhile happens during the exec."""


def begin(lab: Lab) -> dict[str, int]:
    """The tasks under the program as it is; another one would be found first."""
    os.mkfifo(lab.dir / "fifo")
    lab.start(TASKS.format(dir=lab.dir), env={"PYTHONPATH": str(lab.dir / "new")})
    pids = lab.up("steady", "limits", "told")
    wait_for(lambda: lab.tasks()["crashes"]["state"] == "backoff", "it waits for its restart")
    return pids


def install(lab: Lab, version: str, file: str = "program/boot.py", old: str = "", new: str = "") -> None:
    """A copy of this program with another version, and one change."""
    place = lab.dir / "new" / "supervisor"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(Path(supervisor.__file__).parent, place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "version.py").write_text(f'__version__ = "{version}"\n')
    text = (place / file).read_text()
    assert old in text
    (place / file).write_text(text.replace(old, new + old, 1))


def upgrading(lab: Lab) -> "subprocess.Popen[str]":
    """A supctl that asks for it; comes back when the new program waits."""
    lab.hang_up()
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
    asking = subprocess.Popen([*SUPCTL, "upgrade"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for((lab.dir / "arrived").exists, "the new program has begun")
    return asking


def went_well(asking: "subprocess.Popen[str]") -> None:
    """What supctl says of it in the end."""
    out, err = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 0, err
    assert "to 9.9.9 (pid stays" in out


def test_an_upgrade_changes_only_the_program(lab: Lab) -> None:
    pids = begin(lab)
    lab.ctl("freeze", "steady", "--reason", "wait")
    lab.ctl("pause", "told")
    before = lab.tasks()
    install(lab, "9.9.9")
    lab.hang_up()
    said = lab.ctl("upgrade").out
    assert said == f"upgraded from {__version__} to 9.9.9 (pid stays {lab.pid}), 3 tasks adopted\n"
    lab.follow()
    assert lab.ctl("version", "--json").json["supervisor"] == "9.9.9"
    after = lab.tasks()
    kept = ("pid", "run", "state", "restarts", "failures", "since", "last_exit", "paused")
    for name in before:
        assert {key: after[name][key] for key in kept} == {key: before[name][key] for key in kept}
    assert all(after[name]["pid"] == pid and alive(pid) for name, pid in pids.items())
    assert after["crashes"]["next"] == before["crashes"]["next"], "the wait goes on as it was"
    assert "wait" in lab.ctl("restart", "steady", code=None).err, "still frozen"
    lab.ctl("restart", "limits")
    first, second = wait_for(lambda: len(found := (lab.dir / "limits").read_text().split()) == 2 and found)
    assert first == second, "the supervisor's own limit is not the tasks'"
    assert lab.until("upgrade")["to"] == "9.9.9"


NEEDS_ALL = """
[task.web]
command = "sleep 1000"
log = {{ to = "file" }}
[task.probed]
command = "sleep 1000"
ready = {{ http = "http://127.0.0.1:{port}/" }}
start_timeout = "1h"
[task.job]
every = "1h"
command = "true"
[task.python]
python = "worker:main"
directory = "{dir}"
autostart = false
[task.limited]
command = "sleep 1000"
limits = {{ open_files = 100 }}
autostart = false
"""


def begun(lab: Lab, helper: str, before: int = 0) -> int:
    """The pid of a helper that has loaded its modules: it lets SIGTERM in then."""

    def seen() -> int:
        pid = lab.helper(helper)
        with suppress(OSError):  # it has just ended
            blocked = Path(f"/proc/{pid}/status").read_text().partition("SigBlk:")[2].split()[0]
            return pid if pid != before and not int(blocked, 16) & 1 << signal.SIGTERM - 1 else 0
        return 0

    return wait_for(seen, f"@{helper} has begun")


def test_an_installed_version_that_does_not_run_yet_harms_nothing(lab: Lab) -> None:
    """The modules of a process are all of the old version or all of the new one: here no other mixture works."""
    (lab.dir / "worker.py").write_text("def main(stop):\n    stop.wait()\n")
    install(lab, "9.9.8")
    place = {"PYTHONPATH": str(lab.dir / "new")}
    with socket.create_server(("127.0.0.1", 0)) as asked:
        asked.settimeout(PATIENCE)
        tasks = NEEDS_ALL.format(dir=lab.dir, port=asked.getsockname()[1])
        lab.start(tasks, f'health_listen = "unix:{lab.dir}/health.sock"\n', env=place)
        asked.accept()[0].close()  # @prober has loaded its kind of probe
    names = ("scribe", "prober", "timekeeper", "health")
    before = {name: begun(lab, name) for name in names}
    install(lab, "9.9.9")
    for path in (lab.dir / "new/supervisor").rglob("*.py"):
        first = "from __future__ import annotations\n"
        path.write_text(path.read_text().replace(first, f"{first}from supervisor.version import new\n", 1))
    (lab.dir / "new/supervisor/version.py").write_text('__version__ = new = "9.9.9"\n')
    for killed in (*names, "scribe"):
        os.kill(before[killed], signal.SIGKILL)
        before[killed] = begun(lab, killed, before[killed])
    for holder in (lab.run / "notify_holders").glob("*"):
        os.kill(int(holder.name), signal.SIGKILL)
    for task in ("python", "limited", "python", "limited"):
        lab.ctl("restart", task)
    assert not [line for line in lab.stderr.splitlines() if "cannot start" in line or "Traceback" in line]


def test_an_exit_during_the_exec_is_known(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", old=AT_START, new=WAITS.format(dir=lab.dir))
    asking = upgrading(lab)
    (lab.dir / "fifo").write_text("end\n")
    wait_for(lambda: not alive(pids["told"]), "it has ended, and nobody has seen it yet")
    (lab.dir / "go").touch()
    lab.follow()
    wait_for(lambda: lab.tasks()["told"]["state"] != "running", "the end is told")
    assert lab.tasks()["told"]["last_exit"]["code"] == 7
    went_well(asking)


def test_an_exit_after_the_exec_is_known(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9")
    lab.hang_up()
    lab.ctl("upgrade")
    lab.follow()
    (lab.dir / "fifo").write_text("end\n")
    assert lab.until(name="told", pid=pids["told"])["exit"]["code"] == 7


def test_messages_during_the_exec_count(lab: Lab) -> None:
    script = lab.dir / "speaks.py"
    script.write_text(
        "import os, socket, time\n"
        "open('fifo').read()\n"
        "mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "mouth.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
        "open('said', 'w').close()\n"
        "time.sleep(1000)\n"
    )
    os.mkfifo(lab.dir / "fifo")
    task = f'[task.web]\nready = "notify"\ndirectory = "{lab.dir}"\ncommand = "python3 {script}"\n'
    lab.start(task, env={"PYTHONPATH": str(lab.dir / "new")})
    install(lab, "9.9.9", old=AT_START, new=WAITS.format(dir=lab.dir))
    asking = upgrading(lab)
    (lab.dir / "fifo").write_text("now\n")
    wait_for((lab.dir / "said").exists, "it has spoken to nobody")
    (lab.dir / "go").touch()
    lab.follow()
    assert lab.until(name="web", to="running")
    went_well(asking)


def test_sigterm_during_the_exec_is_obeyed(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", old=AT_START, new=WAITS.format(dir=lab.dir))
    asking = upgrading(lab)
    os.kill(lab.pid, signal.SIGTERM)
    (lab.dir / "go").touch()
    assert lab.expect_exit() == 0
    assert not any(map(alive, pids.values()))
    asking.kill()
    asking.communicate()


def test_no_second_supervisor_can_start_during_an_upgrade(lab: Lab) -> None:
    begin(lab)
    install(lab, "9.9.9", old=AT_START, new=WAITS.format(dir=lab.dir))
    asking = upgrading(lab)
    second = [*SUPERVISOR, "-c", str(lab.path)]
    done = subprocess.run(second, env=lab.env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert f"another supervisor (pid {lab.pid})" in done.stderr
    (lab.run / "lock").unlink()
    done = subprocess.run(second, env=lab.env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, "the name without a file is held as well"
    (lab.dir / "go").touch()
    went_well(asking)


def refused(lab: Lab, pids: dict[str, int]) -> str:
    """An upgrade that is refused: nothing has happened. Returns what is said."""
    since = lab.ask("status")["answer"]["supervisor"]["since"]
    answer = lab.ctl("upgrade", code=1)
    assert "nothing was changed" in answer.err
    assert lab.ask("status")["answer"]["supervisor"]["since"] == since, "the same program"
    assert {name: lab.tasks()[name]["pid"] for name in pids} == pids
    return answer.err


def test_a_broken_config_is_refused(lab: Lab) -> None:
    pids = begin(lab)
    lab.write("[task.steady]\ncomand = 'sleep'\n")
    assert 'did you mean "command"' in refused(lab, pids)


@pytest.mark.parametrize(
    "file", ["__init__.py", "program/main.py", "shell/parent.py", "config/schema.py", "helpers/scribe.py"]
)
def test_a_program_that_cannot_be_imported_is_refused(lab: Lab, file: str) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", file)
    with (lab.dir / "new/supervisor" / file).open("a") as text:
        text.write("\nimport no_such_module\n")
    assert "no_such_module" in refused(lab, pids)


def test_a_program_that_cannot_read_the_journal_is_refused(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", "store/journal.py", old="COMPACT_ABOVE =", new="VERSION = 2\n")
    assert "has version 1, not 2" in refused(lab, pids)


def test_a_client_that_connects_during_the_exec_waits(lab: Lab) -> None:
    begin(lab)
    install(lab, "9.9.9", old=AT_START, new=WAITS.format(dir=lab.dir))
    asking = upgrading(lab)
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
    other = subprocess.Popen([*SUPCTL, "version"], env=env, stdout=subprocess.PIPE, text=True)
    (lab.dir / "go").touch()
    assert "supervisor 9.9.9" in other.communicate(timeout=PATIENCE)[0]
    went_well(asking)


@pytest.mark.parametrize(
    "fails", ["    raise RuntimeError('broken at its start')\n", "    import os; os.kill(os.getpid(), 11)\n"]
)
def test_a_version_that_fails_after_the_exec_is_reported_at_once(lab: Lab, fails: str) -> None:
    """The tasks go on. The next supervisor, of a working version, adopts them."""
    pids = begin(lab)
    install(lab, "9.9.9", old=AT_START, new=fails)
    lab.hang_up()
    said = lab.ctl("upgrade", code=1).err
    assert f"the new version (pid {lab.pid}) ended" in said
    assert "the tasks keep running" in said
    lab.expect_exit()
    install(lab, "9.9.10")
    lab.start(env={"PYTHONPATH": str(lab.dir / "new")})
    assert lab.ctl("version", "--json").json["supervisor"] == "9.9.10"
    assert {name: lab.tasks()[name]["pid"] for name in pids} == pids
    assert all(map(alive, pids.values()))
