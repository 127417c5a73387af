"""What a task gets: variables, output, descriptors, signals, user and directory; and the Stop of a Python task."""

import json
import os
import pwd
import re
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, wait_for


def reporter(lab: Lab, name: str, keys: str = "") -> str:
    """A task that writes down what it got; a shell does not clean up behind the supervisor as Python does."""
    script = (
        f"grep -E '^(Sig|Umask|Uid|Gid|Groups)' /proc/self/status > {lab.dir}/{name}.status; "
        f"env -0 > {lab.dir}/{name}.env; "
        f"ls -l /proc/self/fd > {lab.dir}/{name}.fds; pwd > {lab.dir}/{name}.cwd; cat /proc/self/oom_score_adj > "
        f"{lab.dir}/{name}.oom; ulimit -n > {lab.dir}/{name}.nofile; echo $$ > {lab.dir}/{name}.done; exec sleep 1000"
    )
    return f"[task.{name}]\ncommand = {json.dumps(['sh', '-c', script])}\n{keys}\n"


def reported(lab: Lab, name: str, what: str) -> str:
    wait_for(lambda: (lab.dir / f"{name}.done").exists() and (lab.dir / f"{name}.done").read_text())
    return (lab.dir / f"{name}.{what}").read_text()


def environment(lab: Lab, name: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in reported(lab, name, "env").split("\0") if item)


def test_the_variables(lab: Lab) -> None:
    (lab.dir / "env").write_text("# comment\nexport FILE='from file'\nBOTH=file\n\n; another\n")
    keys = 'environment = { OWN = "${HOME_OF_TEST} $x", BOTH = "task", HERE = "${SUPERVISOR_INSTANCE}" }\n'
    keys += 'environment_file = ["env", "-missing"]'
    text = reporter(lab, "one", keys) + reporter(lab, "bare", 'inherit_environment = false\nenvironment = { A = "b" }')
    lab.start(text, env={"HOME_OF_TEST": "/there", "NOTIFY_SOCKET": "/dev/null", "INHERITED": "yes"})
    got = environment(lab, "one")
    (run,) = [task["run"] for task in lab.tasks().values() if task["name"] == "one"]
    expected = {
        "OWN": "/there $x", "FILE": "from file", "BOTH": "task", "HERE": "1", "INHERITED": "yes",
        "SUPERVISOR_TASK": "one", "SUPERVISOR_INSTANCE": "1", "SUPERVISOR_REPLICAS": "1", "SUPERVISOR_RUN": run,
        "SUPERVISOR_TRIGGER": "start", "SUPERVISOR_ATTEMPT": "1", "SUPERVISOR_LAST_EXIT": "",
        "SUPERVISOR_SOCKET": str(lab.socket),
    }  # fmt: skip
    assert {key: got.get(key) for key in expected} == expected
    assert "NOTIFY_SOCKET" not in got
    bare = environment(lab, "bare")
    added_by_sh = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {key for key in bare if not key.startswith("SUPERVISOR_")} - added_by_sh == {"A"}


def test_the_variables_of_a_restart(lab: Lab) -> None:
    lab.start(
        """
        [task.one]
        command = ["sh", "-c", "echo $SUPERVISOR_TRIGGER $SUPERVISOR_ATTEMPT $SUPERVISOR_LAST_EXIT >> runs; exit 3"]
        give_up = { failures = 3, within = "1m" }
        """
    )
    lab.until(name="one", to="failed")
    assert (lab.dir / "runs").read_text().splitlines() == ["start 1", "restart 2 exit 3", "restart 3 exit 3"]


def test_nothing_of_the_supervisor_is_inherited(lab: Lab) -> None:
    """The supervisor itself has open descriptors, blocked and ignored signals, a descriptor limit and an OOM score."""
    lab.write(reporter(lab, "one"))
    extra = os.open(os.devnull, os.O_RDONLY)
    script = (
        "import os, resource, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM]);"
        "signal.signal(signal.SIGQUIT, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
        "open('/proc/self/oom_score_adj', 'w').write('500');"
        f"os.execv(sys.executable, [sys.executable, '-m', 'supervisor', '-c', {str(lab.path)!r}])"
    )
    os.set_inheritable(extra, True)
    lab.start(command=[sys.executable, "-c", script], pass_fds=(extra,))
    os.close(extra)
    status = dict(line.split(":", 1) for line in reported(lab, "one", "status").splitlines())
    assert {int(status[key].strip(), 16) for key in ("SigBlk", "SigIgn")} == {0}
    fds = {line.split()[8]: line.split("-> ")[1] for line in reported(lab, "one", "fds").splitlines() if "->" in line}
    fds = {fd: target for fd, target in fds.items() if "/fd" not in target and not target.endswith(".fds")}
    assert fds in ({"0": "/dev/null", "2": "/dev/null"}, {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"})
    assert reported(lab, "one", "nofile").strip() == "300"
    assert reported(lab, "one", "oom").strip() == "0"
    pid = int(reported(lab, "one", "done"))
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]


def test_a_task_has_its_directory_and_its_umask(lab: Lab) -> None:
    (lab.dir / "there").mkdir()
    lab.start(reporter(lab, "one", 'directory = "there"\numask = "027"') + reporter(lab, "two"), umask=0o026)
    assert reported(lab, "one", "cwd").strip() == str(lab.dir / "there")
    assert "Umask:\t0027" in reported(lab, "one", "status")
    assert reported(lab, "two", "cwd").strip() == str(lab.dir)
    assert "Umask:\t0026" in reported(lab, "two", "status")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_task_has_its_user_and_groups(lab: Lab) -> None:
    nobody = pwd.getpwnam("nobody")
    lab.dir.chmod(0o777)
    lab.start(reporter(lab, "one", 'user = "nobody"\nlog = { to = "file" }'))
    status = dict(line.split(":", 1) for line in reported(lab, "one", "status").splitlines())
    assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
    assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
    assert set(map(int, status["Groups"].split())) == set(os.getgrouplist("nobody", nobody.pw_gid))
    got = environment(lab, "one")
    assert (got["HOME"], got["USER"], got["LOGNAME"]) == (nobody.pw_dir, "nobody", "nobody")


# -- output -----------------------------------------------------------------------------------------------------------

RAW = 'log = { to = "./py.log", format = "raw" }'
SPEAK = 'command = "sh -c \'echo out; echo err >&2\'"\nrestart = "never"\n'


@pytest.mark.parametrize(
    ("log", "files"),
    [
        ('{ to = "file" }', {"log/one.log": "TIME out out\nTIME err err\n"}),
        (
            '{ to = "file", stderr = "separate" }',
            {"log/one.log": "TIME out out\n", "log/one.err.log": "TIME err err\n"},
        ),
        ('{ to = "file", stderr = "none" }', {"log/one.log": "TIME out out\n"}),
        ('{ to = "none" }', {}),
        ('{ to = "file", format = "raw" }', {"log/one.log": "out\nerr\n"}),
        ('{ to = "file", format = "raw", stderr = "separate" }', {"log/one.log": "out\n", "log/one.err.log": "err\n"}),
        ('{ to = "./mine.txt" }', {"mine.txt": "TIME out out\nTIME err err\n"}),
        ('{ to = "./mine.txt", format = "raw", stderr = "separate" }', {"mine.txt": "out\n", "mine.err.txt": "err\n"}),
        (
            '{ to = "file", format = "json", stderr = "none" }',
            {
                "log/one.log": '{"time":"TIME","task":"one","instance":1,"run":"RUN","stream":"out","message":"out"}\n',
            },
        ),
    ],
)
def test_where_output_goes(lab: Lab, log: str, files: dict[str, str]) -> None:
    lab.start(f"[task.one]\n{SPEAK}log = {log}")
    lab.until(name="one", to="stopped")
    wait_for(lambda: not lab.unread())
    places = [*(lab.dir / "log").glob("*.log"), *lab.dir.glob("mine*")]
    assert {str(path.relative_to(lab.dir)): unstamped(path.read_text()) for path in places} == files


def text(lab: Lab, name: str) -> str:
    """What is in a file by now."""
    path = lab.dir / name
    return path.read_text() if path.exists() else ""


def unstamped(found: str) -> str:
    """Without what is never twice the same."""
    found = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", found)
    return re.sub(r"one:1/1@[0-9a-f]{6}", "RUN", found)


def test_a_file_is_appended_to_and_replicas_have_their_own(lab: Lab) -> None:
    (lab.dir / "log").mkdir()
    (lab.dir / "log" / "one.log").write_text("before\n")
    lab.start(
        "[task.one]\ncommand = \"sh -c 'echo $SUPERVISOR_INSTANCE; exec sleep 1000'\"\nreplicas = 2\n"
        'log = { to = "file", format = "raw" }'
    )
    lab.up("one:1", "one:2")
    wait_for(lambda: text(lab, "log/one:2.log") == "2\n")
    wait_for(lambda: (lab.dir / "log/one.log").read_text() == "before\n1\n")


def test_inherit_goes_to_the_supervisors_stdout_with_the_name(lab: Lab) -> None:
    lab.start(
        f'[task.one]\n{SPEAK}log = {{ to = "inherit" }}\n'
        '[task.longer]\ncommand = "sh -c \'printf half; sleep 0.05; echo -line\'"\nrestart = "never"\n'
        'log.to = "inherit"'
    )
    wait_for(lambda: lab.stdout.count("\n") == 3)
    assert sorted(lab.stdout.splitlines()) == ["longer | half-line", "one    | err", "one    | out"]


def test_a_killed_scribe_loses_no_line(lab: Lab) -> None:
    os.mkfifo(lab.dir / "lines")
    lab.start(
        '[task.one]\ncommand = "sh -c \'exec 3<>lines; while read line <&3; do echo $line; done\'"\nlog.to = "inherit"'
    )
    lab.up("one")
    with (lab.dir / "lines").open("w") as lines:
        for number in range(3):
            scribe = wait_for(lab.scribe)
            os.kill(scribe, signal.SIGKILL)
            lines.write(f"line {number}\n")
            lines.flush()
            wait_for(lambda number=number: f"one | line {number}\n" in lab.stdout)
    assert lab.stdout == "".join(f"one | line {number}\n" for number in range(3))


# -- tasks in Python --------------------------------------------------------------------------------------------------

MODULE = """
import atexit, os, sys, threading, time

def waits(stop):
    print("up", flush=True)
    print("asked" if stop.wait(1000) else "timed out")

class Whole:
    def __init__(self): print("made")
    def on_start(self): print("on_start")
    def run(self, stop): print("run", stop.wait(1000), stop.is_set())
    def on_stop(self): print("on_stop")

def fails(stop): raise ValueError("oh no")
def exits(stop): sys.exit(7)
def exits_in_words(stop): sys.exit("enough")
def later(): time.sleep(0.05); print("thread")
def returns(stop): atexit.register(print, "atexit"); threading.Thread(target=later).start()
def breaks(stop):
    read, write = os.pipe(); os.close(read)
    try: os.write(write, b"x")
    except BrokenPipeError: print("an exception")
def tells(stop): print(sys.argv[1:], __name__, os.getcwd() in sys.path)
not_callable = 3
class Inside: start = staticmethod(returns)
"""


@pytest.mark.parametrize(
    ("target", "state", "code", "says"),
    [
        ("fails", "failed", 1, ["ValueError: oh no", "in fails", "Traceback"]),
        ("exits", "failed", 7, []),
        ("exits_in_words", "failed", 1, ["enough"]),
        ("returns", "stopped", 0, ["thread\natexit\n"]),
        ("Inside.start", "stopped", 0, ["thread\natexit\n"]),
        ("breaks", "stopped", 0, ["an exception"]),
        ("tells", "stopped", 0, ["[] worker True"]),
    ],
)
def test_how_a_python_task_ends(lab: Lab, target: str, state: str, code: int, says: list[str]) -> None:
    (lab.dir / "worker.py").write_text(MODULE)
    lab.start(f'[task.py]\npython = "worker:{target}"\ndirectory = "."\nrestart = "never"\n{RAW}')
    assert lab.until(name="py", to=state)["exit"]["code"] == code
    wait_for(lambda: not says or all(part in text(lab, "py.log") for part in says))


@pytest.mark.parametrize(
    ("target", "says"), [("waits", "up\nasked\n"), ("Whole", "made\non_start\nrun True True\non_stop\n")]
)
@pytest.mark.parametrize("stop_signal", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_stop_tells_a_python_task_at_once(lab: Lab, target: str, says: str, stop_signal: str) -> None:
    (lab.dir / "worker.py").write_text(MODULE)
    keys = f'directory = "."\n{RAW}\nstop = {{ signal = "{stop_signal}", grace = "1h" }}'
    lab.start(f'[task.py]\npython = "worker:{target}"\n{keys}')
    pid = lab.up("py")["py"]
    first = says.split("\n", maxsplit=1)[0]
    wait_for(lambda: first in text(lab, "py.log"))
    if target == "Whole":
        wait_for(lambda: "on_start" in text(lab, "py.log"))
    assert b"supervisor: py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert sorted(os.listdir(f"/proc/{pid}/fd"))[:3] == ["0", "1", "2"]
    assert "stopped (exit 0 after" in lab.ctl("stop", "py").out
    wait_for(lambda: text(lab, "py.log") == says)


def test_a_python_task_that_cannot_be_loaded_is_a_failure_with_a_traceback(lab: Lab) -> None:
    (lab.dir / "worker.py").write_text(MODULE)
    lab.start(
        f'[task.py]\npython = "worker:not_callable"\ndirectory = "."\nrestart = "never"\n{RAW}\n'
        '[task.q]\npython = "worker:missing"\ndirectory = "."\nrestart = "never"\nlog.to = "./q.log"\n'
    )
    lab.until(name="py", to="failed")
    lab._seen = 0
    lab.until(name="q", to="failed")
    wait_for(lambda: "TypeError: worker:not_callable is not callable" in text(lab, "py.log"))
    wait_for(lambda: "AttributeError" in text(lab, "q.log"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: tasks of another user")
def test_a_symlink_cannot_lead_output_to_a_file_of_another_user(lab: Lab) -> None:
    """A symlink at the path of the log is followed with the rights of the task's user, so root's files are safe."""
    secret = lab.dir / "secret"
    secret.write_text("root's own\n")
    secret.chmod(0o600)
    place = lab.dir / "theirs"
    place.mkdir()
    os.chown(place, 65534, 65534)
    (place / "x.log").symlink_to(secret)
    lab.dir.chmod(0o755)
    lab.start(f'[task.web]\ncommand = "echo stolen"\nuser = "nobody"\nlog.to = "{place}/x.log"\nrestart = "never"')
    lab.until(name="web", to="stopped")
    wait_for(lambda: lab.ask("status")["answer"]["tasks"][0]["state"] == "stopped" and not lab.unread())
    assert secret.read_text() == "root's own\n"
    assert secret.stat().st_uid == 0


def test_a_python_task_has_a_garbage_collector(lab: Lab) -> None:
    (lab.dir / "worker.py").write_text(
        "import gc\ndef main(stop):\n    print(gc.isenabled(), flush=True)\n    stop.wait()\n"
    )
    lab.start(f'[task.py]\npython = "worker:main"\ndirectory = "."\n{RAW}')
    wait_for(lambda: text(lab, "py.log") == "True\n")


def test_a_stopped_task_can_obey(lab: Lab) -> None:
    lab.start('[task.web]\ncommand = "sleep 1000"\nstop = { grace = "1h" }')
    os.kill(lab.up("web")["web"], signal.SIGSTOP)
    assert "killed by SIGTERM" in lab.ctl("stop", "web", code=0).out


def test_a_zombie_that_is_not_reaped_delays_no_restart(lab: Lab) -> None:
    """A child left the process group and never waits for its own child, which dies as a member of the group."""
    (lab.dir / "tree.py").write_text(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        os._exit(0)\n"
        "    time.sleep(0.2)\n"
        "    os.setsid()\n"
        "    time.sleep(2)\n"
        "time.sleep(0.5)\n"
    )
    lab.start(
        f'[task.web]\ncommand = ["{sys.executable}", "{lab.dir}/tree.py"]\nbackoff = {{ initial = "1h", max = "1h" }}'
    )
    lab.until(name="web", to="backoff")
    there = Path("/proc").glob
    wait_for(lambda: not any(_runs(place, f"{lab.dir}/tree.py") for place in there("[0-9]*")))  # what left the group


def _runs(place: Path, script: str) -> bool:
    try:
        return script.encode() in (place / "cmdline").read_bytes()
    except OSError:
        return False
