"""The demo, run as an operator would: it starts, does what its comments promise, and leaves nothing."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

DEMO = Path(__file__).parents[2] / "conf" / "demo.toml"
SUPERVISOR = ("-m", "supervisor")
SUPCTL = ("-c", "from supervisor.cli.main import main; main()")
ENVIRON = {
    **{key: os.environ[key] for key in ("PATH", "LANG", "HOME") if key in os.environ},
    "PYTHONPATH": os.pathsep.join([str(DEMO.parents[1]), sysconfig.get_path("platlib")]),
}
PATIENCE = 60.0
"""Seconds for anything to happen, on a machine that is busy with other things."""


class Demo:
    """A running demo: its supervisor, its terminal, its supctl."""

    def __init__(self, python: str, folder: str, port: int, user: str | None) -> None:
        self.python = python
        self.user = user
        self.environ = {
            **ENVIRON,
            "SUPERVISOR_DEMO_DIR": f"{folder}/run",
            "SUPERVISOR_DEMO_PORT": str(port),
            "SUPERVISOR_SOCKET": f"{folder}/run/supervisor.sock",
            "NOTIFY_SOCKET": f"{folder}/notify",
        }
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.environ["NOTIFY_SOCKET"])
        Path(self.environ["NOTIFY_SOCKET"]).chmod(0o666)
        self.process = subprocess.Popen(
            [python, *SUPERVISOR, "-c", DEMO],
            env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, user=user,
        )  # fmt: skip
        assert self.process.stdout
        self._fd = self.process.stdout.fileno()
        self.seen = ""  # what came on the terminal so far

    def until_ready(self) -> None:
        """Returns when it has told its service manager that it is ready."""
        deadline = time.monotonic() + PATIENCE
        told = ""
        while "READY=1" not in told:
            self.notify.settimeout(max(0.0, deadline - time.monotonic()))
            told = self.notify.recv(4096).decode()

    def until(self, text: str, times: int = 1) -> str:
        """Returns the line with this text as soon as it has come so often on the terminal."""
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = [line for line in self.seen.splitlines()[: self.seen.count("\n")] if text in line]
            if len(lines) >= times:
                return lines[times - 1]
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._fd, 65536) if ready else b""
            assert data, f"no {text!r} in:\n{self.seen}"
            self.seen += data.decode()

    def supctl(self, *words: str, code: int = 0) -> str:
        """The output of a supctl that must end with this code."""
        done = subprocess.run(
            [self.python, *SUPCTL, *words], env=self.environ, user=self.user,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}\n{self.seen}"
        return done.stdout

    def task(self, name: str) -> dict[str, Any]:
        """What `supctl show` knows of a task."""
        return json.loads(self.supctl("show", name, "--json"))["instances"][0]

    def left(self) -> list[str]:
        """The processes that were started with the socket of this demo in their environment."""
        mark = f"SUPERVISOR_SOCKET={self.environ['SUPERVISOR_SOCKET']}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found


def _python_of(user: str) -> str | None:
    """An interpreter that this user can run the program with: our own may be in somebody's home."""
    for python in (sys.executable, "/usr/bin/python3"):
        words = [python, *SUPCTL, "check", str(DEMO)]
        try:
            if subprocess.run(words, user=user, env=ENVIRON, capture_output=True, check=False).returncode == 0:
                return python
        except OSError:
            continue
    return None


@pytest.fixture(params=[None, "nobody"], ids=["as-we-are", "as-nobody"])
def demo(request: pytest.FixtureRequest) -> Iterator[Demo]:
    """A demo whose usual port is taken."""
    user = request.param
    if user and os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    python = _python_of(user) if user else sys.executable
    if python is None:
        pytest.skip(f"{user} may not read this checkout or its virtualenv")
    folder = tempfile.mkdtemp(prefix="demo")
    if user:
        shutil.chown(folder, user)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = Demo(python, folder, taken.getsockname()[1], user)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                for _ in range(3):  # the third SIGTERM kills what is left
                    running.process.terminate()
                running.process.wait(PATIENCE)
            running.process.stdout.close()
            running.notify.close()
            shutil.rmtree(folder)


def test_the_demo(demo: Demo) -> None:
    demo.until_ready()
    steady = ("web", "poller", "worker-1", "worker-2")
    demo.supctl("start", *steady)
    demo.supctl("status", "prepare", "report", *steady)
    assert demo.task("prepare")["last_exit"]["code"] == 0

    # The port is taken, so it takes another one, and says which.
    url = demo.until("listening at").rpartition(" ")[2]
    with build_opener(ProxyHandler({})).open(url, timeout=PATIENCE) as answer:
        assert "The coldest readings" in answer.read().decode()
    demo.until("coldest says")

    # What requires the server goes down with it, and comes back with it.
    before = demo.task("poller")["pid"]
    demo.supctl("stop", "web")
    poller = demo.task("poller")
    assert (poller["state"], poller["wanted"], poller["pid"]) == ("held", True, None)
    assert "requires web" in poller["why"]
    demo.supctl("start", "web")
    demo.supctl("start", "poller")
    assert demo.task("poller")["pid"] not in (None, before)
    demo.until("coldest says", times=2)

    # A run by hand, with words of its own.
    assert "exit 0" in demo.supctl("run", "report", "--wait", "--", "--top", "2")
    demo.until("on average of", times=2)

    # The workers of the sample wait for 30 s and end at once, before the grace is over: by themselves, not by SIGKILL.
    demo.until("doing worker task 1 work")
    demo.until("doing worker task 2 work")
    demo.supctl("stop", "@role")
    for name in ("worker-1", "worker-2"):
        assert demo.task(name)["last_exit"]["reason"] == "exit 0"

    # The crasher comes back, after a wait.
    demo.until("attempt 2")
    assert "backoff: exit 1; restart in" in demo.seen

    demo.supctl("shutdown")
    assert demo.process.wait(PATIENCE) == 0
    assert demo.left() == []
    assert not Path(demo.environ["SUPERVISOR_SOCKET"]).exists()
