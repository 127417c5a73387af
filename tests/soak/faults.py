"""The faults of a soak: each is one call, drawn by its weight, from a seed."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from lab import SUPCTL, Lab, wait_for

from supervisor.control.feed import KEPT

LOOPS = 8
"""Tasks that crash all the time."""

TASKS = """
[defaults]
stop = {{ grace = "2s" }}
backoff = {{ initial = "50ms", max = "400ms", jitter = 0.5 }}
log = {{ max_size = "64K", keep = 2 }}
[task.steady]
command = "sleep 1000"
replicas = {replicas}
[task.loop]
command = ["sh", "-c", "echo it fails; exit 1"]
replicas = {loops}
[task.flood]
command = ["sh", "-c", "while :; do head -c 200000 /dev/zero | tr '\\\\0' x; echo; sleep 0.2; done"]
[task.stubborn]
command = ["sh", "-c", "trap '' TERM; sleep 1000 & while :; do wait; done"]
stop = {{ grace = "100ms" }}
[task.asked]
command = "sleep 1000"
health = {{ tcp = "127.0.0.1:1", every = "300ms", timeout = "100ms", failures = 5, restart = true }}
[task.job]
kind = "triggered"
command = ["sh", "-c", "head -c 50000 /dev/zero; exit 3"]
[task.{extra}]
command = "sleep 1000"
environment = {{ VERSION = "{version}" }}
"""


class Faults:
    """What can go wrong with one lab."""

    def __init__(self, lab: Lab, rng: Random) -> None:
        self.lab = lab
        self.rng = rng
        self.counts: dict[str, int] = {}
        self._version = 0
        self._idle: list[socket.socket] = []
        self._asking: list[subprocess.Popen[bytes]] = []
        self.kinds: dict[str, tuple[int, Callable[[], None]]] = {
            "task killed": (20, self.kill_task),
            "reload": (6, self.reload),
            "clients": (6, self.clients),
            "idle clients": (4, self.idle_clients),
            "followers": (3, self.followers),
            "freeze": (4, self.freeze),
            "stop and start": (6, self.stop_and_start),
            "pause": (4, self.pause),
            "run": (10, self.run),
            "log removed": (3, self.remove_log),
            "helper killed": (2, self.kill_helper),
            "stall": (1, self.stall),
        }

    def tasks(self, *, fewest: bool = False) -> str:
        """The config, another one each time; or that with the fewest instances."""
        self._version += 1
        replicas, extra = (4, "one") if fewest else (self.rng.choice((4, 12)), self.rng.choice(("one", "two")))
        return TASKS.format(replicas=replicas, loops=LOOPS, extra=extra, version=self._version)

    def one(self, but: tuple[str, ...] = ()) -> None:
        """One more, of any kind but these."""
        names = [name for name in self.kinds if name not in but]
        name = self.rng.choices(names, [self.kinds[name][0] for name in names])[0]
        self.counts[name] = self.counts.get(name, 0) + 1
        self.kinds[name][1]()
        self._asking = [one for one in self._asking if one.poll() is None]

    def rest(self) -> None:
        """Hangs up everywhere, and waits until the same tasks are up as at any other rest, but for those that crash."""
        for one in self._idle:
            one.close()
        for process in self._asking:
            process.kill()
            process.wait()
        self._idle, self._asking = [], []
        self.lab.write(self.tasks(fewest=True))
        self.lab.ctl("reload")
        self.lab.ctl("start", "--all", code=None)
        up = ("steady:1", "steady:4", "flood", "stubborn", "one")
        wait_for(lambda: all(self._runs(name) for name in up), "the tasks are up")

    def fill_feed(self) -> None:
        """Cause as many events as the feed keeps, so that it grows no more."""
        for _ in range(KEPT):
            self.ask("signal", names=["steady:1"], signal="SIGCONT")

    def _runs(self, name: str) -> bool:
        return bool(self.lab.tasks().get(name, {}).get("state") == "running")

    def ask(self, verb: str, **args: object) -> None:
        """Asks, and does not wait for what comes of it."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.lab.socket))
            client.sendall(json.dumps({"v": 1, "verb": verb, "args": args}).encode() + b"\n")
            client.recv(65536)

    # -- the faults ---------------------------------------------------------------------------------------------------

    def kill_task(self) -> None:
        pids = self.lab.processes()
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(pids), signal.SIGKILL)

    def kill_helper(self) -> None:
        pid = self.rng.choice([0, *helpers(self.lab).values()])
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stall(self) -> None:
        os.kill(self.lab.pid, signal.SIGSTOP)
        subprocess.run(["sleep", "1.5"], check=True)
        os.kill(self.lab.pid, signal.SIGCONT)

    def reload(self) -> None:
        self.lab.write(self.tasks())
        self.ask("reload")

    def clients(self) -> None:
        """Many at once, each with a large answer that some never read."""
        many = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        with suppress(OSError):
            for number, client in enumerate(many):
                client.settimeout(5)
                client.connect(str(self.lab.socket))
                verb = ("status", "events", "nonsense")[number % 3]
                client.sendall(json.dumps({"v": 1, "verb": verb, "args": {}}).encode() + b"\n")
            for client in many[::2]:
                client.recv(1 << 16)
        for client in many:
            client.close()

    def idle_clients(self) -> None:
        with suppress(OSError):
            for _ in range(20):
                client = socket.socket(socket.AF_UNIX)
                self._idle.append(client)
                client.settimeout(5)
                client.connect(str(self.lab.socket))
        while len(self._idle) > 60:
            self._idle.pop(0).close()

    def followers(self) -> None:
        """Of events and of a log; the oldest is killed."""
        env = {**self.lab.env, "SUPERVISOR_SOCKET": str(self.lab.socket)}
        for words in (("events", "-f"), ("logs", "-f", "flood")):
            self._asking.append(
                subprocess.Popen([*SUPCTL, *words], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        while len(self._asking) > 4:
            old = self._asking.pop(0)
            old.kill()
            old.wait()

    def freeze(self) -> None:
        self.ask("freeze", names=[], reason="soak")
        self.ask("thaw", names=[])

    def stop_and_start(self) -> None:
        name = self.rng.choice(("steady", "stubborn", "flood", "loop"))
        self.ask("stop", names=[name], wait=False)
        self.ask("start", names=[name], wait=False)

    def pause(self) -> None:
        self.ask("pause", names=["steady"], wait=False)
        self.ask("resume", names=["steady"], wait=False)

    def run(self) -> None:
        self.ask("run", names=["job"], wait=False, args=["x" * self.rng.choice((1, 1000, 20000))])

    def remove_log(self) -> None:
        for path in (self.lab.dir / "log").glob("flood*"):
            path.unlink(missing_ok=True)


def helpers(lab: Lab) -> dict[str, int]:
    """The pids of the other processes of ours, by their name."""
    found = {}
    for path in (lab.run / "notify_holders").glob("*"):
        found["spawner"] = int(path.name)
    for name in Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split():
        with suppress(OSError):
            words = Path(f"/proc/{name}/cmdline").read_bytes()
            for helper in ("scribe", "prober"):
                if f"helpers.{helper}".encode() in words or f"@{helper}".encode() in words:
                    found[helper] = int(name)
    return found
