"""`supctl upgrade`: another program in the same process, under living tasks. It is a changed copy of ours."""

import os
import shutil
import signal
import subprocess
import sys
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


def install(lab: Lab, version: str, file: str = "boot.py", old: str = "", new: str = "") -> None:
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


def test_nothing_changes_but_the_program(lab: Lab) -> None:
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


def test_what_is_said_during_the_exec_is_heard(lab: Lab) -> None:
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


def test_no_second_supervisor_can_start_meanwhile(lab: Lab) -> None:
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


DIES = "    import signal\n    os.kill(os.getpid(), signal.SIGSEGV)\n"

EARLY = """
import os, signal
from supervisor import app
from supervisor.host import spawner
begin = spawner.Spawner.__init__
def early(self):
    os.kill(os.getpid(), signal.SIGTERM)
    begin(self)
spawner.Spawner.__init__ = early
app.main()
"""


def killed_on_its_trial(lab: Lab) -> None:
    """An upgrade whose new version was killed by a signal; what has asked for it is told so."""
    install(lab, "9.9.9", old="    host.settled()\n", new=DIES)
    lab.hang_up()
    asking = subprocess.Popen(
        [*SUPCTL, "upgrade"],
        env={**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert lab.expect_exit() == -signal.SIGSEGV
    asking.kill()
    asking.communicate()


def test_a_version_that_is_killed_on_its_trial_is_followed_by_the_old_one(lab: Lab) -> None:
    """By nobody at once, as the process is gone; but whoever starts the new one, as systemd does, gets the old one."""
    pids = begin(lab)
    killed_on_its_trial(lab)
    lab.start(env={"PYTHONPATH": str(lab.dir / "new")})
    told = lab.ctl("version", "--json").json
    assert told["supervisor"] == __version__
    assert told["upgrade"]["why"] == "it was killed before its trial was over"
    assert all(lab.tasks()[name]["pid"] == pid and alive(pid) for name, pid in pids.items())
    assert not (lab.run / "trial.json").exists(), "it is over"


def test_a_version_that_is_installed_after_that_is_not_taken_for_it(lab: Lab) -> None:
    pids = begin(lab)
    killed_on_its_trial(lab)
    install(lab, "9.9.9", old="    host.settled()\n", new="    # mended\n")
    lab.start(env={"PYTHONPATH": str(lab.dir / "new")})
    told = lab.ctl("version", "--json").json
    assert (told["supervisor"], told["upgrade"]) == ("9.9.9", None)
    assert all(lab.tasks()[name]["pid"] == pid and alive(pid) for name, pid in pids.items())
    assert not (lab.run / "trial.json").exists(), "nobody is on trial"


def test_sigterm_before_the_old_version_is_back_is_obeyed(lab: Lab) -> None:
    pids = begin(lab)
    killed_on_its_trial(lab)
    command = [sys.executable, "-c", EARLY, "-c", str(lab.path)]
    lab.start(command=command, env={"PYTHONPATH": str(lab.dir / "new")}, wait=False)
    assert lab.expect_exit() == 0
    assert f"back to {__version__}" in lab.stderr
    assert not any(map(alive, pids.values()))


def test_sigterm_before_a_version_fails_is_obeyed_by_the_old_one(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", old=AT_START, new="    import signal; os.kill(os.getpid(), signal.SIGTERM)\n")
    boot = lab.dir / "new/supervisor/boot.py"
    boot.write_text(boot.read_text().replace("    host.settled()\n", "    raise MemoryError('after the adoption')\n"))
    lab.hang_up()
    lab.ctl("upgrade", code=1)
    assert lab.expect_exit() == 0
    assert f"failed, back to {__version__}: MemoryError" in lab.stderr
    assert not any(map(alive, pids.values()))


def test_a_sweep_forgets_the_trial(lab: Lab) -> None:
    """Who starts next begins anew, with whatever is installed."""
    begin(lab)
    killed_on_its_trial(lab)
    assert (lab.run / "trial.json").exists()
    for _ in range(2):  # the first has something to kill
        subprocess.run([*SUPERVISOR, "-c", str(lab.path), "--sweep"], env=lab.env, timeout=PATIENCE, check=True)
        assert not (lab.run / "trial.json").exists()
        (lab.run / "trial.json").touch()


def test_a_broken_config_is_refused(lab: Lab) -> None:
    pids = begin(lab)
    lab.write("[task.steady]\ncomand = 'sleep'\n")
    assert 'did you mean "command"' in refused(lab, pids)


@pytest.mark.parametrize("file", ["__init__.py", "app.py", "parent.py", "config/schema.py", "helpers/scribe.py"])
def test_a_program_that_cannot_be_imported_is_refused(lab: Lab, file: str) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", file)
    with (lab.dir / "new/supervisor" / file).open("a") as text:
        text.write("\nimport no_such_module\n")
    assert "no_such_module" in refused(lab, pids)


def test_a_program_that_cannot_read_the_journal_is_refused(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", "store/records.py", old="COMPACT_ABOVE =", new="VERSION = 2\n")
    assert "has version 1, not 2" in refused(lab, pids)


def test_a_program_whose_journal_the_old_one_could_not_read_is_refused(lab: Lab) -> None:
    """It might fail on its trial, and the old one would start everything a second time."""
    pids = begin(lab)
    record = '    record["stop"] = ['
    install(lab, "9.9.9", "store/records.py", old=record, new='    record["state"] = "aloft"\n')
    assert "the running version could not take over again: exit 1: the record of" in refused(lab, pids)


def test_what_a_version_that_failed_has_added_to_the_journal_doubles_nothing(lab: Lab) -> None:
    pids = begin(lab)
    fails = """    host.remember([record_of(i) for i in parent.fleet.instances.values()])
    raise KeyError(journal.path)
"""
    install(lab, "9.9.9", old="    host.settled()\n", new=fails)
    place = lab.dir / "new" / "supervisor"
    boot, instance = place / "boot.py", place / "core/instance.py"
    boot.write_text(boot.read_text().replace("import Journal, boot_id", "import Journal, boot_id, record_of"))
    added = '    added: str = "of a later version"\n'
    text = instance.read_text()
    for before in ('    breach: str = ""', '    asked: str = ""', "    undone: bool = False", "    bark: float | None"):
        assert before in text
        text = text.replace(before, added + before)
    instance.write_text(text)
    lab.hang_up()
    assert f"9.9.9 has failed, {__version__} goes on" in lab.ctl("upgrade", code=1).err
    lab.follow()
    assert {name: lab.tasks()[name]["pid"] for name in pids} == pids
    assert "not trusted" not in lab.stderr


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (AT_START, "    raise RuntimeError('broken at its start')\n", "broken at its start"),
        (AT_START, "    return 1\n", "it ended with 1"),
        (AT_START, "    import sys; sys.exit('no way')\n", "no way"),
        ("    host.settled()\n", "    raise MemoryError('after the adoption')\n", "after the adoption"),
        ("    while parent.turn(", "    parent.turn(0); raise KeyError('in its loop')\n", "in its loop"),
    ],
)
def test_a_program_that_fails_at_its_start_is_followed_by_the_old_one(lab: Lab, old: str, new: str, why: str) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", old=old, new=new)
    lab.hang_up()
    said = lab.ctl("upgrade", code=1).err
    assert f"9.9.9 has failed, {__version__} goes on (pid {lab.pid})" in said
    assert why in said
    lab.follow()
    assert lab.until("upgrade")["why"]
    assert lab.ctl("version", "--json").json["supervisor"] == __version__
    assert {name: lab.tasks()[name]["pid"] for name in pids} == pids
    wait_for(lab.scribe, "the helpers of the old program run from the copy, too")
    (lab.dir / "fifo").write_text("end\n")
    assert lab.until(name="told", pid=pids["told"])["exit"]["code"] == 7


def test_after_a_failure_the_next_version_is_as_welcome(lab: Lab) -> None:
    pids = begin(lab)
    install(lab, "9.9.9", old=AT_START, new="    raise RuntimeError('broken')\n")
    lab.hang_up()
    lab.ctl("upgrade", code=1)
    install(lab, "9.9.10")
    assert "to 9.9.10" in lab.ctl("upgrade").out
    assert {name: lab.tasks()[name]["pid"] for name in pids} == pids


def test_who_connects_meanwhile_waits(lab: Lab) -> None:
    begin(lab)
    install(lab, "9.9.9", old=AT_START, new=WAITS.format(dir=lab.dir))
    asking = upgrading(lab)
    env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
    other = subprocess.Popen([*SUPCTL, "version"], env=env, stdout=subprocess.PIPE, text=True)
    (lab.dir / "go").touch()
    assert "supervisor 9.9.9" in other.communicate(timeout=PATIENCE)[0]
    went_well(asking)


def test_the_copy_of_an_earlier_version_is_not_taken_for_ours(lab: Lab) -> None:
    """When no copy can be made: what an upgrade would go back to is another program then."""
    lab.run.mkdir()
    (lab.run / "program.zip").write_bytes(b"of an earlier version")
    (lab.run / "program.zip.new").mkdir()
    lab.start('[task.a]\ncommand = "sleep 1000"')
    pid = lab.up("a")["a"]
    wait_for(lambda: "no copy of this program for the case of an upgrade" in lab.stderr)
    assert "no copy of the running program can be kept" in lab.ctl("upgrade", code=1).err
    assert lab.tasks()["a"]["pid"] == pid
