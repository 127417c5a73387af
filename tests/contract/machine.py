"""One interface over two machines: the fake one of the simulation, and this very one, for tests that must hold on both.

What a process does is said by a name (`sleeps`, `exits 3` …); each machine has its own way to make one of it.
The real one is used in a forked child per test (`conftest`), since it takes over signals and reaps every child.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sim.fake import FakeHost
from sim.world import Being, World

from supervisor.core.definition import Log as LogTo
from supervisor.core.definition import Probe, StopPolicy, Task
from supervisor.core.events import Event, Exited, Started, Status
from supervisor.core.immutable import replace
from supervisor.core.instance import Run
from supervisor.host.interface import Breached, Done, Dropped, Happened, Host, Launch, Occurrence, Stalled
from supervisor.host.log import Log
from supervisor.host.pidfd import kernel_tells
from supervisor.shell.linux import Linux
from supervisor.store.journal import Journal
from supervisor.store.statefile import BREACHES, LOSSES

BOUND = 20.0
"""Seconds after which something that should have happened has not."""

BEINGS = {
    "sleeps": Being(),
    "exits 3": Being(lives=0.01, status=Status(3)),
    "exits 3 soon": Being(lives=0.2, status=Status(3)),
    "dies of SIGUSR1": Being(lives=0.01, status=Status(None, "SIGUSR1")),
    "ignores SIGTERM": Being(stops=None),
    "leaves one": Being(lives=0.01, leaves=1),
    "leaves a stubborn one": Being(lives=0.01, leaves=1, left_stop=None),
    "has a stray": Being(leftovers=1),
    "leaves a stray": Being(lives=0.01, leftovers=1),
    "leaves a stubborn stray": Being(lives=0.01, leftovers=1, left_stop=None),
    "leaves one of each": Being(lives=0.01, leaves=1, leftovers=1),
    "has an unmarked child": Being(leftovers=1, left_stop=None),
    "has an unmarked stray": Being(leftovers=1, left_stop=None),
    "has an unmarked orphan": Being(leftovers=1, left_stop=None),
    "is missing": Being(cannot_exec="exec /nowhere/program: No such file or directory"),
}

SCRIPTS = {
    "sleeps": "echo > {ready}; exec sleep 1000",
    "exits 3": "echo > {ready}; exit 3",
    "exits 3 soon": "echo > {ready}; sleep 0.2; exit 3",
    "dies of SIGUSR1": "echo > {ready}; kill -USR1 $$",
    "ignores SIGTERM": "trap '' TERM; echo > {ready}; exec sleep 1000",
    "leaves one": "sleep 1000 & echo > {ready}; exit 0",
    "leaves a stubborn one": "trap '' TERM; sleep 1000 & echo > {ready}; exit 0",
}

RELATIVES = {
    "has a stray": ("stay", "daemon"),
    "leaves a stray": ("exit", "bare"),
    "leaves a stubborn stray": ("exit", "stubborn"),
    "leaves one of each": ("exit", "group", "setsid"),
    "has an unmarked child": ("stay", "unmarked-group"),
    "has an unmarked stray": ("stay", "unmarked-setsid"),
    "has an unmarked orphan": ("stay", "unmarked-orphan"),
}
"""Those of them that need more than a shell: what `relatives.py` is told."""

PROGRAM = (Path(__file__).parents[1] / "relatives.py").read_text()

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
"""Everybody may run that of the system, perhaps not that of whoever runs the tests."""


class Machine:
    """What the tests use of either."""

    host: Host
    kernel_tells: bool  # how a process has ended that is no child of the supervisor

    def __init__(self, place: Path) -> None:
        self.place = place
        self.runs = 0
        self.launches: dict[int, Launch] = {}  # by the number of the run
        self._kept: list[Any] = []  # told together with a start: on a busy machine it may have ended by then

    def launch(self, how: str, key: str = "web:1") -> Launch:
        """A launch of something that behaves like this."""
        self.runs += 1
        task = Task(key.partition(":")[0], command=self.command(how, key), log=LogTo("none"))
        run = Run(self.runs, f"{key}/{self.runs}@{self.place.name}", "start", 1, self.host.now())
        self.launches[run.number] = Launch(key, task, 1, run, "", str(self.place), str(self.place))
        return self.launches[run.number]

    def fork(self, how: str, key: str = "web:1") -> Run:
        """Fork it; it waits for its go byte. Return the run as the parent keeps it."""
        launch = self.launch(how, key)
        pid, birth, cgroup = self.host.fork(launch)
        return replace(launch.run, pid=pid, birth=birth, cgroup=cgroup)

    def start(self, how: str, key: str = "web:1") -> Run:
        """Forks it and lets it run; it has done all that its name says, but for its own end."""
        run = self.fork(how, key)
        self.host.send_go(key)
        self._kept = [one for one in self.until(_started) if not isinstance(one, Started)]
        self.is_ready()
        return run

    def until(self, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """Collect events and answers of errands until `enough` returns true."""
        seen, self._kept = self._kept, []
        end = self.host.now() + BOUND
        while not enough(seen):
            assert self.host.now() < end, f"not enough in {BOUND:g} s: {seen}"
            seen += self._told(end)
        return seen

    def _told(self, end: float) -> list[Any]:
        """What a wait tells, but that this machine is too busy to let us run (`test_a_stall_is_reported`)."""
        return [_plain(one) for one in self.host.wait(end) if not isinstance(one, Stalled)]

    def stall(self, seconds: float) -> None:
        """The supervisor stands still for so long in its next wait."""
        raise NotImplementedError

    def quiet(self, seconds: float) -> list[Any]:
        """Collect the events of the next moments."""
        end = self.host.now() + seconds
        seen, self._kept = self._kept, []
        while self.host.now() < end:
            seen += self._told(end)
        return seen

    def command(self, how: str, key: str) -> tuple[str, ...]:
        raise NotImplementedError

    def is_ready(self) -> None:
        """Wait until the newest run is set up."""
        raise NotImplementedError

    def has_run(self) -> bool:
        """Return whether any program has started."""
        raise NotImplementedError

    def alive(self, run: Run) -> bool:
        """Return whether the main process of a run lives."""
        raise NotImplementedError

    def gone(self, run: Run) -> None:
        """Wait until the main process of a run has ended."""
        raise NotImplementedError

    def life(self, act: Callable[[], Any]) -> Any:
        """A supervisor that does something, and then dies as by kill -9; the next one is `host` from then on."""
        raise NotImplementedError

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the journal as the next supervisor reads it."""
        raise NotImplementedError

    def refuse(self, patched: pytest.MonkeyPatch) -> None:
        """Make the next fork fail."""
        raise NotImplementedError

    def scarcity(self) -> AbstractContextManager[None]:
        """No descriptor is left to the supervisor meanwhile, of whatever reserve."""
        raise NotImplementedError

    def stranger(self) -> int:
        """A process that is no run begins; return its pid."""
        raise NotImplementedError

    def end_stranger(self, pid: int) -> None:
        """It ends."""
        raise NotImplementedError

    def lose(self, sums: dict[str, Any]) -> None:
        """The scribe says what it could not write."""
        raise NotImplementedError

    def exceed(self, run: Run, why: str) -> None:
        """The scribe finds a run beyond a limit."""
        raise NotImplementedError

    def posted(self, name: str) -> Any:
        """What a helper reads in a file of the runtime directory."""
        raise NotImplementedError

    def question(self, run: Run, answer: str, timeout: float) -> None:
        """Asks a run by a command that is answered so: "well", "exit 1", "nothing" (it hangs), "missing"."""
        words = {"well": ("true",), "exit 1": ("sh", "-c", "exit 1"), "nothing": ("sleep", "1000")}
        probe = Probe("command", {"command": words.get(answer, ("/nowhere/program",))}, timeout=timeout)
        self._will_answer(answer)
        self.host.ask(replace(self.launches[run.number], run=run), probe)

    def _will_answer(self, answer: str) -> None:
        """Where no command is run."""

    def end(self) -> None:
        """Clean up."""


def _started(seen: list[Any]) -> bool:
    return any(isinstance(one, Started) for one in seen)


def _plain(occurrence: Occurrence) -> Event | Occurrence:
    """Without what it has used, which is never the same twice."""
    event = occurrence.event if isinstance(occurrence, Happened) else occurrence
    if isinstance(event, Exited) and event.status:
        return replace(event, status=replace(event.status, used=None))
    return event


class Fake(Machine):
    """The machine of the simulation."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.world = World()
        self.lives = 0
        self.kernel_tells = True
        self._begin()

    def _begin(self) -> None:
        self.lives += 1
        self.host = host = FakeHost(self.world, pid=self.lives)
        host.use_journal(Journal("journal", self.world.boot, "e", host.paper()))

    def command(self, how: str, key: str) -> tuple[str, ...]:
        self.world.will[key].append(BEINGS[how])
        return (how,)

    def is_ready(self) -> None:
        pass

    def has_run(self) -> bool:
        return any(process.program for process in self.world.processes.values())

    def alive(self, run: Run) -> bool:
        process = self.world.processes.get(run.pid)
        return process is not None and process.leader

    def gone(self, run: Run) -> None:
        while self.alive(run):
            self.world.happen()

    def life(self, act: Callable[[], Any]) -> Any:
        value = act()
        self.world.supervisor_ended()
        self._kept = []
        self._begin()
        return value

    def stall(self, seconds: float) -> None:
        self.host.stall(seconds)

    def facts(self) -> dict[str, dict[str, Any]]:
        return self.world.facts()

    def refuse(self, patched: pytest.MonkeyPatch) -> None:
        self.world.will["web:1"].appendleft(Being(cannot_fork="Too many open files"))

    @contextmanager
    def scarcity(self) -> Iterator[None]:
        self.world.scarce = True
        yield
        self.world.replenish()

    def stranger(self) -> int:
        return self.world.begin_program()

    def end_stranger(self, pid: int) -> None:
        self.world.end_program(pid)

    def lose(self, sums: dict[str, Any]) -> None:
        self.world.lost = sums
        self.host.tell(Dropped())

    def exceed(self, run: Run, why: str) -> None:
        self.world.beyond["web:1"] = {"run": run.id, "why": why}
        self.host.tell(Breached())

    def posted(self, name: str) -> Any:
        return self.world.published[name]

    def _will_answer(self, answer: str) -> None:
        texts = {"well": "", "exit 1": "its command ended with exit 1", "nothing": "timeout"}
        text = texts.get(answer, "its command cannot be run: exec /nowhere/program: No such file or directory")
        for process in self.world.processes.values():
            process.being = replace(process.being, answers=(text,))


class Real(Machine):
    """This machine."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.kernel_tells = kernel_tells()
        self.ready = place / "ready"
        os.mkfifo(self.ready)
        self.pipe = os.open(self.ready, os.O_RDWR | os.O_NONBLOCK)
        self.pids = place / "pids"
        self.pids.touch()

    def __getattr__(self, name: str) -> Host:
        """The host is made when it is first asked for: some tests have one that dies before."""
        if name != "host":
            raise AttributeError(name)
        self._begin()
        return self.host

    def _begin(self) -> None:
        self.host = Linux(Log(os.open(os.devnull, os.O_WRONLY)))
        self.host.use_journal(Journal(str(self.place / "journal"), "boot", "e"))

    def command(self, how: str, key: str) -> tuple[str, ...]:
        if how == "is missing":
            return ("/nowhere/program",)
        if how in RELATIVES:
            return (PYTHON, "-S", "-c", PROGRAM, str(self.pids), str(self.ready), *RELATIVES[how])
        return ("sh", "-c", SCRIPTS[how].format(ready=self.ready))

    def fork(self, how: str, key: str = "web:1") -> Run:
        run = super().fork(how, key)
        with self.pids.open("a") as file:
            file.write(f"{run.pid}\n")
        return run

    def _poll(self, seconds: float) -> bool:
        return bool(select.select([self.pipe], [], [], seconds)[0])

    def is_ready(self) -> None:
        assert self._poll(BOUND), "the program does not run"
        os.read(self.pipe, 100)

    def has_run(self) -> bool:
        return self._poll(0.0)

    def alive(self, run: Run) -> bool:
        try:
            text = Path(f"/proc/{run.pid}/stat").read_text()
        except OSError:
            return False
        return text.rpartition(") ")[2][0] not in "ZX"

    def gone(self, run: Run) -> None:
        try:
            pidfd = os.pidfd_open(run.pid)
        except OSError:
            return
        assert select.select([pidfd], [], [], BOUND)[0], "it lives on"
        os.close(pidfd)

    def life(self, act: Callable[[], Any]) -> Any:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            value = act()
            os.write(theirs, pickle.dumps((self.runs, value)))
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(theirs)
        with open(ours, "rb") as file:
            self.runs, value = pickle.loads(file.read())
        os.waitpid(pid, 0)
        return value

    def stall(self, seconds: float) -> None:
        stop = f"kill -STOP {os.getpid()}; sleep {seconds}; kill -CONT {os.getpid()}"
        subprocess.Popen(["sh", "-c", stop], start_new_session=True)

    def facts(self) -> dict[str, dict[str, Any]]:
        return Journal(str(self.place / "journal"), "boot", "e").facts

    def refuse(self, patched: pytest.MonkeyPatch) -> None:
        def refused() -> None:
            raise OSError(24, "Too many open files")

        patched.setattr(socket, "socketpair", refused)

    @contextmanager
    def scarcity(self) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.host._spawning.close()  # type: ignore[attr-defined]  # a child that was made ahead needs none
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def stranger(self) -> int:
        pid = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ)
        with self.pids.open("a") as file:
            file.write(f"{pid}\n")
        return pid

    def end_stranger(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def lose(self, sums: dict[str, Any]) -> None:
        LOSSES.write(str(self.place), sums)

    def exceed(self, run: Run, why: str) -> None:
        BREACHES.write(str(self.place), {"web:1": {"run": run.id, "why": why}})

    def posted(self, name: str) -> Any:
        return json.loads((self.place / name).read_text())

    def end(self) -> None:
        for pid in self.pids.read_text().split():
            for kill in (os.killpg, os.kill):
                with suppress(ProcessLookupError, PermissionError):
                    kill(int(pid), signal.SIGKILL)
        if "host" in vars(self):
            self.host.close()  # type: ignore[attr-defined]


def answer(seen: list[Any]) -> bool:
    """For `until`: an errand is done."""
    return any(isinstance(one, Done) for one in seen)


POLICY = StopPolicy("SIGTERM", 5.0, "group")
TO_MAIN = StopPolicy("SIGTERM", 5.0, "main")
TO_ALL = StopPolicy("SIGTERM", 5.0, "all")
