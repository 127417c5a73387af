"""A parent over a host that does nothing: every request reaches the real verbs, no process is made."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from supervisor.config import load
from supervisor.control import wire
from supervisor.core.definition import Probe, StopPolicy
from supervisor.core.events import Exited, NotStarted, Paused, Probed, Started, Status
from supervisor.core.instance import Run
from supervisor.host import clock
from supervisor.host.interface import Done, Happened, Launch, Occurrence, Request
from supervisor.shell.parent import Parent
from supervisor.shell.takeover import take_over
from supervisor.verbs import load_all

CONFIG = """
[supervisor]
name = "office"
runtime_dir = "run"
state_dir = "."
log_dir = "log"
sample = 0
[defaults]
history = { keep = 0 }
log = { to = "none" }
[pool.gpu]
slots = 2
[group.etl]
tasks = ["web", "im*"]
[task.web]
command = "true"
replicas = 2
[task.db]
command = "true"
[task.app]
command = "true"
requires = ["db"]
[task.import]
kind = "triggered"
pool = "gpu"
command = "true"
[task.prepare]
kind = "startup"
command = "true"
"""


class Nothing:
    """A host whose children obey at once, in time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.happens: list[Occurrence] = []
        self.lines: list[tuple[str, str]] = []
        self.runs: dict[str, int] = {}
        self.forked = 0
        self.startups: set[str] = set()  # instances of start-up tasks: each ends at once, with success
        self.last_line = ""  # of the stderr of each helper
        self._errands = 0

    def prepare(self, count: int) -> None:
        pass

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1e9 + self.time

    def send(self, key: str, kind: str, items: list[Any] | dict[str, Any]) -> None:
        pass

    woke = property(now)

    stamp = staticmethod(lambda at=None: clock.rfc3339(1e9 + (at or 0.0)))
    moment = staticmethod(lambda stamp: 1000.0)

    def wait(self, deadline: float | None) -> list[Occurrence]:
        happens, self.happens = self.happens, []
        return happens

    def fork(self, launch: Launch) -> tuple[int, int, str]:
        self.forked += 1
        self.runs[launch.key] = launch.run.number
        if launch.task.kind == "startup":
            self.startups.add(launch.key)
        return 100_000 + self.forked, 1, ""

    def send_go(self, key: str) -> None:
        self.happens.append(Happened(key, Started(self.runs[key])))
        if key in self.startups:
            self.happens.append(Happened(key, Exited(self.runs[key], Status(0), empty=True)))

    def abandon(self, key: str, reason: str) -> None:
        self.happens.append(Happened(key, NotStarted(self.runs[key], reason)))

    def post_mortem(self, run: Run) -> None: ...

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        self.happens.append(Happened(key, Exited(run.number, Status(None, policy.signal), empty=True)))

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> None:
        for key, run in doomed:
            self.terminate(key, run, StopPolicy("SIGKILL"))

    def signal(self, key: str, name: str) -> bool:
        return key in self.runs

    def pause(self, key: str, run: Run) -> None:
        self.happens.append(Happened(key, Paused(run.number)))

    def resume(self, key: str, run: Run) -> None: ...

    def birth_of(self, pid: int) -> int:
        return 1

    def watch_process(self, name: str, pid: int, birth: int, pidfd: int = -1, *, spare: bool = False) -> None: ...

    def unwatch_process(self, name: str) -> None: ...

    def place_of(self, group: str) -> str:
        return ""

    def ask(self, launch: Launch, probe: Probe) -> None:
        self.happens.append(Happened(launch.key, Probed(launch.run.number, ok=True)))

    def remember(self, records: list[dict[str, Any]]) -> None:
        wire.encode(records=records)

    def publish_manifest(self, runtime_dir: str, plan: dict[str, Any]) -> None:
        wire.encode(plan=plan)

    def publish_health(self, what: dict[str, Any]) -> None:
        wire.encode(published=what)

    def state_of(self, key: str) -> str:
        return "S"

    def unread(self, key: str) -> int:
        return 0

    def silence(self, key: str) -> float | None:
        return None

    def complaint(self, key: str) -> str:
        return self.last_line

    def rejects(self) -> dict[str, Any]:
        return {}

    def losses(self) -> dict[str, Any]:
        return {}

    def breaches(self) -> dict[str, Any]:
        return {}

    def samples(self) -> dict[str, Any]:
        return {}

    def troubles(self) -> list[str]:
        return []

    def spool(self, records: list[dict[str, Any]]) -> str:
        wire.encode(records=records)
        return ""

    def has_unspooled(self) -> bool:
        return False

    def errand(self, function: Callable[..., Any], *arguments: object, keep: int = -1) -> int:
        self._errands += 1
        self.happens.append(Done(self._errands, function(*arguments)))
        return self._errands

    def watch(self, places: object) -> None: ...

    def notify(self, *assignments: str) -> None:
        "\n".join(assignments).encode()

    def title(self, text: str) -> None:
        text.encode()

    def log(self, level: str, text: str) -> None:
        self.lines.append((level, text))


class Caller:
    """A client that collects what it is told; everything has to fit on the wire."""

    def __init__(self, by: str = "root") -> None:
        self.by = by
        self.on_close: Callable[[], None] | None = None
        self.answers: list[Any] = []
        self.errors: list[tuple[str, int]] = []
        self.told: list[Any] = []
        self.tickets: list[Any] = []
        self.lines: list[bytes] = []

    def who(self) -> dict[str, Any]:
        return {"user": self.by, "uid": 0, "pid": 7, "program": "supctl"}

    def pidfd(self) -> int:
        return -1

    def answer(self, value: object) -> None:
        self.answers.append(wire.decode(wire.encode(answer=value))["answer"])

    def fail(self, text: str, exit_code: int = 1) -> None:
        wire.encode(error=text, exit=exit_code)
        self.errors.append((text, exit_code))

    def ticket(self, value: object) -> None:
        self.tickets.append(wire.decode(wire.encode(ticket=value))["ticket"])

    def progress(self, value: object) -> None:
        self.told.append(wire.decode(wire.encode(progress=value))["progress"])

    def send(self, line: bytes) -> None:
        self.lines.append(line)

    def descriptor(self) -> int:
        return -1

    def close(self) -> None:
        if self.on_close:
            self.on_close()


class Office:
    """The parent, its host, and a way to ask."""

    def __init__(self, directory: Path, config: str = CONFIG) -> None:
        path = directory / "office.toml"
        path.write_text(config)
        self.host = Nothing()
        self.parent = Parent(self.host, load(str(path)), load_all(), epoch="e", life="l")
        take_over(self.parent, {}, None)
        self.settle()

    def settle(self) -> None:
        """Until nothing happens any more at this moment."""
        self.parent.advance()
        while self.host.happens or self.parent.context.fleet.next_deadline() == 0.0:
            for occurrence in self.host.wait(None):
                self.parent.occur(occurrence)
            self.parent.advance()

    def ask(self, verb: str, **args: Any) -> Caller:
        caller = Caller()
        self.parent.occur(Request(caller, verb, args))
        self.settle()
        return caller

    @property
    def bugs(self) -> list[str]:
        return [text for level, text in self.host.lines if level == "error" and "bug" in text]
