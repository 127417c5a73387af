"""Starts that fail for every reason; no room, no processes, no descriptors; a directory that vanishes.

Each failure has a reason, is tried again, and affects nothing else.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from lab import SUPERVISOR, Lab, wait_for
from someone import as_someone


def program(path: Path, text: str = "#!/bin/sh\nexec sleep 1000\n", mode: int = 0o755) -> None:
    path.unlink(missing_ok=True) if not path.is_dir() else path.rmdir()
    path.write_text(text)
    path.chmod(mode)


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILS: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "exec {path}: No such file or directory"),
    (lambda path: path.chmod(0o644), "exec {path}: Permission denied"),
    (a_directory, "exec {path}: is a directory"),
    (lambda path: program(path, "#!/no/such/shell\n"), "exec {path}: the interpreter in its first line does not exist"),
    (lambda path: program(path, "exec sleep 1000\n"), "exec {path}: not a program: it has no #! line"),
    (lambda path: program(path, ""), "exec {path}: not a program: it has no #! line"),
]


@pytest.mark.parametrize(("spoil", "says"), SPOILS)
def test_a_program_that_is_damaged_after_the_check(lab: Lab, spoil: Callable[[Path], object], says: str) -> None:
    path = lab.dir / "program"
    program(path)
    lab.start(f'[task.one]\ncommand = "{path}"\n[task.other]\ncommand = "sleep 1000"')
    before = lab.up("one", "other")
    spoil(path)
    os.kill(before["one"], signal.SIGKILL)
    lab.until(name="one", to="backoff")
    event = lab.until(name="one", to="backoff")
    assert event["why"] == "cannot start: " + says.format(path=path)
    assert event["exit"]["code"] is None
    assert event["exit"]["signal"] is None
    program(path)
    lab.until(name="one", to="running")
    assert lab.tasks()["other"]["pid"] == before["other"]


@pytest.mark.parametrize(
    ("keys", "spoil", "says"),
    [
        ('directory = "there"', lambda d: (d / "there").rmdir(), "chdir {dir}/there: No such file or directory"),
        ('environment_file = ["env"]', lambda d: (d / "env").unlink(), "read environment_file {dir}/env: No such file"),
        ('environment_file = ["env"]', lambda d: (d / "env").write_text("oops"), "{dir}/env:1: not KEY=VALUE"),
    ],
)
def test_a_file_that_vanishes_before_a_start(lab: Lab, keys: str, spoil: Callable[[Path], object], says: str) -> None:
    (lab.dir / "there").mkdir()
    (lab.dir / "env").write_text("A=b")
    lab.start(f'[task.one]\ncommand = "sleep 1000"\n{keys}\n[task.other]\ncommand = "sleep 1000"')
    before = lab.up("one", "other")
    spoil(lab.dir)
    os.kill(before["one"], signal.SIGKILL)
    lab.until(name="one", to="backoff")
    assert says.format(dir=lab.dir) in lab.until(name="one", to="backoff")["why"]
    (lab.dir / "there").mkdir(exist_ok=True)
    (lab.dir / "env").write_text("A=b")
    lab.until(name="one", to="running")
    assert lab.tasks()["other"]["pid"] == before["other"]


PATCHED = """
import errno, os, pwd
from supervisor.spawn import clone
by_name, make = pwd.getpwnam, clone.make
pwd.getpwnam = lambda name: pwd.getpwuid(0) if name == "ghost" and os.path.exists("ghost") else by_name(name)
def full(paths, begin, into):
    return [(-errno.ENOMEM, False)] * len(paths) if os.path.exists("full") else make(paths, begin, into=into)
clone.make = full
from supervisor.program.main import main
main()
"""
"""A supervisor on a machine that has a user "ghost" as long as there is a file of this name, and no memory for another
process as long as there is a file "full"."""


@pytest.fixture
def patched(lab: Lab) -> list[str]:
    """How it is started."""
    return [sys.executable, "-c", PATCHED, "-c", str(lab.path)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_user_that_vanishes_after_the_check(lab: Lab, patched: list[str]) -> None:
    ghost = lab.dir / "ghost"
    ghost.touch()
    lab.start(
        '[task.one]\ncommand = "sleep 1000"\nuser = "ghost"\n[task.other]\ncommand = "sleep 1000"', command=patched
    )
    before = lab.up("one", "other")
    ghost.unlink()
    os.kill(before["one"], signal.SIGKILL)
    lab.until(name="one", to="backoff")
    assert "cannot start: " in (why := lab.until(name="one", to="backoff")["why"])
    assert "no user 'ghost'" in why
    ghost.touch()
    lab.until(name="one", to="running")
    assert lab.tasks()["other"]["pid"] == before["other"]


def test_no_memory_for_another_process(lab: Lab, patched: list[str]) -> None:
    """The start fails when the children that were forked ahead are used up. It is tried again until there is memory."""
    lab.start('[task.one]\ncommand = "sleep 1000"\n[task.other]\ncommand = "sleep 1000"', command=patched)
    before = lab.up("one", "other")
    (lab.dir / "full").touch()
    event = {"to": "running", "pid": before["one"]}
    while event["to"] != "backoff" or event["why"] == "killed by SIGKILL":
        if event["to"] == "running":
            os.kill(event["pid"], signal.SIGKILL)
        event = lab.until(name="one")
    assert event["why"] == "cannot start: fork: Cannot allocate memory"
    assert lab.until(name="one", to="backoff")["why"] == event["why"], "it is tried again"
    (lab.dir / "full").unlink()
    lab.until(name="one", to="running")
    assert lab.tasks()["other"]["pid"] == before["other"]


def test_no_processes_left(lab: Lab) -> None:
    """RLIMIT_NPROC, without root: each fork fails and is tried again, and the supervisor answers."""
    off = 'command = "sleep 1000"\nautostart = false\n'
    lab.write(f'[task.one]\ncommand = "sleep 1000"\n[task.spare]\n{off}[task.two]\n{off}')
    command, user = as_someone(lab)
    uid = user.get("user", os.geteuid())
    limit = threads_of(uid) + 20
    lab.start(command=["prlimit", f"--nproc={limit}", *command], **user)
    before = lab.up("one")
    crowd = [subprocess.Popen(["sleep", "1000"], user=user.get("user")) for _ in range(25)]
    try:
        lab.ctl("start", "spare", code=0)  # the child for it was made while that was possible
        out = lab.ctl("start", "two", code=1).out
        assert "two: backoff: cannot start: fork: Resource temporarily unavailable" in out
        assert "cannot fork" in lab.ctl("reload", code=1).err
        assert lab.tasks()["one"]["pid"] == before["one"]
    finally:
        for one in crowd:
            one.kill()
        for one in crowd:
            one.wait()
    lab.until(name="two", to="running")


def threads_of(uid: int) -> int:
    """What RLIMIT_NPROC counts."""
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            count += len(os.listdir(f"/proc/{name}/task")) * (os.stat(f"/proc/{name}").st_uid == uid)
    return count


def test_no_descriptors_left(lab: Lab) -> None:
    many = "".join(f'[task.t{n}]\ncommand = "sleep 1000"\n' for n in range(40))
    lab.write(many)
    limit = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48));"
        f"os.execv(sys.executable, [sys.executable, '-m', 'supervisor', '-c', {str(lab.path)!r}])"
    )
    lab.start(command=[sys.executable, "-c", limit])
    wait_for(lambda: "Too many open files" in lab.stderr)

    def tasks() -> list[dict[str, Any]]:
        """Whoever asks may be turned away for want of a descriptor, too."""
        return wait_for(lambda: lab.ask("status").get("answer"))["tasks"]

    def running() -> list[str]:
        return [task["name"] for task in tasks() if task["state"] == "running"]

    wait_for(lambda: len(running()) >= 20)  # children that were made ahead had held some descriptors
    failing = [task for task in tasks() if task["state"] == "backoff"]
    assert failing
    assert all("cannot start: " in task["last_exit"]["reason"] for task in failing)
    assert "Too many open files" in failing[0]["why"]
    some = running()[:20]
    wait_for(lambda: lab.ctl("stop", *some, code=None).code == 0)
    wait_for(lambda: all(task["state"] == "running" for task in tasks() if task["wanted"]))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_full_runtime_directory(lab: Lab) -> None:
    """The journal cannot be written: this is reported, and nothing else is affected."""
    lab.run.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "lab", str(lab.run)], check=False)
    if mounted.returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        lab.start('[task.one]\ncommand = "sleep 1000"\n[task.two]\ncommand = "sleep 1000"')
        before = lab.up("one", "two")
        with (lab.run / "filler").open("wb", buffering=0) as file, suppress(OSError):
            for _ in range(1000):
                file.write(b"x" * 512)
        for _ in range(60):
            lab.ask("stop", names=["one"], wait=True)
            lab.ask("start", names=["one"], wait=True)
        assert "cannot write the journal" in lab.stderr
        assert lab.tasks()["two"]["pid"] == before["two"]
        (lab.run / "filler").unlink()
        lab.ask("restart", names=["one"], wait=True)
        pid = lab.tasks()["one"]["pid"]
        lab.end(signal.SIGKILL)
        lab.start()
        assert lab.tasks()["one"]["pid"] == pid, lab.stderr
        lab.end()
    finally:
        lab.hang_up()
        if lab.process and lab.process.poll() is None:
            lab.end()
        subprocess.run(["umount", "-l", str(lab.run)], check=True)


# -- the service manager ----------------------------------------------------------------------------------------------


class Manager:
    """What systemd is to the supervisor: a datagram socket."""

    def __init__(self, lab: Lab) -> None:
        self.path = str(lab.dir / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(15)
        self.told: list[str] = []

    def until(self, start: str) -> list[str]:
        """Everything up to the first assignment that begins so."""
        while not any(line.startswith(start) for line in self.told):
            self.told += self.socket.recv(65536).decode().splitlines()
        told, self.told = self.told, []
        return told


@pytest.fixture
def manager(lab: Lab) -> Manager:
    return Manager(lab)


def test_ready_only_after_the_start_up_tasks_and_stopping_at_the_end(lab: Lab, manager: Manager) -> None:
    os.mkfifo(lab.dir / "gate")
    lab.start(
        '[task.web]\ncommand = "sleep 1000"\n[task.prepare]\nkind = "startup"\ncommand = "cat gate"',
        env={"NOTIFY_SOCKET": manager.path},
    )
    lab.until(name="prepare", to="running")
    before = manager.until("STATUS=1 running, 1 held")
    assert "READY=1" not in before
    lab.ctl("reload")
    lab.until("reload")
    (lab.dir / "gate").write_text("go")
    lab.until("ready")
    told = manager.until("READY=1")
    assert told.count("READY=1") == 1
    assert lab.end() == 0
    assert "READY=1" not in manager.until("STOPPING=1")
    manager.socket.close()


def test_a_reload_is_reported_with_its_time(lab: Lab, manager: Manager) -> None:
    lab.start('[task.web]\ncommand = "sleep 1000"', env={"NOTIFY_SOCKET": manager.path})
    manager.until("READY=1")
    for spoil in (False, True):
        if spoil:
            lab.path.write_text("[")
        os.kill(lab.pid, signal.SIGHUP)
        told = manager.until("RELOADING=1")
        (when,) = [line for line in told if line.startswith("MONOTONIC_USEC=")] or [
            line for line in manager.until("MONOTONIC_USEC=") if line.startswith("MONOTONIC")
        ]
        assert int(when.partition("=")[2]) > 0
        if "READY=1" not in told[told.index("RELOADING=1") :]:
            manager.until("READY=1")
    manager.socket.close()


def test_the_watchdog_is_fed(lab: Lab, manager: Manager) -> None:
    lab.start('[task.web]\ncommand = "sleep 1000"', env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"})
    for _ in range(3):
        manager.until("WATCHDOG=1")
    manager.socket.close()


def test_a_service_manager_that_is_gone_is_ignored(lab: Lab) -> None:
    lab.start('[task.web]\ncommand = "sleep 1000"', env={"NOTIFY_SOCKET": str(lab.dir / "nobody")})
    lab.up("web")
    assert lab.ctl("status").code == 0


def test_with_closed_standard_descriptors(lab: Lab) -> None:
    """Some start scripts do this. No descriptor of the supervisor may become 0, 1 or 2 of a task."""
    lab.write('[task.web]\ncommand = "sleep 1000"\nlog.to = "file"')
    lab.start(command=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *SUPERVISOR, "-c", str(lab.path)])
    lab.up("web")
    assert lab.ctl("status").code == 0


def mount(directory: Path) -> None:
    """Another file system is there from now on."""
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "lab", str(directory)], check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")


def unmount(directory: Path) -> None:
    subprocess.run(["umount", "-l", str(directory)], check=True)


def take_away(lab: Lab, how: str) -> None:
    """The runtime directory, or what is in it."""
    match how:
        case "removed":
            wait_for(lambda: _removed(lab.run))
        case "renamed":
            lab.run.rename(lab.dir / "elsewhere")
        case "its files removed":
            for name in ("supervisor.sock", "journal", "lock"):
                (lab.run / name).unlink()
        case "unmounted":
            unmount(lab.run)
        case "mounted over":
            mount(lab.run)


def _removed(folder: Path) -> bool:
    """Whether it could be removed. Others write there meanwhile, and it may be made anew at once."""
    try:
        shutil.rmtree(folder)
    except OSError:
        return False
    return True


@pytest.fixture
def mounts(lab: Lab) -> Iterator[None]:
    """None of them are left below the lab; its supervisor ends before that."""
    yield
    lab.hang_up()
    if lab.process and lab.process.poll() is None:
        lab.end()
    while os.path.ismount(lab.run):
        unmount(lab.run)


@pytest.mark.parametrize("how", ["removed", "renamed", "its files removed", "unmounted", "mounted over"])
@pytest.mark.usefixtures("mounts")
def test_a_removed_runtime_directory_is_created_again(lab: Lab, how: str) -> None:
    """It is created again with its whole state. A second supervisor can never start beside the first."""
    asked = 'health = { tcp = "127.0.0.1:1", every = "100ms", restart = false }'
    if how == "unmounted":
        lab.run.mkdir()
        mount(lab.run)
    lab.start(f'[task.a]\ncommand = "sleep 1000"\n{asked}\n[task.b]\ncommand = "sleep 1000"')
    before = lab.up("a", "b")
    take_away(lab, how)
    other = Lab(lab.dir)
    other.start(wait=False)
    assert other.expect_exit() == 1
    assert f"another supervisor (pid {lab.pid}) runs with {lab.run}" in lab.stderr
    wait_for(lambda: all((lab.run / name).exists() for name in ("supervisor.sock", "journal", "lock")))
    lab.follow()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before
    for _ in range(3):  # what has taken the place of a closed descriptor is no stranger to the loop
        lab.ctl("restart", "b")
    before["b"] = lab.tasks()["b"]["pid"]
    lab.end(signal.SIGKILL)
    lab.start()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before


def test_a_runtime_directory_that_is_removed_repeatedly_ends_nothing(lab: Lab) -> None:
    """Whatever the supervisor is about to create in it."""
    lab.start(
        '[defaults]\nlog = { to = "file" }\nlimits = { memory = "1G" }\nbackoff = { initial = "0s", max = "5ms" }\n'
        '[task.steady]\ncommand = "sleep 1000"\n'
        'health = { tcp = "127.0.0.1:1", every = "20ms", restart = false }\n'
        '[task.crash]\ncommand = "false"\n'
        '[task.said]\ncommand = ["sh", "-c", "echo hi; exit 1"]\nready = "notify"'
    )
    lab.up("steady")
    pid = lab.tasks()["steady"]["pid"]
    chance = random.Random(7)
    for _ in range(150):
        shutil.rmtree(lab.run, ignore_errors=True)
        assert lab.process.poll() is None, lab.stderr
        time.sleep(chance.random() * 0.03)  # no waiting: a moment to come in between
    lab.follow()
    assert lab.tasks()["steady"]["pid"] == pid
    assert "Traceback" not in lab.stderr, lab.stderr


def test_output_after_the_removal_of_the_runtime_directory_is_kept(lab: Lab) -> None:
    """Also by a run that began before: the FIFO that it writes to has no name any more."""
    script = "while read word; do echo $word; done < HERE/in; exec sleep 1000".replace("HERE", str(lab.dir))
    os.mkfifo(lab.dir / "in")
    say = os.open(lab.dir / "in", os.O_RDWR)
    to_file = 'log = { to = "file" }'
    lab.start(
        f'[task.old]\ncommand = ["sh", "-c", "{script}"]\n{to_file}\n'
        f'[task.new]\ncommand = ["sh", "-c", "echo hi; sleep 1000"]\n{to_file}'
    )
    lab.up("old", "new")

    def logged(name: str) -> str:
        path = lab.dir / "log" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    os.write(say, b"begin\n")
    wait_for(lambda: "out begin\n" in logged("old") and "out hi\n" in logged("new"))
    for how in ("once", "again"):
        take_away(lab, "removed")
        wait_for(lambda: (lab.run / "supervisor.sock").exists() and (lab.run / "scribe.ledger").exists())
        os.write(say, f"{how}\n".encode())
        lab.ctl("restart", "new")
        wait_for(lambda how=how: f"out {how}\n" in logged("old"))
        runs = {"once": 2, "again": 3}[how]
        wait_for(lambda runs=runs: logged("new").count("out hi\n") == runs)
    os.close(say)


@pytest.mark.parametrize("killed", ["scribe", "supervisor", "both"])
@pytest.mark.parametrize("how", ["removed", "mounted over"])
@pytest.mark.usefixtures("mounts")
def test_who_dies_after_the_runtime_directory_was_removed_loses_no_output(lab: Lab, how: str, killed: str) -> None:
    """The FIFO of the run has no name any more, but whoever comes next finds it."""
    os.mkfifo(lab.dir / "in")
    say = os.open(lab.dir / "in", os.O_RDWR)
    script = f"while read word; do echo $word; done < {lab.dir}/in"
    lab.start(f'[task.web]\ncommand = ["sh", "-c", "{script}"]\nlog = {{ to = "file" }}')
    lab.up("web")
    pid = lab.tasks()["web"]["pid"]
    log = lab.dir / "log" / "web.log"

    def logged(*words: str) -> bool:
        return log.exists() and [line.split()[-1] for line in log.read_text().splitlines()] == list(words)

    os.write(say, b"one\n")
    wait_for(lambda: logged("one"))
    take_away(lab, how)
    wait_for((lab.run / "scribe.ledger").exists)
    os.write(say, b"two\n")
    wait_for(lambda: logged("one", "two"))
    if killed in ("scribe", "both"):
        os.kill(wait_for(lab.scribe), signal.SIGKILL)
    os.write(say, b"three\n")
    if killed in ("supervisor", "both"):
        lab.end(signal.SIGKILL)
        lab.start()
    os.write(say, b"four\n")
    wait_for(lambda: logged("one", "two", "three", "four"))
    assert lab.tasks()["web"]["pid"] == pid
    os.close(say)


def test_what_health_says_is_there_after_the_runtime_directory_was_removed(lab: Lab) -> None:
    lab.start(IDLE, f'health_listen = "unix:{lab.dir}/health.sock"')
    lab.up("web")
    told = lab.run / "health.json"
    before = wait_for(lambda: told.exists() and told.read_text())
    take_away(lab, "removed")
    wait_for(lambda: told.exists() and told.read_text() == before)


@pytest.mark.parametrize("how", ["fd_holder", "removed"])
def test_files_that_the_next_supervisor_needs_are_created_again(lab: Lab, how: str) -> None:
    lab.start(IDLE)
    lab.up("web")
    fd_holder = lab.run / "fd_holder"
    before = fd_holder.read_bytes()
    if how == "removed":
        take_away(lab, how)
    else:
        fd_holder.unlink()
    wait_for(fd_holder.exists)
    assert fd_holder.read_bytes() == before
    lab.follow()
    assert lab.ctl("upgrade", code=None).code == 0, lab.stderr


def test_a_history_that_cannot_be_written_is_in_status(lab: Lab) -> None:
    state = lab.dir / "state"
    lab.start('[task.a]\ncommand = "false"\nkind = "triggered"')
    shutil.rmtree(state)
    state.write_text("no directory")
    lab.ctl("run", "a", "--wait", code=None)

    def said() -> list[str]:
        """What `status` says of the history. It speaks of the firings, too."""
        told = lab.ctl("status", "--json", code=None).json["supervisor"]["helpers"]
        return [one for one in told if "the history" in one]

    (says,) = wait_for(said)
    assert says.startswith(f"the history cannot be written, new runs wait in memory: {state}/history.db: ")
    assert says in lab.ctl("status", code=None).out.splitlines()
    state.unlink()
    lab.ctl("run", "a", "--wait", code=None)
    wait_for(lambda: not said())


@pytest.mark.usefixtures("mounts")
def test_a_mount_over_the_runtime_directory_is_noticed(lab: Lab) -> None:
    """An old socket, journal and lock of the supervisor below a mount. No other event wakes it."""
    lab.start(IDLE)
    before = lab.up("web")
    below = {name: (lab.run / name).stat().st_ino for name in ("supervisor.sock", "journal")}
    mount(lab.run)
    wait_for((lab.run / "supervisor.sock").exists)
    unmount(lab.run)
    wait_for(lambda: all((lab.run / name).stat().st_ino != ino for name, ino in below.items()))
    lab.follow()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before
    lab.end(signal.SIGKILL)
    lab.start()
    assert {name: task["pid"] for name, task in lab.tasks().items()} == before


@pytest.mark.parametrize("how", ["emptied", "renamed"])
def test_a_task_with_a_watchdog_goes_on_after_the_runtime_directory_was_removed(lab: Lab, how: str) -> None:
    speaks = (
        "import os, socket, time\n"
        "said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "word = b'READY=1'\n"
        "while True:\n"
        "  try:\n"
        "    said.sendto(word, os.environ['NOTIFY_SOCKET']); word = b'WATCHDOG=1\\nSTATUS=%d' % time.monotonic_ns()\n"
        "  except OSError: pass\n"
        "  time.sleep(0.05)\n"
    )
    (lab.dir / "speaks.py").write_text(speaks)
    lab.start(f'[task.web]\ncommand = "python3 {lab.dir}/speaks.py"\nready = "notify"\nwatchdog = "20s"')
    pid = lab.up("web")["web"]
    old = lab.run.with_name("old")
    lab.run.rename(old)
    if how == "emptied":
        shutil.rmtree(old, ignore_errors=True)
    wait_for((lab.run / "supervisor.sock").exists)
    before = wait_for(lambda: lab.tasks()["web"]["why"])
    wait_for(lambda: lab.tasks()["web"]["why"] not in ("", before), "it is heard again")
    assert lab.tasks()["web"]["pid"] == pid


IDLE = '[task.web]\ncommand = "sleep 1000"'


@pytest.mark.parametrize("key", ["state_dir", "log_dir", "runtime_dir"])
def test_a_directory_that_cannot_be_created_is_one_line_with_a_remedy(lab: Lab, key: str) -> None:
    """It cannot run only without its runtime directory. The config is not at fault, so the exit code is not 78."""
    (lab.dir / "file").touch()
    text = lab.text(IDLE)
    lines = [f'{key} = "{lab.dir}/file/x"' if line.startswith(key) else line for line in text.splitlines()]
    lab.path.write_text("\n".join(lines))
    lab.start(wait=key != "runtime_dir")
    if key == "runtime_dir":
        assert lab.expect_exit() == 1
    else:
        lab.up("web")
    (line,) = [line for line in lab.stderr.splitlines() if f": supervisor: {key}: " in line]
    assert f"{lab.path}: supervisor: {key}: cannot create the directory {lab.dir}/file/x as uid " in line
    who = f"uid {os.geteuid()}"
    helps = f"create it, writable for {who}; or choose another one in [supervisor] {key} [machine]"
    assert line.endswith(f": Not a directory; {helps}")


def test_the_path_of_the_config_is_absolute_wherever_it_was_started(lab: Lab) -> None:
    lab.write(IDLE)
    lab.start(command=[*SUPERVISOR, "-c", lab.path.name])
    assert lab.ask("status")["answer"]["supervisor"]["config"]["path"] == str(lab.path)
