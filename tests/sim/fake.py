"""What one supervisor sees of the world: an `interface.Host` in virtual time.

It behaves as the real host does, also where that is odd (what ends before its exec is told as started first);
`tests/contract` holds the two together.

A fuse may be set. Then the supervisor dies at that call to the host, as by SIGKILL: before the call has done anything,
in the middle of a write, or when the call is done.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sim.paper import Paper
from sim.world import NEVER_BEGAN, ForFiring, Process, World

from supervisor.core.definition import Probe, StopPolicy
from supervisor.core.events import Emptied, Exited, Killed, Notified, NotStarted, Paused, Probed, Started, Status
from supervisor.core.instance import Run
from supervisor.core.packets import packets
from supervisor.core.words import in_words
from supervisor.host.deadlines import first
from supervisor.host.errand import TIME_LIMIT
from supervisor.host.interface import (
    Breached,
    CannotForkError,
    Done,
    Dropped,
    Happened,
    Launch,
    Occurrence,
    ProcessEnded,
    Stalled,
)
from supervisor.shell import offloaded
from supervisor.store.journal import Journal


class Died(BaseException):
    """The supervisor got SIGKILL."""


class AsleepError(Exception):
    """No event will ever come: a real host would sleep for ever."""


class FakeHost:
    """Implements `interface.Host`."""

    def __init__(self, world: World, *, pid: int = 1) -> None:
        """`pid` stays over an exec, and with it the children do; it is another one after a death."""
        self.world = world
        self.pid = pid
        self.alive = True
        self.journal: Journal | None = None
        self.fuse: int | None = None  # calls until it dies; two to each: before and after
        self.woke = world.time
        self.until: float | None = None  # no wait is longer than to this moment
        self.watched: tuple[tuple[str, str], ...] = ()
        self.notified: list[str] = []
        self.titles = ""
        self.manifest: dict[str, Any] = {}
        self._inbox: list[Occurrence] = []
        self._known: dict[str, Process] = {}
        self._ended: dict[str, Process] = {}
        self._failed: dict[int, str] = {}
        self._errands = 0
        self._watched_processes: dict[str, int] = {}  # pids
        self._begun: dict[str, tuple[str, float]] = {}  # the newest run of each instance, and when it began
        self._untried: list[Callable[[], None]] = []  # what could not be done for want of descriptors
        self.unspooled: list[dict[str, Any]] = []
        world.host = self

    @property
    def busy(self) -> bool:
        """Return whether the next wait returns at once."""
        return bool(self._inbox)

    def _burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                raise Died

    # -- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.world.time

    def stamp(self, at: float | None = None) -> str:
        wall = (self.world.time if at is None else at) + self.world.wall
        return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def moment(self, stamp: str) -> float:
        return datetime.fromisoformat(stamp).timestamp() - self.world.wall

    def wall(self) -> float:
        return self.world.wall_time

    def wait(self, deadline: float | None) -> list[Occurrence]:
        self._burn()
        world = self.world
        deadline = first((deadline, self.until))
        while not self._inbox:
            moment = world.next_moment()
            if moment is None or (deadline is not None and deadline < moment):
                if deadline is None:
                    raise AsleepError
                world.time = max(world.time, deadline)
                break
            world.happen()
        self._burn()
        self.woke = world.time
        inbox, self._inbox = self._inbox, []
        return inbox

    def stall(self, seconds: float) -> None:
        """Stop the supervisor while the world goes on; events wait meanwhile."""
        self.tell_first(Stalled(seconds))
        until = self.world.time + seconds
        while (moment := self.world.next_moment()) is not None and moment <= until:
            self.world.happen()
        self.world.time = until
        self.world.postpone(seconds)

    def tell_first(self, occurrence: Occurrence) -> None:
        """As `tell`, but before all that waits."""
        self._inbox.insert(0, occurrence)

    def tell(self, occurrence: Occurrence) -> None:
        """Add an event: a signal, a request, a touched file."""
        self._inbox.append(occurrence)

    # -- processes ----------------------------------------------------------------------------------------------------

    def prepare(self, count: int) -> None:
        pass

    def fork(self, launch: Launch) -> tuple[int, int, str]:
        self._burn()
        if self.world.scarce:
            raise CannotForkError("fork: Too many open files")
        process = self.world.fork(self, launch.key, launch.run.number)
        if process.being.cannot_fork:
            text = process.being.cannot_fork
            raise CannotForkError(f"fork: {text}", scarce=text == os.strerror(errno.EAGAIN))
        self._known[launch.key] = process
        order = launch.run.order
        if order and order.firing:
            process.firing = ForFiring(
                order.firing, launch.run.id, launch.run.trigger, launch.run.attempt, order.interrupted
            )
        self._begun[launch.key] = (launch.run.id, launch.run.began)
        self.world.made.add(self._begun[launch.key])
        self._burn()
        return process.pid, process.birth, self._place(launch, process)

    def _place(self, launch: Launch, process: Process) -> str:
        if launch.group is None:
            return f"/cgroup/{process.pid}"
        process.brings = launch.group.name, launch.group.limits.of_the_run
        self.world.shared.setdefault(launch.group.name, {})
        return f"/cgroup/@{launch.group.name}/{process.pid}"

    def send_go(self, key: str) -> None:
        self._burn()
        process = self._known.get(key)
        if process:
            process.go = True
            self.world.begun.append(self._begun[key])
            self.world.later(0.0005, lambda: self.world.run(process))
        self._burn()

    def abandon(self, key: str, reason: str) -> None:
        self._burn()
        process = self._known.get(key)
        if process:
            self._failed[process.pid] = reason
            self.world.later(0.0001, lambda: self.world.end(process, NEVER_BEGAN))
        self._burn()

    def adopt(self, key: str, run: Run) -> bool:
        self._burn()
        self._look_up()
        zombie = self.world.zombies.pop((run.pid, run.birth), None)
        process = self.world.processes.get(run.pid)
        if process is None or process.birth != run.birth:
            if zombie:  # our child, by an exec: its end is still to be told
                self.tell(Happened(key, Exited(run.number, zombie, empty=True)))
            return zombie is not None
        self._known[key] = process
        process.told = ""
        self._inbox += [Happened(key, said) for said in self.world.heard_late(process)]
        if not process.leader:
            self._ended[key] = process
            self.tell(Happened(key, Exited(run.number, zombie or self.post_mortem(run), empty=False)))
        return True

    def began(self, key: str, run: Run) -> bool:
        process = self.world.processes.get(run.pid)
        going = process is not None and process.birth == run.birth and process.go
        return going or self.world.notes.get(key) == run.id

    def post_mortem(self, run: Run) -> Status | None:
        self._burn()
        known = self.world.keeps_descriptors and not self.world.old_kernel
        return self.world.ends.get((run.pid, run.birth)) if known else None

    def terminate(self, key: str, run: Run, policy: StopPolicy) -> None:
        self._burn()
        process = self._of(key, run)
        if process:
            if process.grace_ends is None:
                process.grace_ends = self.world.time + policy.grace
            to = policy.to if process.leader else self._not_told(process)
            process.told = policy.to if process.leader else process.told
            if to:
                self._tell(process, policy.signal, to)
        self._burn()

    def _tell(self, process: Process, signal: str, to: str) -> None:
        """Those that have left the group can only be found by a look at the machine."""
        if self.world.scarce and to in ("all", "leftovers"):
            self._untried.append(lambda: self._tell(process, signal, "leftovers"))
            to = "group" if to == "all" else ""
        if to and self._known.get(process.key) is process:
            self.world.signal(process, signal, to)

    def _not_told(self, process: Process) -> str:
        """Without a leader, the stop signal is for all that have not had it; who had it from another is not known."""
        if process.told == "group":
            return "leftovers" if process.leftovers else ""
        return "" if process.told == "all" else "all"

    def destroy(self, doomed: Sequence[tuple[str, Run]]) -> None:
        for key, run in doomed:
            self._burn()
            process = self._of(key, run)
            if process:
                self._kill(key, run, process)
                self._look_for_empty()
            self._burn()

    def _kill(self, key: str, run: Run, process: Process) -> None:
        if self.world.scarce:
            self.tell(Happened(key, Killed(run.number, (), ("perhaps others, as its cgroup cannot be killed",))))
            self.world.signal(process, "SIGKILL", "group")
            return
        met = [f"kid (pid {process.pid}.{number})" for number in range(process.rest)]
        again = run.kills > 1
        refused = process.being.refuses and process.leader
        left = [f"{process.key} (pid {process.pid})"] * process.leader + met if again else []
        if met or again or refused:
            self.tell(Happened(key, Killed(run.number, tuple(met), tuple(left), refused=refused)))
        self.world.signal(process, "SIGKILL", "all")

    def signal(self, key: str, name: str) -> bool:
        self._burn()
        process = self._known.get(key)
        if process is None or not process.leader:
            return False
        self.world.signal(process, name, "main")
        return True

    def pause(self, key: str, run: Run) -> None:
        self._burn()
        process = self._of(key, run)
        if process and process.leader:
            process.paused = True

            def stands() -> None:
                if self.alive and process.paused and self._known.get(key) is process:
                    self.tell(Happened(key, Paused(run.number)))

            self.world.later(0.001, stands)
        self._burn()

    def resume(self, key: str, run: Run) -> None:
        self._burn()
        process = self._of(key, run)
        if process:
            self.world.go_on(process)
        self._burn()

    def ask(self, launch: Launch, probe: Probe) -> None:
        self._burn()
        process = self._of(launch.key, launch.run)
        text = self.world.answer(process) if process and process.leader else "connection refused"
        text = "lost" if self.world.scarce else text
        text = "timeout" if process and process.paused else text
        late = text == "timeout"

        def answered() -> None:
            if self.alive:
                self.tell(Happened(launch.key, self._answer(launch.run.number, text)))

        self.world.later(probe.timeout if late else 0.001, answered)

    def _answer(self, run: int, text: str) -> Probed:
        return Probed(run, None if text == "lost" else not text, text)

    def _of(self, key: str, run: Run) -> Process | None:
        process = self._known.get(key)
        return process if process and process.run == run.number else None

    def birth_of(self, pid: int) -> int:
        return self.world.programs.get(pid, 0)

    def watch_process(self, name: str, pid: int, birth: int, pidfd: int = -1, *, spare: bool = False) -> None:
        self._burn()
        if self.world.scarce:
            raise OSError(errno.EMFILE, "Too many open files")
        if self.world.programs.get(pid) != birth:
            raise ProcessLookupError(f"process {pid} has ended")
        self._watched_processes[name] = pid
        self._burn()

    def unwatch_process(self, name: str) -> None:
        self._watched_processes.pop(name, None)

    def program_ended(self, pid: int) -> None:
        """A process that is no child of ours has ended."""
        for name in [name for name, one in self._watched_processes.items() if one == pid]:
            del self._watched_processes[name]
            self.tell(ProcessEnded(name))

    def send(self, key: str, kind: str, items: list[Any] | dict[str, Any]) -> None:
        self._burn()
        keeper = self.world.timekeeper
        if keeper and keeper.connected and keeper.host is self:
            for packet in packets(kind, items):
                keeper.receive(packet)
        self._burn()

    def place_of(self, group: str) -> str:
        return f"/cgroup/@{group}" if group in self.world.shared else ""

    # -- what the world tells -----------------------------------------------------------------------------------------

    def executed(self, process: Process) -> None:
        """Report that the child executes its program."""
        if self._ours(process):
            self.tell(Happened(process.key, Started(process.run)))

    def notified_by(self, process: Process, event: Notified) -> None:
        """A process of a run has sent a datagram."""
        if self._known.get(process.key) is process:
            if event.extend and process.grace_ends is not None and not process.killed:
                process.grace_ends = max(process.grace_ends, self.world.time + event.extend)
            self.tell(Happened(process.key, event))

    def failed_to_exec(self, process: Process) -> None:
        """Report that the child cannot start, with the reason."""
        self._failed[process.pid] = process.being.cannot_exec

    def leader_ended(self, process: Process, status: Status) -> None:
        """Reaped, or, if it was adopted, seen to be gone."""
        if self._known.get(process.key) is not process:
            return
        key, run = process.key, process.run
        failure = self._failed.pop(process.pid, "")
        if failure and self._ours(process):
            self.tell(Happened(key, NotStarted(run, failure, scarce=failure.endswith(os.strerror(errno.ENOMEM)))))
            del self._known[key]
            return
        if self._ours(process) and not process.program:
            self.tell(Happened(key, Started(run)))  # its end of the channel is closed: that looks like an exec
        told = status if process.child_of == self.pid or not self.world.old_kernel else None
        left = process.rest > 0 or self.world.scarce  # what cannot be seen counts as living
        self.tell(Happened(key, Exited(run, told, empty=not left)))
        if left:
            self._ended[key] = process
        else:
            del self._known[key]

    def rest_ended(self, process: Process) -> None:
        """Report each run whose last process has ended."""
        self._look_for_empty()

    def _look_for_empty(self) -> None:
        if self.world.scarce:
            return
        for key, process in list(self._ended.items()):
            if not process.rest:
                self.tell(Happened(key, Emptied(process.run)))
                del self._ended[key], self._known[key]

    def _look_up(self) -> None:
        if self.world.scarce:
            raise OSError(errno.EMFILE, "Too many open files")

    def try_again(self) -> None:
        """Repeat what failed for lack of descriptors."""
        if self.alive and not self.world.scarce:
            untried, self._untried = self._untried, []
            for attempt in untried:
                attempt()
            self._look_for_empty()

    def _ours(self, process: Process) -> bool:
        """Whether there is a channel to it: this program has forked it."""
        return process.parent is self

    # -- memory, errands, the world -----------------------------------------------------------------------------------

    def use_journal(self, journal: Journal) -> None:
        """From now on `remember` writes there, as the real one does."""
        self.journal = journal

    def paper(self) -> Paper:
        """The file of the journal."""
        return Paper(self.world, lambda line: self._promised(json.loads(line)), self._burn)

    def remember(self, records: list[dict[str, Any]]) -> None:
        """The real journal, on paper."""
        self._burn()
        if self.journal:
            self.journal.write(records)

    def publish_manifest(self, runtime_dir: str, manifest: dict[str, Any]) -> None:
        self._burn()
        self._look_up()
        self.manifest = json.loads(json.dumps(manifest))

    def publish_health(self, what: dict[str, Any]) -> None:
        self._burn()
        self._look_up()
        self.world.published["health.json"] = json.loads(json.dumps(what))

    def state_of(self, key: str) -> str:
        return "S" if any(process.program for process in self.world.living(key)) else ""

    def unread(self, key: str) -> int:
        return 0

    def losses(self) -> dict[str, Any]:
        return self._read(self.world.lost, Dropped())

    def silence(self, key: str) -> float | None:
        return None

    def complaint(self, key: str) -> str:
        return ""

    def rejects(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.world.rejected))

    def breaches(self) -> dict[str, Any]:
        return self._read(self.world.beyond, Breached())

    def _read(self, told: dict[str, Any], news: Occurrence) -> dict[str, Any]:
        if self.world.scarce:
            self._untried.append(lambda: self.tell(news))
            return {}
        return json.loads(json.dumps(told))

    def troubles(self) -> list[str]:
        return []

    def _promised(self, record: dict[str, Any]) -> None:
        """The grace begins with the decision; it is the same one for the next supervisor."""
        process = self._known.get(record.get("instance", ""))
        if process is None or record.get("state") != "stopping" or record["run"]["number"] != process.run:
            return
        if process.grace_ends is None and not record["run"]["dumping"]:
            process.grace_ends = record["deadline"]

    def samples(self) -> dict[str, Any]:
        return self.world.samples

    def spool(self, records: list[dict[str, Any]]) -> str:
        """One write: all of them, or, when it dies before, none."""
        self._burn()
        self.unspooled += json.loads(json.dumps(records))
        if not self.world.spool_full:
            self.world.spooled += self.unspooled
            self.unspooled = []
        self._burn()
        return ""

    def has_unspooled(self) -> bool:
        return bool(self.unspooled)

    def errand(self, function: Callable[..., Any], *arguments: object, keep: int = -1) -> int:
        self._burn()
        self._errands += 1
        number = self._errands
        value, error, takes = None, "", self.world.errand_takes
        try:
            if self.world.scarce:
                raise OSError(errno.EMFILE, "cannot fork: Too many open files")
            if takes > TIME_LIMIT:
                raise OSError(errno.ETIME, f"took longer than {TIME_LIMIT:g} s")
            value = self._do(function, *arguments)
        except Exception as problem:  # noqa: BLE001 - as the real one tells whoever asked
            error = in_words(problem) if isinstance(problem, OSError) else f"{type(problem).__name__}: {problem}"

        def done() -> None:
            if self.alive:
                self.tell(Done(number, value, error))

        self.world.later(min(takes, TIME_LIMIT), done)
        return number

    def _do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if function is offloaded.load:
            return self.world.load()
        if function is offloaded.save_freezes:
            if self.world.disk_full:
                raise OSError(28, "No space left on device")
            self.world.disk = json.loads(json.dumps(arguments[1]))
            return None
        if function is offloaded.limit:
            self.world.shared[arguments[1]] = arguments[2]
            return None
        if function is offloaded.rehearse:
            return self.world.file if isinstance(self.world.file, str) else ""
        if function is offloaded.run_notify_command:
            self.world.told.append(json.loads(json.dumps(arguments[1])))
            return self.world.teller
        return function(*arguments)

    def watch(self, places: tuple[tuple[str, str], ...]) -> None:
        self._burn()
        self.watched = places

    def notify(self, *assignments: str) -> None:
        self._burn()
        self.notified += assignments

    def title(self, text: str) -> None:
        self._burn()
        self.titles = text

    def log(self, level: str, text: str) -> None:
        self._burn()
        self.world.log.append(f"{level}: {text}")
