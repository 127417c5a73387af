"""A machine with a real systemd and the shipped unit.

It is booted once (`lab/systemd-up.sh`) and thrown away at the end. Each test gets a service that has never run. Without
root, systemd, or the right to make namespaces, the tests are skipped with the reason.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
UNIT = PROJECT / "systemd" / "supervisor.service"
USER_UNIT = PROJECT / "systemd" / "user" / "supervisor.service"
HARDENING = PROJECT / "systemd" / "hardening.conf"
PATIENCE = 90.0
"""Seconds for anything to happen, on a machine that is busy with other things."""


class Machine:
    """A booted systemd, known outside by the pid of its PID 1."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.root = Path(f"/proc/{pid}/root")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command inside."""
        enter = ("nsenter", "-t", str(self.pid), "-a", "--")
        return subprocess.Popen(
            [*enter, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}, cwd="/",
        )  # fmt: skip

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command inside; return exit code and output."""
        with self.start(*words) as process:
            try:
                output, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return process.returncode, output


class Service:
    """The unit `supervisor.service` on a machine."""

    CGROUP = "sys/fs/cgroup/system.slice/supervisor.service"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.config = machine.root / "etc/supervisor/supervisor.toml"

    def configure(self, text: str) -> None:
        """Replace the config."""
        self.config.write_text(text)

    def drop_in(self, text: str) -> None:
        """Change the unit for this test."""
        folder = self.machine.root / "etc/systemd/system/supervisor.service.d"
        folder.mkdir(exist_ok=True)
        (folder / "test.conf").write_text(text)
        assert self.machine.run("systemctl", "daemon-reload") == (0, "")

    def systemctl(self, verb: str, code: int = 0) -> str:
        """`systemctl VERB supervisor`, which must end with this code."""
        got, output = self.machine.run("systemctl", verb, "supervisor")
        assert got == code, f"{verb}: {output}\n{self.journal()}"
        return output

    def supctl(self, *words: str, code: int = 0) -> str:
        """The output of a supctl of the installation, which must end with this code."""
        got, output = self.machine.run("/opt/supervisor/bin/supctl", *words)
        assert got == code, f"{words}: {output}\n{self.journal()}"
        return output

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.machine.run("systemctl", "show", "--value", "-p", name, "supervisor")[1].strip()

    def journal(self) -> str:
        """Return the log of the service, for a failing test."""
        return self.machine.run("journalctl", "--no-pager", "-n", "60", "-u", "supervisor")[1]

    def until(self, what: str, condition: Callable[[], object]) -> None:
        """Wait until a condition is true; systemd has no event for it."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not {what} in {PATIENCE:g} s\n{self.journal()}"
            time.sleep(0.05)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """`supctl status --json`, by name."""
        code, output = self.machine.run("/opt/supervisor/bin/supctl", "status", "--json")
        assert code in (0, 3), f"{output}\n{self.journal()}"
        return {task["name"]: task for task in json.loads(output)["tasks"]}

    def pids(self) -> dict[str, int | None]:
        """The pids of the tasks."""
        return {name: task["pid"] for name, task in self.tasks().items()}

    def processes(self) -> list[int]:
        """What is alive in the cgroup of the service and below, with pids as we see them: tasks and all."""
        found: list[int] = []
        for folder, _, _ in os.walk(self.machine.root / self.CGROUP):  # passes over what is removed meanwhile
            with suppress(OSError):
                found += map(int, Path(folder, "cgroup.procs").read_text().split())
        return found

    def cgroup(self, pid: int) -> Path:
        """The directory of the cgroup of a process, which is named as inside."""
        code, text = self.machine.run("cat", f"/proc/{pid}/cgroup")
        assert code == 0, text
        [path] = [line[3:] for line in text.splitlines() if line.startswith("0::")]
        return self.machine.root / "sys/fs/cgroup" / path.lstrip("/")

    def sleepers(self) -> list[int]:
        """Those of them that are a task of these tests, `sleep 1000`, and no part of the supervisor."""
        return [pid for pid in self.processes() if _command(pid).startswith(b"sleep\0")]

    def clear(self) -> None:
        """Reset the service, whatever a test left."""
        self.machine.run("systemctl", "kill", "-s", "KILL", "--kill-whom=all", "supervisor")
        self.machine.run("systemctl", "stop", "supervisor")
        while left := self.processes():
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        for name in (
            "run/supervisor",
            "var/lib/supervisor",
            "var/log/supervisor",
            "etc/systemd/system/supervisor.service.d",
        ):
            self.machine.run("rm", "-rf", f"/{name}")
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "reset-failed", "supervisor")


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _why_not() -> str:
    """Return why no systemd can be booted here; "" if one can."""
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/lib/systemd/systemd").exists():
        return "needs systemd"
    if "cgroup2" not in Path("/proc/self/mountinfo").read_text():
        return "needs cgroup v2"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"needs namespaces: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine, with this very virtual environment at /opt/supervisor."""
    if why := _why_not():
        pytest.skip(f"no systemd of our own: {why}")
    state, name = tmp_path_factory.mktemp("lab"), f"supervisor-lab-{os.getpid()}"
    units = state / "units"
    units.mkdir()
    (units / UNIT.name).write_bytes(UNIT.read_bytes())
    needed = [PROJECT / "pyproject.toml", Path(sys.prefix) / "bin", Path(sys.base_prefix) / "lib"]
    environ = os.environ | {
        "UNITS": str(units),
        "HOOK": str(HERE / "lab" / "hook.sh"),
        "USER_UNIT": str(USER_UNIT),
        "NEEDED": " ".join(map(str, needed)),
        "PREFIX": sys.prefix,
        "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
    }
    up = subprocess.run(
        [HERE / "lab" / "systemd-up.sh", name, state], env=environ,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180, check=False,
    )  # fmt: skip
    try:
        assert up.returncode == 0, f"no boot: {up.stdout}"
        yield Machine(int((state / f"{name}.pid").read_text()))
    finally:
        subprocess.run([HERE / "lab" / "systemd-down.sh", name, state], capture_output=True, timeout=180, check=False)


@pytest.fixture
def service(machine: Machine) -> Iterator[Service]:
    """The service, before its first start."""
    found = Service(machine)
    found.clear()
    yield found
    found.clear()


class UserService:
    """The unit of the user `lab`, who has no rights at all."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.uid = machine.run("id", "-u", "lab")[1].strip()
        self.home = machine.root / "home/lab"
        assert machine.run("systemctl", "start", f"user@{self.uid}") == (0, "")

    def run(self, *words: str) -> tuple[int, str]:
        """A command of that user: exit code and output."""
        as_lab = ("runuser", "-u", "lab", "--", "env", f"XDG_RUNTIME_DIR=/run/user/{self.uid}")
        return self.machine.run(*as_lab, *words)

    def systemctl(self, *words: str) -> str:
        """The output of `systemctl --user`, which must succeed."""
        code, output = self.run("systemctl", "--user", *words)
        assert code == 0, f"{words}: {output}\n{self.machine.run('journalctl', '--no-pager', '-n', '60')[1]}"
        return output

    def supctl(self, *words: str) -> str:
        """The output of supctl, which must succeed; without --socket: it finds the user's own."""
        code, output = self.run("/home/lab/.local/share/supervisor/venv/bin/supctl", *words)
        assert code == 0, f"{words}: {output}"
        return output

    def until_replaced(self, main: str) -> None:
        """Returns as soon as another process is the main one, and is ready."""
        deadline = time.monotonic() + PATIENCE
        active = main
        while active in (main, "MainPID=0\n") or self.run("systemctl", "--user", "is-active", "supervisor")[0]:
            assert time.monotonic() < deadline, f"not replaced in {PATIENCE:g} s"
            time.sleep(0.05)
            active = self.systemctl("show", "-p", "MainPID", "supervisor")

    def configure(self, text: str) -> None:
        """Replace the config."""
        (self.home / ".config/supervisor/supervisor.toml").write_text(text)


@pytest.fixture
def user_service(machine: Machine) -> Iterator[UserService]:
    """The service of a user, before its first start."""
    found = UserService(machine)
    yield found
    machine.run("systemctl", "stop", f"user@{found.uid}")
