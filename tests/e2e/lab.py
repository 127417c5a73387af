"""A lab: a config in its own directory, a real supervisor, a real supctl, and the events as they come.

Nothing sleeps. `until` waits for an event, `wait_for` for a fact outside of the supervisor; PATIENCE bounds both. At
the end of each test the supervisor is stopped, and no process of its tasks may be left.
"""

import array
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.control import wire
from supervisor.control.client import Connection, UnreachableError
from supervisor.host import cgroup

PATIENCE = 30.0
"""Seconds; the bound of each wait, never a measured value."""

SUPERVISOR = [sys.executable, "-m", "supervisor"]
SUPCTL = [sys.executable, "-c", "from supervisor.cli.main import main; main()"]


RELATIVES = Path(__file__).parents[1] / "relatives.py"


def _why_not() -> str:
    try:
        os.rmdir(cgroup.plant(os.getpid(), 1))
    except cgroup.NoCgroupError as error:
        return str(error)
    return ""


WHY_NOT = _why_not()
"""Why this machine has no cgroups for us; "": it has."""


def wait_for(fact: Callable[[], Any], what: str = "") -> Any:
    """The value of `fact` as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := fact()):
        assert time.monotonic() < deadline, f"never came true: {what or fact}"
        time.sleep(0.01)
    return value


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def unread(fifo: Path) -> int:
    """Return how many bytes a FIFO holds."""
    count = array.array("i", [0])
    with suppress(FileNotFoundError):
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.ioctl(fd, termios.FIONREAD, count)
        os.close(fd)
    return count[0]


@dataclass
class Answer:
    """Output and exit code of a supctl."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Lab:
    """One supervisor with its config, its directories and its events."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        self.run = directory / "run"
        self.path = directory / "supervisor.toml"
        self.socket = self.run / "supervisor.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SUPERVISOR_", "NOTIFY_", "WATCHDOG_"))}
        self.events: list[dict[str, Any]] = []
        self.terminals: list[Terminal] = []
        self._connection: Connection | None = None
        self._follow: Any = None
        self._seen = 0

    # -- the config -----------------------------------------------------------------------------------------------

    def text(self, tasks: str, settings: str = "") -> str:
        """Write a whole config, with short waits and no output unless the tasks set them."""
        head = f'[supervisor]\nname = "lab"\nruntime_dir = "{self.run}"\nstate_dir = "{self.dir}/state"\n'
        head += f'log_dir = "{self.dir}/log"\nlog_level = "debug"\n'
        defaults = ""
        if "[defaults]" not in tasks:
            defaults = '[defaults]\nlog = { to = "none" }\nstop = { grace = "10s" }\n'
            defaults += 'backoff = { initial = "10ms", jitter = 0 }\n'
        return f"{head}{settings}\n{defaults}{tasks}\n"

    def write(self, tasks: str, settings: str = "") -> None:
        """Replace the config by a rename."""
        new = self.path.with_suffix(".new")
        new.write_text(self.text(tasks, settings))
        new.rename(self.path)

    # -- the supervisor -------------------------------------------------------------------------------------------

    def start(self, tasks: str | None = None, settings: str = "", *, wait: bool = True, **popen: Any) -> "Lab":
        """Start the supervisor; with `wait`, return when it answers."""
        if tasks is not None:
            self.write(tasks, settings)
        env = {**self.env, **popen.pop("env", {})}
        command = popen.pop("command", [*SUPERVISOR, "-c", str(self.path)])
        with open(self.dir / "stdout", "ab") as out, open(self.dir / "stderr", "ab") as err:
            popen = {"stdout": out, "stderr": err, "stdin": subprocess.DEVNULL, "cwd": self.dir, **popen}
            self.process = subprocess.Popen(command, env=env, **popen)
        if wait:
            self.follow()
        return self

    def follow(self) -> None:
        """Follow the events from the first kept one, once the supervisor answers."""

        def connected() -> object:
            assert self.process is None or self.process.poll() is None, f"the supervisor ended:\n{self.stderr}"
            try:
                self._connection = Connection(str(self.socket))
                return list(self._connection.ask("version", {}))  # a killed one's socket may live on in its errand
            except UnreachableError:
                self.hang_up()
                return False

        self.hang_up()
        self.events, self._seen = [], 0
        wait_for(connected, "the supervisor answers")
        assert self._connection
        self._follow = self._connection.ask("events", {"follow": True}, 0.1)

    def hang_up(self) -> None:
        """Stop following the events."""
        if self._connection:
            self._connection.close()

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def end(self, how: int = signal.SIGTERM) -> int:
        """Send a signal to the supervisor, wait for its end, and return the exit status."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def expect_exit(self) -> int:
        """Wait until the supervisor ends by itself."""
        assert self.process
        return self.process.wait(PATIENCE)

    @property
    def stderr(self) -> str:
        return (self.dir / "stderr").read_text(errors="replace")

    @property
    def stdout(self) -> str:
        return (self.dir / "stdout").read_text(errors="replace")

    def processes(self, *, helpers: bool = False) -> list[int]:
        """Return every living process of the tasks, found by its environment; with `helpers`, also @scribe."""
        mark = os.fsencode(f"SUPERVISOR_SOCKET={self.socket}")
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    environ = Path(f"/proc/{name}/environ").read_bytes()
                except OSError:
                    continue
                ours = b"SUPERVISOR_TASK=@" in environ and not helpers
                if mark in environ and not ours and alive(int(name)) and int(name) != os.getpid():
                    found.append(int(name))
        return found

    def make(self, *kinds: str, then: str = "stay") -> list[str]:
        """Return a command that makes descendants of these kinds."""
        return [sys.executable, "-S", str(RELATIVES), str(self.dir / "pids"), str(self.dir / "ready"), then, *kinds]

    def relatives(self) -> list[int]:
        """Return the pids that the newest such command made, once they are ready."""
        wait_for((self.dir / "ready").exists, "the relatives are there")
        (self.dir / "ready").unlink()
        pids = [int(pid) for pid in (self.dir / "pids").read_text().split()]
        (self.dir / "pids").unlink()
        return pids

    def unread(self) -> int:
        """Return how many bytes of output @scribe has not written yet."""
        return sum(unread(path) for path in (self.run / "output").glob("*@*"))

    def scribe(self) -> int:
        """The pid of @scribe, 0 while there is none."""
        return self.helper("scribe")

    def helper(self, name: str) -> int:
        """The pid of a helper, 0 while there is none."""
        program = f" @{name} {self.run}".encode()
        for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            with suppress(OSError):
                if program in Path(f"/proc/{pid}/cmdline").read_bytes() and alive(int(pid)):
                    return int(pid)
        return 0

    # -- asking ---------------------------------------------------------------------------------------------------

    def ctl(self, *words: str, code: int | None = 0, env: dict[str, str] | None = None, **options: Any) -> Answer:
        """Run a real supctl. `code` is the expected exit code; None: any."""
        where = {**self.env, "SUPERVISOR_SOCKET": str(self.socket), "NO_COLOR": "1", **(env or {})}
        options = {"capture_output": True, "text": True, "timeout": PATIENCE, "cwd": self.dir, **options}
        done = subprocess.run([*SUPCTL, *words], check=False, env=where, **options)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert code is None or answer.code == code, f"supctl {words}: {answer}\n{self.stderr}"
        return answer

    def ask(self, verb: str, **args: Any) -> dict[str, Any]:
        """Return the answer to a request over the socket, without a supctl process."""
        with closing(Connection(str(self.socket))) as connection:
            return [message for message in connection.ask(verb, args) if message][-1]

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return `tasks` of the status, by name."""
        return {task["name"]: task for task in self.ask("status")["answer"]["tasks"]}

    def until(self, kind: str = "state", **wanted: Any) -> dict[str, Any]:
        """Wait for the next event of this kind with these values."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while self._seen < len(self.events):
                event = self.events[self._seen]
                self._seen += 1
                if event["event"] == kind and all(event.get(key) == value for key, value in wanted.items()):
                    return event
            assert time.monotonic() < deadline, f"no {kind} {wanted} in {self.events}\n{self.stderr}"
            self._take()

    def up(self, *names: str) -> dict[str, int]:
        """Wait until these tasks run, and return their pids."""
        self._seen = 0
        return {name: self.until(name=name, to="running")["pid"] for name in sorted(names, key=self._first)}

    def _first(self, name: str) -> int:
        def place() -> int:
            self._take()
            return next(
                (n for n, e in enumerate(self.events, 1) if e.get("name") == name and e.get("to") == "running"), 0
            )

        return int(wait_for(place, f"{name} runs"))

    def _take(self) -> None:
        try:
            message = next(self._follow)
        except UnreachableError as error:
            raise AssertionError(f"{error}; {self.events}\n{self.stderr}") from None
        if message and not message["event"].get("task", "").startswith("@"):  # tests are about tasks, not our helpers
            self.events.append(message["event"])

    def clean(self) -> None:
        """Stop the supervisor. No process may be left."""
        for terminal in self.terminals:
            terminal.close()
        self.hang_up()
        running = self.process is not None and self.process.poll() is None
        if running:
            self.end()
        left = self.processes(helpers=True)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
        assert not (running and left), f"left behind: {left}"


class Terminal:
    """A supctl on a terminal of its own, 120 columns wide. It ends with the lab, whatever the test has come to."""

    def __init__(self, lab: Lab, *words: str) -> None:
        env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket), "TERM": "xterm", "COLUMNS": "80"}
        self.text = b""
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            [*SUPCTL, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)
        lab.terminals.append(self)

    def until(self, part: bytes) -> bytes:
        """Wait for `part`, and return everything shown so far."""

        def shown() -> bool:
            if select.select([self.ours], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.ours, 65536)
                except OSError:
                    assert part in self.text, self.text
            return part in self.text

        wait_for(shown, f"{part!r} on the terminal")
        return self.text

    def end(self, number: int | None = None) -> int:
        if number:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End this at the end of the test."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)


def send(lab: Lab, line: bytes) -> dict[str, Any]:
    """Send one line over the socket, and return one line."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(lab.socket))
        connection.sendall(line)
        answer: dict[str, Any] = wire.decode(connection.makefile("rb").readline())
        return answer
