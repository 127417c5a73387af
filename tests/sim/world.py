"""A machine in virtual time: processes that are small scripts, a clock, a disk, and what survives a supervisor.

The world goes on when a supervisor dies; `fake.FakeHost` is what one supervisor sees of it. A process is a `Being`:
how long it lives, how it ends, what it does about signals, what it leaves behind.

What can happen to it is what can happen to a real one. A supervisor that is killed leaves everything that it has
written, and of the write that it was in the beginning (`sheet` says why). A machine that stops takes everything with
it, but what is on a disk; what nobody has synced there may lack its end. Pids are given again, but never within
one tick of the clock that births are told by.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from sim import timekeeper
from sim.paper import Paper

from supervisor.core.definition import Config, MachineError
from supervisor.core.events import Notified, Status
from supervisor.core.immutable import immutable
from supervisor.shell.offloaded import Loaded
from supervisor.spawn import child
from supervisor.store.firings import Firings
from supervisor.store.journal import peek
from supervisor.store.lastgood import find, pack

if TYPE_CHECKING:
    from sim.fake import FakeHost

BOOT = 1000.0
"""Monotonic seconds at which a world begins; stories count from here."""

WALL = 1_795_000_000.0
"""Seconds since 1970 at that moment."""

ENDS_OF_ITSELF = frozenset({"SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"})


HELD_FOR = 10.0
"""Seconds for which what tasks say is kept without a supervisor (`host.unheard`)."""

DONE = Status(0)

NEVER_BEGAN = Status(child.NEVER_BEGAN)
"""How a child ends that gets no go byte."""


@immutable
class Being:
    """The behaviour of one run. Times are seconds."""

    lives: float | None = None  # None: until it is stopped
    status: Status = DONE  # how it ends by itself
    stops: float | None = 0.01  # how long it takes to end after a stop signal; None: it ignores that
    polite: bool = False  # ends with exit 0 then; else the signal kills it
    leaves: int = 0  # processes of its group that stay when the leader ends
    leftovers: int = 0  # processes that have left the group, by setsid or a double fork; they stay as well
    left_stop: float | None = 0.01  # as `stops`, of all those
    hangs: float = 0.0005  # before it waits for its go byte
    kills: int = 1  # how many SIGKILLs it takes: above 1 is a process in state D
    ready: float | None = None  # says READY=1 so long after its exec; None: never by itself
    answers: tuple[str, ...] = ()  # to its probe, the last one for ever: "" is good, else what is wrong
    refuses: bool = False  # it has another user, and the supervisor may not signal it
    cannot_fork: str = ""
    cannot_exec: str = ""


class ForFiring(NamedTuple):
    """What a run is for."""

    firing: str
    run: str
    trigger: str
    attempt: int
    interrupted: int


@dataclass(slots=True, eq=False)
class Process:
    """One run as the kernel knows it: a leader, perhaps with a group, perhaps with others that are in none."""

    key: str
    run: int
    pid: int
    birth: int
    being: Being
    child_of: int  # the supervisor's pid
    parent: FakeHost  # the program that forked it
    leader: bool = True
    members: int = 0  # of its group, without the leader
    leftovers: int = 0  # of the run, without the group
    told: str = ""  # whom the stop signal was sent to
    firing: ForFiring | None = None
    ready: bool = False  # waits for its go byte
    go: bool = False
    program: bool = False  # exec has succeeded
    grace_ends: float | None = None  # the supervisor has asked it to stop
    killed: int = 0
    asked: int = 0  # how often its probe has been answered
    paused: bool = False
    brings: tuple[str, dict[str, Any]] | None = (
        None  # the limits of its group, which it tells the kernel before its exec
    )
    waiting: list[Callable[[], None]] = field(default_factory=list)  # what it does as soon as it goes on

    @property
    def alive(self) -> bool:
        """Whether anything of the run is left that may do work: a child whose parent died before go never will."""
        return (self.leader and (self.program or self.go or self.parent.alive)) or self.rest > 0

    @property
    def rest(self) -> int:
        """How many there are besides the leader."""
        return self.members + self.leftovers


@dataclass
class World:
    """Everything outside of the supervisor: clock, processes, disk."""

    made: set[tuple[str, float]] = field(default_factory=set)  # every run that was forked, and when it began
    begun: list[tuple[str, float]] = field(default_factory=list)  # every run that was let go, and when it began
    samples: dict[str, Any] = field(default_factory=dict)  # what @scribe has measured
    spooled: list[dict[str, Any]] = field(default_factory=list)  # what the history was told
    time: float = BOOT
    wall: float = WALL - BOOT  # wall clock minus monotonic clock
    processes: dict[int, Process] = field(default_factory=dict)
    programs: dict[int, int] = field(default_factory=dict)  # births of processes that are no tasks, by pid
    will: dict[str, deque[Being]] = field(default_factory=lambda: defaultdict(deque))
    file: Config | str = ""  # the config as it is written; a text: what is wrong with it
    machine_errors: tuple[MachineError, ...] = ()  # what it names and the machine does not have
    journal: bytes | None = None  # the file; None: there is none
    torn: float = 0.0  # how much of the line that it was at does a write leave that comes to nothing: 0 to 1
    boots: int = 1  # of the machine
    disk: dict[str, Any] | None = None  # the freezes in the state directory
    published: dict[str, Any] = field(default_factory=dict)  # files of the runtime directory, for helpers
    lost: dict[str, Any] = field(default_factory=dict)  # what of the output could not be written
    rejected: dict[str, Any] = field(default_factory=dict)  # what @scribe has set aside
    shared: dict[str, dict[str, Any]] = field(default_factory=dict)  # the limits of groups, as the kernel has them
    beyond: dict[str, Any] = field(default_factory=dict)  # who was found beyond a limit
    disk_full: bool = False
    scarce: bool = False  # no descriptor is left: nothing can be looked at or begun
    spool_full: bool = False  # what the history shall be told stays in the memory of the supervisor
    journal_full: bool = False
    old_kernel: bool = False  # it tells only a parent how a process has ended
    keeps_descriptors: bool = True  # the spawner: so it is known also of what ended while nobody looked
    ends: dict[tuple[int, int], Status] = field(default_factory=dict)  # by pid and birth
    notes: dict[str, str] = field(default_factory=dict)  # by instance: the run of a firing that got its go byte
    firings: Firings = field(default_factory=timekeeper.store)  # on the disk
    firings_full: bool = False  # @timekeeper cannot commit
    only_in_memory: str = ""  # why the next @timekeeper keeps the firings only in memory
    timekeeper: timekeeper.FakeTimekeeper | None = None
    ran: list[tuple[str, str, str]] = field(default_factory=list)  # firings whose program ran, with run and trigger
    tries: list[ForFiring] = field(default_factory=list)  # the same, with the numbers of the attempts
    errand_takes: float = 0.01
    told: list[dict[str, Any]] = field(default_factory=list)  # messages that `notify_command` got
    teller: str = ""  # what is wrong with `notify_command`
    host: FakeHost | None = None
    forked: list[str] = field(default_factory=list)
    signals: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    on_fork: Callable[[Process], None] = lambda process: None
    on_kill: Callable[[Process], None] = lambda process: None
    unheard: list[tuple[Process, Notified]] = field(default_factory=list)  # said while there was no supervisor
    alone_since: float = 0.0  # since when there is none
    executing: int = 0  # the pid in which another program is about to come up
    zombies: dict[tuple[int, int], Status] = field(default_factory=dict)  # its children that have ended meanwhile
    _last_pid: int = 100
    _count: int = 0
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)

    # -- time ---------------------------------------------------------------------------------------------------------

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Schedule something."""
        self._count += 1
        heappush(self._agenda, (self.time + seconds, self._count, act))

    @property
    def wall_time(self) -> float:
        """Seconds since 1970."""
        return self.time + self.wall

    def next_moment(self) -> float | None:
        """Return when the next thing happens."""
        return self._agenda[0][0] if self._agenda else None

    def happen(self) -> None:
        """Goes on to the next thing that happens, and everything else at that very moment."""
        self.time = max(self.time, self._agenda[0][0])
        while self._agenda and self._agenda[0][0] <= self.time:
            heappop(self._agenda)[2]()

    def postpone(self, seconds: float) -> None:
        """Whoever is asked to stop has so much more time, as it does not run while the supervisor does not."""
        for process in self.processes.values():
            if process.grace_ends is not None:
                process.grace_ends += seconds

    def stall(self, seconds: float) -> None:
        """Stop everything except the clock."""
        self.time += seconds
        self._agenda = [(moment + seconds, count, act) for moment, count, act in self._agenda]
        self.postpone(seconds)

    # -- processes ----------------------------------------------------------------------------------------------------

    def fork(self, host: FakeHost, key: str, run: int) -> Process:
        """A child that waits; the being has been taken already."""
        queue = self.will[key]
        being = queue.popleft() if queue else Being()
        self._last_pid = self._free_pid()
        process = Process(key, run, self._last_pid, int(self.time * 100), being, host.pid, host)
        if being.cannot_fork:
            return process
        self.processes[process.pid] = process
        self.forked.append(key)
        self.on_fork(process)
        self.later(being.hangs, lambda: self._waits(process))
        return process

    def begin_program(self) -> int:
        """A process that is no task begins; return its pid."""
        self._last_pid = self._free_pid()
        self.programs[self._last_pid] = int(self.time * 100)
        return self._last_pid

    def end_program(self, pid: int) -> None:
        """It ends."""
        if self.programs.pop(pid, None) is not None and self.host:
            self.host.program_ended(pid)

    def _free_pid(self) -> int:
        """The next one that is nobody's, and was nobody's who was born in this very tick."""
        pid = self._last_pid + 1
        while pid in self.processes or pid in self.programs or (pid, int(self.time * 100)) in self.ends:
            pid += 1
        return pid

    def _waits(self, process: Process) -> None:
        process.ready = True
        if process.go:
            self.run(process)  # the byte has been there for a while
        elif not process.parent.alive:
            self.end(process, NEVER_BEGAN)

    def run(self, process: Process) -> None:  # noqa: C901 - the effects of an exec
        """Execute the program: the go byte has arrived."""
        process.go = True
        if not process.leader or not process.ready or process.program:
            return
        if process.brings:
            self.shared[process.brings[0]] = process.brings[1]
        if process.firing:
            self.notes[process.key] = process.firing.run
        if process.being.cannot_exec:
            if self.host:
                self.host.failed_to_exec(process)
            self.end(process, Status(127))
            return
        process.program = True
        if process.firing:
            self.ran.append(process.firing[:3])
            self.tries.append(process.firing)
        if process.key == timekeeper.KEY:
            self.timekeeper = timekeeper.FakeTimekeeper(self, process, process.parent)
        process.members, process.leftovers = process.being.leaves, process.being.leftovers
        if self.host:
            self.host.executed(process)
        if process.being.ready is not None:
            self._does(process, process.being.ready, lambda: self.say(process, ready=True))
        if process.being.lives is not None:
            self._does(process, process.being.lives, lambda: self.end(process, process.being.status))

    def _does(self, process: Process, seconds: float, act: Callable[[], None]) -> None:
        """It does something by itself; when it stands still then, as soon as it goes on."""
        self.later(seconds, lambda: process.waiting.append(act) if process.paused else act())

    def go_on(self, process: Process) -> None:
        """Resume all processes of the run."""
        process.paused = False
        for act in process.waiting:
            self.later(0.0001, act)
        process.waiting = []

    def say(self, process: Process, **what: Any) -> None:
        """It says something by sd_notify; what nobody hears waits for the next supervisor."""
        if process.paused:
            process.waiting.append(lambda: self.say(process, **what))
        elif process.leader and process.program:
            said = Notified(process.run, **what)
            if self.host:
                self.host.notified_by(process, said)
            elif self.time - self.alone_since < HELD_FOR:
                self.unheard.append((process, said))

    def heard_late(self, process: Process) -> list[Notified]:
        """What it has said while there was no supervisor, for the one that listens to it from now on."""
        held = self.time - self.alone_since < HELD_FOR
        said = [what for who, what in self.unheard if who is process and held]
        self.unheard = [(who, what) for who, what in self.unheard if who is not process]
        return said

    def answer(self, process: Process) -> str:
        """What is wrong with it, as its probe finds out; "" for nothing."""
        answers = process.being.answers or ("",)
        process.asked += 1
        return answers[min(process.asked, len(answers)) - 1]

    def end(self, process: Process, status: Status) -> None:
        """End the main process."""
        if process.leader:
            process.leader = False
            self.ends[process.pid, process.birth] = status
            if process.child_of == self.executing:
                self.zombies[process.pid, process.birth] = status
            if self.host:
                self.host.leader_ended(process, status)
            self._tidy(process)

    def leave(self, process: Process, *, members: bool = True, leftovers: bool = False) -> None:
        """The others of a run end: those of its group, those that have left it."""
        before = process.rest
        process.members -= process.members if members else 0
        process.leftovers -= process.leftovers if leftovers else 0
        if before and not process.rest:
            if self.host:
                self.host.rest_ended(process)
            self._tidy(process)

    def _tidy(self, process: Process) -> None:
        if not process.leader and not process.rest:
            self.processes.pop(process.pid, None)

    def signal(self, process: Process, name: str, to: str) -> None:
        """Delivers a signal to the leader ("main"), to all of the group, to "all", or to the "leftovers"."""
        self.signals.append((process.key, name))
        being = process.being
        if being.refuses:
            return
        if name == "SIGKILL":
            self._kill(process, to)
            return
        if name not in ENDS_OF_ITSELF:
            return
        if process.leader and to != "leftovers":
            takes = being.stops if process.program else 0.0  # default dispositions before the exec
            if takes is not None:
                status = Status(0) if being.polite and process.program else Status(None, name)
                self._does(process, takes, lambda: self.end(process, status))
        members, leftovers = to in ("group", "all"), to in ("all", "leftovers")
        if being.left_stop is not None:
            self._does(process, being.left_stop, lambda: self.leave(process, members=members, leftovers=leftovers))

    def _kill(self, process: Process, to: str) -> None:
        self.on_kill(process)
        process.killed += 1
        if process.killed < process.being.kills:
            return
        self.later(0.0001, lambda: self.end(process, Status(None, "SIGKILL")))
        if to != "main":
            self.later(0.0001, lambda: self.leave(process, leftovers=to == "all"))

    # -- the supervisor -----------------------------------------------------------------------------------------------

    def supervisor_ended(self, executing: int = 0) -> None:
        """It is gone: children that still wait see that and end; the others live on.

        `executing` is its pid, if another program is about to come up in it.
        """
        host, self.host = self.host, None
        self.executing, self.alone_since = executing, self.time
        self.zombies.clear()
        if host:
            host.alive = False
        for process in list(self.processes.values()):
            if process.ready and not process.go:
                self.end(process, NEVER_BEGAN)
            elif process.key == timekeeper.KEY and process.program:
                if self.timekeeper and self.timekeeper.process is process:
                    self.timekeeper.hung_up()
                self.end(process, DONE)  # it sees that its connection is closed

    def lose_power(self, *, on_disk: bool) -> None:
        """The machine stops, and boots: nothing is left but the state directory.

        If the runtime directory is `on_disk` as well, so is the journal, without its end perhaps.
        """
        self.supervisor_ended()
        self.processes.clear()
        self.programs.clear()
        self.unheard.clear()
        self._agenda.clear()
        self.ends.clear()
        self.made.clear()
        self.begun.clear()  # nobody knows of them any more
        self.spooled.clear()
        self.lost, self.rejected, self.published, self.notes = {}, {}, {}, {}
        kept = int(len(self.journal or b"") * self.torn)
        self.journal = (self.journal or b"")[:kept] if on_disk else None
        self.boots += 1
        self.wall += self.time - BOOT
        self.time = BOOT
        self._last_pid = 100

    def replenish(self) -> None:
        """There are descriptors again; the supervisor finds that out when it tries once more."""
        self.scarce = False
        if self.host:
            self.later(0.1, self.host.try_again)

    def come_round(self) -> None:
        """The kernel has given the highest pid, and begins anew."""
        self._last_pid = 100

    @property
    def boot(self) -> str:
        """Return the boot id."""
        return f"boot {self.boots}"

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the journal as the next supervisor reads it."""
        return peek("journal", self.boot, Paper(self))

    def load(self) -> Loaded:
        """Return what the errand that reads the config finds."""
        if isinstance(self.file, str):
            return Loaded(None, (self.file,))
        return Loaded(self.file, packed=pack(self.file), machine_errors=self.machine_errors)

    def last_good(self) -> str | None:
        """The config of an earlier supervisor, if it has left tasks."""
        return find(self.facts(), "conf")

    def living(self, key: str) -> list[Process]:
        """The living runs of an instance; more than one is what must never be."""
        return [process for process in self.processes.values() if process.key == key and process.alive]
