"""The firings while the state directory cannot be written: each runs once, whatever fails or is killed, and when.

A schedule of each second is due at each second of a clock of our own. A simple parent begins each firing, and keeps
what it has begun in a file, as the journal of the supervisor does.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from store.faulty import WRITES, Calls, calls_below, unavailable

from supervisor.core.definition import CatchUp, Timing
from supervisor.core.firing import Firing
from supervisor.core.immutable import plain, replace
from supervisor.core.last_runs import Record
from supervisor.helpers.timekeeper import Answer, Timekeeper
from supervisor.host import clock
from supervisor.store import fallback as under_test
from supervisor.store.fallback import FALL_BACK, MOVE_BACK, Fallback, InMemory
from supervisor.store.firings import Firings, InUseError, open_to_write

BEGIN = 1_000_000
LATER = 1e6
"""Monotonic seconds ahead, at which an attempt to move back is due."""

TICK = Timing(schedule=("* * * * * *",), timezone="UTC", catch_up=CatchUp.ALL, max_waiting=1000)

needs_faults = pytest.mark.skipif(bool(unavailable()), reason=unavailable())


class Machine:
    """The two directories, and what the parent has in its journal."""

    def __init__(self, directory: Path) -> None:
        self.state, self.run = directory / "state", directory / "run"
        self.state.mkdir()
        self.run.mkdir()
        self.disk, self.memory = self.state / "firings.db", self.run / "firings.db"
        self._journal = directory / "journal"
        self._journal.touch()
        self.said: list[str] = []
        self.made: list[Fallback] = []

    def fallback(self) -> Fallback:
        made = Fallback(str(self.disk), str(self.memory), "boot", lambda _, text: self.said.append(text))
        self.made.append(made)
        return made

    def note(self, kind: str, identity: str) -> None:
        with self._journal.open("a") as file:
            file.write(f"{kind} {identity}\n")

    def noted(self, kind: str) -> list[str]:
        lines = (line.split() for line in self._journal.read_text().splitlines())
        return [identity for found, identity in lines if found == kind]

    def check(self, until: int, *, skipped: bool = False) -> None:
        """Each second since the first one was in one run."""
        began = Counter(int(identity.rpartition("/")[2]) for identity in self.noted("begun"))
        assert max(began.values(), default=1) == 1, f"doubled: {[due for due in began if began[due] > 1]}"
        missing = set(range(min(began), until + 1)) - began.keys()
        assert skipped or not missing, f"lost: {sorted(missing)}"


class Parent:
    """What the supervisor does with one connection: the rules of `shell.firings`."""

    def __init__(self, machine: Machine, store: Firings) -> None:
        self._machine = machine
        self._keeper = Timekeeper(store, "boot", "vm", lambda *_: None)
        self._waiting: dict[str, float] = {}

    def connect(self, now: float) -> None:
        self._ask({"define": {"tick": json.loads(json.dumps(plain(TICK)))}, "first": True, "last": True}, now)
        self._over(now)
        self._plan(now)

    def second(self, now: float) -> None:
        """Begin what is due, and end it."""
        due = sorted(identity for identity, start in self._waiting.items() if start <= now)
        if due:
            self._ask({"take": [[identity, f"run {identity}"] for identity in due]}, now)
        self._over(now)
        self._plan(now)

    def _over(self, now: float) -> None:
        open_ends = set(self._machine.noted("begun")) - set(self._machine.noted("closed"))
        if open_ends:
            ends = [{"id": one, "at": now, "reason": "exit 0", "ran": True} for one in sorted(open_ends)]
            self._ask({"over": ends}, now)

    def _ask(self, message: dict[str, Any], now: float) -> None:
        self._heard(self._keeper.answer([message], now), now)

    def _plan(self, now: float) -> None:
        more = True
        while more:
            answers, more = self._keeper.plan(now)
            self._heard(answers, now)

    def _heard(self, answers: list[Answer], now: float) -> None:
        begun = set(self._machine.noted("begun"))
        for kind, items in answers:
            for one in items:
                match kind:
                    case "open" if not one["run"]:
                        self._waiting[one["firing"]["id"]] = one["firing"]["start"]
                    case "open" if one["firing"]["id"] not in begun:
                        self._ask({"free": [one["firing"]["id"]]}, now)
                    case "armed":
                        self._waiting[one["id"]] = one["start"]
                    case "taken":
                        del self._waiting[one]
                        self._machine.note("begun", one)
                    case "closed":
                        self._machine.note("closed", one)
                    case "gone":
                        self._waiting.pop(one, None)


def live(machine: Machine, seconds: range, *, moves: bool = True) -> Fallback:
    """One process of @timekeeper, for these seconds."""
    fallback, rest = machine.fallback(), list(seconds)
    while rest:
        with fallback.opened() as store:
            parent = Parent(machine, store)
            parent.connect(rest[0])
            while rest:
                parent.second(rest[0])
                rest.pop(0)
                if moves and moves_back(fallback):
                    break
    return fallback


def moves_back(fallback: Fallback) -> bool:
    """Attempt to move back, and wait for the child that tries."""
    if fallback.attempt(clock.now() + LATER):
        return True
    if fallback.fd < 0:
        return False
    assert select.select([fallback.fd], [], [], 30.0)[0]
    return fallback.attempt(clock.now() + LATER)


def apart(act: Callable[[], None]) -> int:
    """Call it in a process of its own. Return the wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a child must not run on as a second test
            sys.__stderr__.write(f"{type(error).__name__}: {error}\n") if sys.__stderr__ else None
            os._exit(1)
    return os.waitpid(pid, 0)[1]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory in memory: a disk would be slow for so many lives."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as found:
        yield Path(found)


@pytest.fixture
def machine(directory: Path) -> Iterator[Machine]:
    made = Machine(directory)
    yield made
    for one in made.made:
        one.close()


def seconds(first: int, count: int) -> range:
    return range(BEGIN + first, BEGIN + first + count)


# -- each call of SQLite fails in turn --------------------------------------------------------------------------------

ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS]


def calls_of_a_life(directory: Path) -> int:
    machine = Machine(directory)
    with calls_below(machine.state) as calls:
        live(machine, seconds(0, 4)).close()
    return len(calls.made)


@needs_faults
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("once", [False, True], ids=["from then on", "once"])
def test_each_call_to_the_disk_fails_in_turn(directory: Path, number: int, once: bool) -> None:
    (directory / "whole").mkdir()
    count = calls_of_a_life(directory / "whole")
    assert count > 30
    fell_back = 0
    for fails in range(0, count, 2 if number == errno.ENOSPC and not once else 7):
        (directory / f"{fails}").mkdir()
        machine = Machine(directory / f"{fails}")
        with calls_below(machine.state) as calls:
            calls.fail_at, calls.errno, calls.once = fails, number, once
            fallback = live(machine, seconds(0, 4))
            fell_back += bool(fallback.why)
            fallback.close()
        live(machine, seconds(4, 3)).close()
        machine.check(BEGIN + 6)
        assert machine.disk.exists()
        assert not machine.memory.exists(), "it is back on the disk"
    assert fell_back or once


@needs_faults
@pytest.mark.parametrize("where", ["state", "run"])
def test_it_is_killed_before_each_call(directory: Path, where: str) -> None:
    """In the state directory during an ordinary life; in the runtime directory while the other one is full."""

    def life(machine: Machine, calls: Calls | None, fail_at: int) -> None:
        with calls_below(machine.state if where == "state" or calls is None else machine.run) as found:
            found.fail_at = fail_at if calls is None else None
            live(machine, seconds(0, 4)).close()

    (directory / "whole").mkdir()
    for fails in range(0, calls_of_a_life(directory / "whole"), 3):
        (directory / f"{fails}").mkdir()
        machine = Machine(directory / f"{fails}")
        if where == "state":
            status = apart(lambda machine=machine, fails=fails: life(machine, None, fails))
        else:
            status = apart(lambda machine=machine, fails=fails: full_then_killed(machine, fails))
        assert os.WIFSIGNALED(status) or where == "run", fails
        live(machine, seconds(2, 5)).close()
        machine.check(BEGIN + 6)


def full_then_killed(machine: Machine, kill_at: int) -> None:
    """The disk is full after two seconds; then each call counts, in both directories."""
    live(machine, seconds(0, 2)).close()
    with calls_below(machine.state) as calls:
        calls.fail_at, calls.errno = 30, errno.ENOSPC
        with calls_below(machine.run) as others:
            others.fail_at = kill_at
            live(machine, seconds(2, 3)).close()


# -- each other call fails in turn ------------------------------------------------------------------------------------


def calls_in_code() -> list[str]:
    """The functions of the system that the moves call: "os.rename" and the like."""
    tree = ast.parse(Path(under_test.__file__).read_text())
    parts = [one for one in tree.body if getattr(one, "name", "") in ("Fallback", "_remove", "_copy_file")]
    found = {ast.unparse(node.func) for part in parts for node in ast.walk(part) if isinstance(node, ast.Call)}
    return sorted(name for name in found if re.fullmatch(r"(os|shutil|firings)\.[a-z_]+", name))


class Failing:
    """A module in which one function fails once."""

    def __init__(self, module: Any, function: str, number: int, error: BaseException) -> None:
        self._module, self._function, self._left, self._error = module, function, number, error
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._function else getattr(self._module, name)

    def _fail(self, *arguments: Any, **options: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self.failed = True
            raise self._error
        return getattr(self._module, self._function)(*arguments, **options)


@needs_faults
@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()], ids=repr)
@pytest.mark.parametrize("call", calls_in_code())
def test_each_other_call_fails_in_turn(
    directory: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    module, _, function = call.partition(".")
    for number in range(1, 100):
        (directory / f"{number}").mkdir()
        machine = Machine(directory / f"{number}")
        failing = Failing(getattr(under_test, module, None) or import_module(module), function, number, error)

        def life(machine: Machine = machine, failing: Failing = failing) -> None:
            monkeypatch.setattr(under_test, module, failing, raising=False)
            monkeypatch.setitem(sys.modules, module, failing)  # for an import in a function
            with suppress(OSError, MemoryError, sqlite3.Error):  # then the process ends
                full_and_back(machine)
            os._exit(failing.failed)

        if os.waitstatus_to_exitcode(apart(life)) == 0:
            break
        live(machine, seconds(6, 2)).close()
        machine.check(BEGIN + 7)
        assert not machine.memory.exists()
    assert number > 1, "it is never called"


def full_and_back(machine: Machine) -> None:
    """Two seconds as usual, one that finds the disk full, two in memory, and one after the way back."""
    live(machine, seconds(0, 2)).close()
    with calls_below(machine.state) as calls:
        calls.fail_at, calls.errno, calls.only = 0, errno.ENOSPC, WRITES
        live(machine, seconds(2, 1), moves=False).close()
    live(machine, seconds(3, 2), moves=False).close()
    live(machine, seconds(5, 1)).close()


# -- it is killed at each step of a move ------------------------------------------------------------------------------

STEPS = [
    (move, step.__name__) for move, steps in (("FALL_BACK", FALL_BACK), ("MOVE_BACK", MOVE_BACK)) for step in steps
]


def dies(move: str, name: str, when: str) -> None:
    """Have this process killed before or after a step."""

    def dying(step: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: object) -> None:
            if when == "after":
                step(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        return act if step.__name__ == name else step

    setattr(under_test, move, tuple(dying(step) for step in getattr(under_test, move)))


@needs_faults
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("move", "step"), STEPS)
@pytest.mark.parametrize("readable", [True, False], ids=["readable", "unreadable"])
def test_it_is_killed_at_each_step_of_a_move(machine: Machine, move: str, step: str, when: str, readable: bool) -> None:
    live(machine, seconds(0, 3)).close()

    def life() -> None:
        dies(move, step, when)
        with calls_below(machine.state) as calls:
            calls.errno, calls.fail_at, calls.only = errno.EIO, 0, WRITES if readable else calls.only
            live(machine, seconds(3, 3), moves=False).close()
        live(machine, seconds(6, 3))

    status = apart(life)
    assert os.WIFSIGNALED(status), "the step is never reached"
    assert os.WTERMSIG(status) == signal.SIGKILL
    fallback = live(machine, seconds(7, 4))
    assert fallback.why == ""
    fallback.close()
    machine.check(BEGIN + 10, skipped=not readable)
    waited = {f"tick/schedule/{BEGIN + second}" for second in (3, 4)}
    assert waited <= set(machine.noted("begun")), "what waited in the file that could not be read has run"


# -- the file itself --------------------------------------------------------------------------------------------------


def test_a_file_that_is_removed_is_made_again_with_everything(machine: Machine) -> None:
    fallback = machine.fallback()
    with fallback.opened() as store:
        Parent(machine, store).connect(BEGIN)
        assert not fallback.is_gone()
        machine.disk.unlink()
        assert fallback.is_gone()
        fallback.fall_back(FileNotFoundError(errno.ENOENT, "the file was removed"))
    assert live(machine, seconds(0, 3)).why == ""
    machine.check(BEGIN + 2)


def test_a_file_of_an_earlier_boot_does_not_count(machine: Machine) -> None:
    live(machine, seconds(0, 3)).close()
    fallback = machine.fallback()
    with fallback.opened():
        fallback.fall_back(OSError(errno.ENOSPC, "No space left on device"))
    fallback.close()
    other = Fallback(str(machine.disk), str(machine.memory), "later boot", lambda _, text: machine.said.append(text))
    with other.opened() as store:
        assert other.why == ""
        assert store.triggers() == [("tick", "schedule")]
    other.close()
    assert "is of an earlier boot" in machine.said[-1]
    assert not machine.memory.exists()


@needs_faults
def test_the_runtime_directory_is_full_too(machine: Machine) -> None:
    """Then nothing fires, and nothing is lost."""
    live(machine, seconds(0, 3)).close()
    with calls_below(machine.state.parent) as calls:
        calls.errno, calls.fail_at, calls.only = errno.ENOSPC, 0, WRITES
        with pytest.raises(sqlite3.OperationalError, match="full"):
            live(machine, seconds(3, 3))
    assert not machine.memory.exists()
    live(machine, seconds(6, 3)).close()
    machine.check(BEGIN + 8)


def test_a_file_that_another_process_uses_is_left_alone_and_the_process_is_named(machine: Machine) -> None:
    script = "import sys; from supervisor.store.firings import *; "
    script += "store = open_to_write(sys.argv[1], Firings)[0]; print(flush=True); input()"
    command = [sys.executable, "-c", script, str(machine.disk)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(InUseError, match=rf"another process uses it \(pid {other.pid}\)"):
            machine.fallback().open()
        assert not machine.memory.exists()
        other.communicate(b"\n")
    machine.fallback().open().close()


def test_a_broken_file_names_what_is_lost(machine: Machine) -> None:
    store, said = open_to_write(str(machine.disk), Firings)
    assert not said
    with store:
        for number in range(5):
            store.add(Firing(f"job/{number}", "job", "manual", 1.0, 1.0))
        store.connection.execute("CREATE TABLE filler (text)")
        store.connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 4000,)] * 20)
    store.close()
    size = machine.disk.stat().st_size
    with machine.disk.open("r+b") as file:
        file.seek(size - 8 * 4096)
        file.write(os.urandom(8 * 4096))
    machine.fallback().open().close()
    (said,) = machine.said
    assert "lost, as far as it can be read: job/0, job/1, job/2, job/3, job/4" in said


OLD, FRESH = Record(5.0, succeeded=True, expected=True), Record(90.0, expected=True)

MERGED = [
    # in the runtime directory, which began empty; in the state directory; what counts after the move back
    (FRESH, OLD, OLD),
    (FRESH, None, FRESH),
    (Record(95.0, succeeded=True), replace(OLD, failed="exit 1", overdue=True), Record(95.0, succeeded=True)),
    (replace(FRESH, failed="exit 2"), OLD, replace(OLD, failed="exit 2")),
    (FRESH, replace(OLD, failed="exit 1", overdue=True), replace(OLD, failed="exit 1", overdue=True)),
]


@pytest.mark.parametrize(("ours", "theirs", "merged"), MERGED)
def test_the_last_success_of_a_task_is_known_after_a_move_back(
    machine: Machine, ours: Record, theirs: Record | None, merged: Record
) -> None:
    store, _ = open_to_write(str(machine.disk), Firings)
    if theirs:
        with store:
            store.set_last_run("job", theirs)
    memory, _ = open_to_write(str(machine.memory), InMemory)
    memory.begin("boot", "no space", whole=False)
    memory.whole = False
    with memory:
        memory.set_last_run("job", ours)
    memory.move_to(store, "boot")
    assert store.last_runs() == {"job": merged}
    memory.close()
    store.close()
