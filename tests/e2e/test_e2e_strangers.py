"""What other users of the machine can do to a supervisor of root and to its tasks: nothing."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab import SUPERVISOR, Lab, alive, wait_for

from supervisor.host import mark

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")

NOBODY = 65534

SETPRIV = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
"""Everybody may run that of the system, perhaps not that of whoever runs the tests."""

HUNG = Path(__file__).parents[1] / "hung.py"

LONG = 'command = "sleep 1000"\n'


class Strangers:
    """Makes processes of nobody; they end with the test."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self._lab = lab
        self._stack = stack

    def make(self, *words: str, run: bytes = b"", number: int = 0, **popen: object) -> subprocess.Popen[bytes]:
        """One with the environment of a run of this lab, and this mark."""
        env = {b"PATH": os.environb[b"PATH"], b"SUPERVISOR_SOCKET": os.fsencode(self._lab.socket)}
        env |= {b"SUPERVISOR_RUN": run} if run else {}
        made = subprocess.Popen(
            [*SETPRIV, *(words or ("sleep", "1000"))],
            env=env,
            preexec_fn=lambda: mark.set_own(number) if number else None,
            start_new_session=True,
            **popen,
        )
        self._stack.enter_context(made)
        self._stack.callback(made.kill)
        if not words:
            comm = Path(f"/proc/{made.pid}/comm")
            wait_for(lambda: comm.read_text() == "sleep\n", "it is what it shall be")
        return made

    def hang(self, place: Path, uid: int, number: int) -> int:
        """One whose memory is locked for ever. Returns its pid."""
        if not os.path.exists("/dev/fuse"):
            pytest.skip("needs FUSE")
        place.mkdir()
        command = ["unshare", "-m", sys.executable, "-S", str(HUNG), str(place), str(uid)]
        env = {"SUPERVISOR_SOCKET": str(self._lab.socket), "SUPERVISOR_RUN": "a:1/1@e"}
        made = subprocess.Popen(command, stdin=-1, stdout=-1, env=env, preexec_fn=lambda: mark.set_own(number))
        self._stack.enter_context(made)
        pid = int(made.stdout.readline())
        self._stack.callback(made.stdin.close)
        return pid


@pytest.fixture
def strangers(lab: Lab) -> Iterator[Strangers]:
    """They are there while the lab is."""
    os.chmod(lab.dir, 0o755)
    with ExitStack() as stack:
        yield Strangers(lab, stack)


def run_of(pid: int) -> str:
    """The id of the run that a task is, as soon as its program has been executed."""

    def found() -> str:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return next((one.decode()[15:] for one in environment if one.startswith(b"SUPERVISOR_RUN=")), "")

    run: str = wait_for(found, "the environment of the run")
    return run


def mark_of(lab: Lab, run: str) -> int:
    return mark.number(run, str(lab.run))


# -- coming up --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [b"\xff", b"a:1/1@e\xff", b"a:1/1@\x1b[2Je", b"x" * 100_000, b"\xed\xa0\x80"])
@pytest.mark.parametrize("user", ["a stranger", "root"])
def test_strange_bytes_in_an_environment_do_not_prevent_a_start(
    lab: Lab, strangers: Strangers, run: bytes, user: str
) -> None:
    """It does not prevent an upgrade, either. The foreign process is left alone."""
    number = mark.number(run.decode(errors="surrogateescape"), str(lab.run))
    if user == "root":
        env = {b"SUPERVISOR_SOCKET": os.fsencode(lab.socket), b"SUPERVISOR_RUN": run}
        other = subprocess.Popen(["/bin/sleep", "1000"], env=env, preexec_fn=lambda: mark.set_own(number))
    else:
        other = strangers.make(run=run, number=number)
    try:
        lab.start(f"[task.a]\n{LONG}")
        pid = lab.up("a")["a"]
        lab.ctl("upgrade")
        assert lab.tasks()["a"]["pid"] == pid
        assert other.poll() is None
        assert "\x1b[2J" not in lab.stderr
    finally:
        other.kill()
        other.wait()


def test_a_stranger_with_the_mark_and_the_environment_of_a_lost_run_is_left_alone(
    lab: Lab, mode: str, strangers: Strangers
) -> None:
    """No task has the user of this process."""
    other = strangers.make(run=b"a:1/1@e", number=mark_of(lab, "a:1/1@e"))
    lab.start(f"[task.a]\n{LONG}")
    lab.up("a")
    assert other.poll() is None
    assert "has no record" not in lab.stderr


def test_a_lost_run_of_another_user_is_found(lab: Lab, mode: str, strangers: Strangers) -> None:
    """A task has that user, so its leftovers would run beside a second copy."""
    lab.start(f'[task.a]\n{LONG}user = "nobody"\n')
    pid = lab.up("a")["a"]
    lab.end(signal.SIGKILL)
    (lab.run / "journal").unlink()
    lab.start()
    assert lab.up("a")["a"] != pid
    assert not alive(pid)


@pytest.mark.parametrize("uid", [NOBODY, 0])
def test_an_unreadable_process_does_not_prevent_a_start(lab: Lab, mode: str, strangers: Strangers, uid: int) -> None:
    """A read of its environment hangs for ever.

    Also for a process of root, as with a file server that does not answer.
    """
    strangers.hang(lab.dir / "hung", uid, mark_of(lab, "a:1/1@e"))
    lab.start(f"[task.a]\n{LONG}")
    lab.up("a")
    lab.end(signal.SIGKILL)
    lab.start()
    pid = lab.tasks()["a"]["pid"]
    lab.ctl("stop", "a")
    assert not alive(pid)


# -- sd_notify --------------------------------------------------------------------------------------------------------

WAITS = f'[task.web]\nready = "notify"\n{LONG}'

SPEAKS = """
import array, os, socket, sys
mouth = socket.socket(fileno=int(sys.argv[1]))
right = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
mouth.sendmsg([sys.argv[2].replace("SELF", str(os.getpid())).encode()], right)
print("said", flush=True)
sys.stdin.read()
"""


def forge(lab: Lab, strangers: Strangers, text: str, **popen: object) -> None:
    """A stranger says that, over a socket that root has connected for him: the mode of its path does not help."""
    path = wait_for(lambda: next(iter((lab.run / "notify").glob("web*")), None), "the socket")
    wait_for(lambda: lab.tasks()["web"]["state"] in ("starting", "running") and lab.tasks()["web"]["pid"])
    number = mark_of(lab, f"web:1/1@{epoch(lab)}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.connect(str(path))
        fd = str(mouth.fileno())
        popen = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "pass_fds": [mouth.fileno()], **popen}
        made = strangers.make(PYTHON, "-S", "-c", SPEAKS, fd, text, number=number, **popen)
        assert made.stdout.readline() == b"said\n"
        wait_for(lambda: "its message is ignored" in lab.stderr, "the refusal")


def epoch(lab: Lab) -> str:
    return run_of(lab.tasks()["web"]["pid"]).partition("@")[2]


@pytest.mark.parametrize("text", ["READY=1", "WATCHDOG=trigger", "MAINPID=SELF\nREADY=1"])
def test_a_message_of_another_user_is_ignored(lab: Lab, mode: str, strangers: Strangers, text: str) -> None:
    """The mark of the run, which it read in /proc/PID/limits, is no proof."""
    lab.start(f'{WAITS}watchdog = "1h"\n')
    pid = wait_for(lambda: lab.tasks()["web"]["pid"])
    forge(lab, strangers, text)
    now = lab.tasks()["web"]
    assert (now["state"], now["pid"]) == ("starting", pid)
    assert "is neither the user of the task nor root" in lab.stderr


def test_descriptors_sent_with_a_message_are_closed(lab: Lab, mode: str, strangers: Strangers) -> None:
    lab.start(WAITS)
    wait_for(lambda: lab.tasks()["web"]["pid"])
    held = Path(f"/proc/{lab.pid}/fd")
    read, write = os.pipe()
    inode = f"pipe:[{os.fstat(write).st_ino}]"
    forge(lab, strangers, "READY=1", stderr=write)
    os.close(read)
    os.close(write)
    assert inode not in {os.readlink(one) for one in held.iterdir() if one.is_symlink()}


@pytest.mark.parametrize("user", ["", 'user = "nobody"\n', 'user = "nobody"\nno_new_privileges = false\n'])
def test_a_socket_is_for_the_user_of_its_task(lab: Lab, mode: str, user: str, strangers: Strangers) -> None:
    """Also after the runtime directory was removed and created again, and under the next supervisor."""
    lab.start(f"{WAITS}{user}")
    wait_for(lambda: lab.tasks()["web"]["why"].startswith("waits for READY=1"))
    path = lab.run / "notify" / "web:1.1"
    owner = NOBODY if user else 0

    def owned() -> bool:
        found = path.stat()
        return (found.st_mode & 0o777, found.st_uid) == (0o600, owner)

    assert owned()
    lab.end(signal.SIGKILL)
    lab.start()
    assert owned()
    path.unlink()
    lab.ctl("reload")
    wait_for(path.exists)
    assert owned()


def test_messages_of_root_and_of_the_user_of_the_task_are_accepted(lab: Lab, mode: str, strangers: Strangers) -> None:
    """A child of the task, and systemd-notify of root, which may name its parent as the sender."""
    say = f"{PYTHON} -c 'import os,socket;socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto"
    said = say + '(b\\"READY=1\\",os.environ[\\"NOTIFY_SOCKET\\"]);input()\''
    script = f"{said} < {lab.dir}/gate & exec sleep 1000"
    os.mkfifo(lab.dir / "gate")
    os.chmod(lab.dir / "gate", 0o666)
    gate = os.open(lab.dir / "gate", os.O_RDWR)
    lab.start(f'[task.web]\nready = "notify"\nuser = "nobody"\ncommand = ["sh", "-c", "{script}"]\n')
    lab.until(name="web", to="running")
    os.close(gate)


# -- what belongs to a run --------------------------------------------------------------------------------------------


@pytest.fixture
def by_mark(lab: Lab) -> None:
    lab.env["SUPERVISOR_CGROUPS"] = "no"


@pytest.mark.parametrize("crash", [False, True])
def test_a_stranger_with_the_mark_of_a_run_is_not_part_of_it(
    lab: Lab, by_mark: None, strangers: Strangers, crash: bool
) -> None:
    """A stop does not wait for it and does not kill it."""
    lab.start(f'[task.a]\n{LONG}limits = {{ memory = "40M", processes = 5 }}\n')
    pid = lab.up("a")["a"]
    run = run_of(pid)
    eats = "import sys; eaten = bytearray(100 << 20); print('eaten', flush=True); sys.stdin.read()"
    words, pipes = (PYTHON, "-S", "-c", eats), {"stdin": -1, "stdout": -1}
    other = strangers.make(*words, run=run.encode(), number=mark_of(lab, run), **pipes)
    assert other.stdout.readline() == b"eaten\n"
    if crash:
        lab.end(signal.SIGKILL)
        lab.start()
    lab.ctl("stop", "a")
    assert "killed" not in lab.ctl("why", "a").out
    assert not alive(pid)
    assert other.poll() is None


def test_an_orphan_that_changed_its_user_belongs_to_its_run(lab: Lab, by_mark: None, strangers: Strangers) -> None:
    """It has become a child of the supervisor, so it descends from a task."""
    note = lab.dir / "pid"
    note.touch()
    note.chmod(0o666)
    daemon = f"setsid {' '.join(SETPRIV)} sh -c 'echo $$ > {note}; exec sleep 1000' & wait_for() {{ :; }}"
    lab.start(f'[task.a]\ncommand = ["sh", "-c", "{daemon}; exec sh -c \'until test -s {note}; do :; done\'"]\n')
    daemon_pid = int(wait_for(note.read_text))
    lab.until(name="a", to="stopping")
    lab.ctl("stop", "a")
    assert not alive(daemon_pid)


def test_an_orphan_of_another_users_task_does_not_belong_to_a_run_by_its_mark(
    lab: Lab, by_mark: None, strangers: Strangers
) -> None:
    lab.start(f"[task.a]\n{LONG}")
    pid = lab.up("a")["a"]
    number, note = mark_of(lab, run_of(pid)), lab.dir / "pid"
    note.touch()
    note.chmod(0o666)
    program = lab.dir / "forge.py"
    program.write_text(
        "import os,resource,time\n"
        "if os.fork(): time.sleep(1000)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        f"resource.setrlimit(10, ({number}, resource.getrlimit(10)[1]))\n"
        f"open('{note}', 'w').write(str(os.getpid()))\n"
        "time.sleep(1000)\n"
    )
    lab.write(f'[task.a]\n{LONG}[task.other]\ncommand = "{PYTHON} -S {program}"\nuser = "nobody"\n')
    lab.ctl("reload")
    forger = int(wait_for(note.read_text))
    lab.ctl("stop", "a")
    assert alive(forger)
    os.kill(forger, signal.SIGKILL)


# -- who may not be signalled -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["stopped before", "running"])
def test_a_shutdown_does_not_wait_for_a_main_process_that_it_may_not_signal(
    by_mark: None, lab: Lab, asked: str
) -> None:
    """A task of another user, under a supervisor without CAP_KILL: it is named, and the next supervisor has it."""
    command = ["setpriv", "--bounding-set", "-kill", *SUPERVISOR, "-c", str(lab.path)]
    stop = 'stop = { grace = "500ms" }'
    tasks = f'[task.a]\ncommand = "sleep 1000"\nuser = "nobody"\n{stop}\n[task.b]\n{LONG}'
    lab.start(tasks, command=command)
    pid = lab.up("a", "b")["a"]
    uid = os.stat(f"/proc/{pid}").st_uid
    left = f"sleep (pid {pid}, uid {uid}), which the supervisor may not signal"
    try:
        if asked == "stopped before":
            assert f"still alive after SIGKILL: {left}" in lab.ctl("stop", "a", code=1).out
            assert f"still alive: {left}" in lab.tasks()["a"]["why"]
        lab.hang_up()
        assert lab.end() == 1
        assert f"error: a is left running: {left}; " in lab.stderr
        assert alive(pid)
        assert lab.processes(helpers=True) == [pid]
        lab.start(tasks, command=command)
        assert lab.tasks()["a"]["pid"] == pid, "it is taken over, and no second one is started"
    finally:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    lab.hang_up()
    lab.end(signal.SIGKILL)
    for one in lab.processes(helpers=True):
        os.kill(one, signal.SIGKILL)


def test_a_stop_does_not_wait_for_a_process_it_may_not_signal(by_mark: None, lab: Lab) -> None:
    """A process changed its user, and the supervisor has no CAP_KILL: the process is named, and left running."""
    note = lab.dir / "pid"
    other = f"{' '.join(SETPRIV)} sleep 1000 & echo $! > {note}"
    stop = 'stop = { grace = "500ms" }'
    command = ["setpriv", "--bounding-set", "-kill", *SUPERVISOR, "-c", str(lab.path)]
    lab.start(f'[task.a]\ncommand = ["sh", "-c", "{other}; exec sleep 1000"]\n{stop}\n', command=command)
    lab.up("a")
    pid = int(wait_for(lambda: note.exists() and note.read_text()))
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    try:
        lab.ctl("stop", "a")
        left = f"left running, because the supervisor may not signal them: sleep (pid {pid})"
        assert left in lab.tasks()["a"]["why"]
        assert left in lab.ctl("why", "a").out
        assert left in lab.stderr
        assert alive(pid)
        lab.ctl("start", "a")
        lab.end()
    finally:
        os.kill(pid, signal.SIGKILL)
        for one in lab.processes():
            os.kill(one, signal.SIGKILL)
