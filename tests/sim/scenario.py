"""A story, line by line: a machine, a supervisor on it, people who ask for things, and what is expected.

A line is a config line (`wording`), an expectation (`expectations`), or one of these; `KEY` is "web" or "web:2":

    start                        a supervisor starts, or the next one after a crash
    at 5s [LINE]                 go on to this moment (from the beginning of the story), then do the line
    after 2s [LINE]              go on for so long
    KEY will WORDS [, WORDS …]   how its next run behaves, if it is not to run until it is stopped:
                                 `exit 1 after 2s`, `die of SIGSEGV after 1s`, `ignore the stop`, `stop in 3s`,
                                 `get ready after 1s` (READY=1), `answer well|WORDS then …` (to its probe),
                                 `stop politely`, `leave 2`, `leave 2 stubborn`, `hang 5s`, `survive 3 kills`,
                                 `stray 2`, `stray 2 stubborn` (as `leave`, but these are not in its process group),
                                 `refuse signals` (it has another user), `fail to fork: WHY`, `fail to exec: WHY`
    KEY exits 1 | KEY dies of SIGSEGV | KEY loses its group | KEY loses its leftovers       now
    KEY says READY=1 …           by sd_notify: READY=1, STATUS=text, STOPPING=1, RELOADING=1, WATCHDOG=1,
                                 WATCHDOG=trigger, WATCHDOG=5s (a new period), EXTEND=5s, ERRNO=text (of the number)
    KEY drops 100 bytes          of its output, which has ten to a line: the disk of the logs is full
    KEY exceeds WORDS            @scribe finds it beyond this limit
    KEY answers WORDS            its probe, from now on: `well`, `timeout`, `lost` (not to be had), or what is wrong
    supctl VERB … [as NAME]      as on the command line; what executes a command is a program, by the name of that
    program NAME ends            it ends, or its `supctl` if that still waits
    hang up                      whoever waits for an answer does so no longer
    SIGTERM | SIGINT | SIGHUP    to the supervisor
    touched                      the file of the config has changed (a config line after `start` changes only the file)
    watched                      the file of the config is watched again, and may have changed before
    crash | crash in 7 calls     kill -9 to the supervisor: now, or at a call to its host
    writes tear at 40%           of a line of the journal: when the supervisor dies in the write, or the disk is full
    power fails [on_disk]        the machine stops, and boots, and `at` counts from here. The journal was in memory,
                                 or on a disk, which has so much of it as `writes tear` says
    pids come round              from now on pids are given that others had before
    wall jumps 3600              seconds: somebody sets the clock, or the machine has slept for so long
    firings full | firings free  @timekeeper cannot commit what it keeps
    disk full | disk free | journal full | journal free | spool full | spool free
    errands take 2s              more than a minute: they never return
    descriptors gone | descriptors back    the supervisor can look at nothing, and begin nothing
    notify_command fails | notify_command works
    stall 8s | stall 8s all      the supervisor stands still for so long, or everything does
    old kernel                   that tells nobody but its parent how a process has ended
    descriptors lost             from now on: the spawner, which keeps them over a crash, was killed as well
"""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sim.fake import AsleepError, Died, FakeHost
from sim.wording import Draft
from sim.world import BOOT, Being, World

from supervisor import verbs
from supervisor.control.feed import Feed
from supervisor.core.events import Status
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance
from supervisor.host.interface import Breached, ClockSet, ConfigTouched, Dropped, Request, Signalled, Stalled
from supervisor.shell.firings import OVER
from supervisor.shell.journaling import SHUTDOWN
from supervisor.shell.own_firings import FIRE
from supervisor.shell.parent import Parent
from supervisor.shell.pools import HOLDER
from supervisor.shell.takeover import take_over
from supervisor.spawn.reexec import ReexecState
from supervisor.store.journal import Journal
from supervisor.store.lastgood import unpack
from supervisor.verbs.arguments import add_to, request_of

SPIN = 2000
"""Turns of the loop without any time passing: more than that is a loop that never sleeps."""


EXEC = 0.05
"""Seconds until another program has come up in a process."""


class StoryError(Exception):
    """A line of a story that is not valid."""


@dataclass(eq=False)
class Client:
    """A client and its answer."""

    by: str
    asked: str
    verb: str = ""
    options: Any = None
    on_close: Any = None
    answers: list[Any] = field(default_factory=list)
    refused: str | None = None
    exit_code: int = 0
    told: list[Any] = field(default_factory=list)
    lost: bool = False  # the supervisor died before it answered
    pid: int = 7

    @property
    def closed(self) -> bool:
        return False

    def who(self) -> dict[str, Any]:
        return {"user": self.by, "uid": 0, "pid": self.pid, "program": "supctl"}

    def pidfd(self) -> int:
        return -1

    def answer(self, value: object) -> None:
        assert not self.done, f"a second answer to {self.asked!r}"
        self.answers.append(value)

    def fail(self, text: str, exit_code: int = 1) -> None:
        assert not self.done, f"a second answer to {self.asked!r}"
        self.refused, self.exit_code = text, exit_code

    def ticket(self, value: object) -> None:
        assert not self.done, "a ticket for what is done"

    def progress(self, value: object) -> None:
        self.told.append(value)

    def send(self, line: bytes) -> None:
        self.told.append(line)

    def descriptor(self) -> int:
        return -1

    def hang_up(self) -> None:
        if not self.done and not self.lost:
            self.lost = True
            if self.on_close:
                self.on_close()

    @property
    def done(self) -> bool:
        return bool(self.answers) or self.refused is not None


class Scenario:
    """The state of a story that is being told."""

    def __init__(self) -> None:
        self.world = World()
        self.draft = Draft()
        self.parent: Parent | None = None
        self.ended: int | None = None  # the exit code of a supervisor that is through
        self.clients: list[Client] = []
        self.lives = 0
        self.feeds: list[Feed] = []  # of every supervisor since `Invariants` last looked; one may die before it does
        self.inherited: dict[str, dict[str, Any]] = {}  # the journal as the newest supervisor found it

    @property
    def host(self) -> FakeHost:
        if self.world.host is None:
            raise StoryError("no supervisor is running; write `start` first")
        return self.world.host

    def instance(self, key: str) -> Instance:
        if self.parent is None:
            raise StoryError("no supervisor is running")
        return self.parent.context.fleet.instances[full(key)]

    def seconds(self) -> float:
        """Return the seconds since the beginning of the story."""
        return self.world.time - BOOT

    # -- lines --------------------------------------------------------------------------------------------------------

    def do(self, line: str) -> None:
        """Does what one line says; anything but an expectation is followed by all that happens at that moment."""
        words = shlex.split(line) if line.startswith("supctl") else line.split("#", maxsplit=1)[0].split()
        match words:
            case []:
                return
            case ["at", moment, *rest]:
                self.run_until(BOOT + duration(moment))
                self.do(" ".join(rest))
            case ["after", moment, *rest]:
                self.run_until(self.world.time + duration(moment))
                self.do(" ".join(rest))
            case _:
                if not self._edit(words) and not self._world(words, line):
                    self._supervisor(words, line)
                    self.run_until(self.world.time)

    def _edit(self, words: list[str]) -> bool:
        if not self.draft.write(words):
            return False
        self.world.file, self.world.machine_errors = self.draft.config(), self.draft.machine_errors()
        return True

    def _world(self, words: list[str], line: str) -> bool:  # noqa: C901, PLR0912, PLR0915 - a table of lines
        """Do a line about the machine."""
        match words:
            case [key, "will", *_]:
                self.world.will[full(key)].append(being(line.split(" will ", 1)[1]))
            case [key, "exits", code]:
                self._end(key, Status(int(code)))
            case [key, "dies", "of", signal]:
                self._end(key, Status(None, signal))
            case [key, "loses", "its", "group" | "leftovers" as which]:
                for process in self.world.living(full(key)):
                    self.world.leave(process, members=which == "group", leftovers=which == "leftovers")
            case [key, "says", *_]:
                for process in self.world.living(full(key)):
                    self.world.say(process, **said(line.split(" says ", 1)[1]))
                self.run_until(self.world.time)
            case [key, "drops", count, "bytes"]:
                self._drop(full(key), int(count))
            case [key, "exceeds", *limit]:
                self._exceed(full(key), " ".join(limit))
            case [key, "answers", *text]:
                for process in self.world.living(full(key)):
                    process.being = replace(process.being, answers=(_answer(" ".join(text)),))
            case ["program", name, "ends"]:
                self._end_programs(name)
            case ["hang", "up"]:
                self._hang_up()
            case ["wall", "jumps", seconds]:
                self.world.wall += float(seconds)
                if self.world.timekeeper:
                    self.world.timekeeper.clock_set()
                if self.world.host:
                    self.host.tell(ClockSet())
            case ["stall", moment, *what]:
                self._stall(duration(moment), everything=what == ["all"])
            case ["old", "kernel"]:
                self.world.old_kernel = True
            case ["descriptors", "lost"]:
                self.world.keeps_descriptors = False
            case ["journal", "full" | "free"]:
                self.world.journal_full = words[1] == "full"
            case ["descriptors", "gone"]:
                self.world.scarce = True
            case ["descriptors", "back"]:
                self.world.replenish()
            case ["spool", state]:
                self.world.spool_full = state == "full"
            case ["firings", state]:
                self.world.firings_full = state == "full"
            case ["disk", state]:
                self.world.disk_full = state == "full"
            case ["notify_command", how]:
                self.world.teller = "exit 1" if how == "fails" else ""
            case ["errands", "take", moment]:
                self.world.errand_takes = duration(moment)
            case ["crash", "in", count, "calls"]:
                self.host.fuse = int(count)
            case ["writes", "tear", "at", percent]:
                self.world.torn = int(percent.rstrip("%")) / 100
            case ["power", "fails", *where]:
                self._died()
                self.world.lose_power(on_disk=where == ["on_disk"])
                for client in self.clients:
                    client.pid = 0  # a process of this boot may get its number
            case ["pids", "come", "round"]:
                self.world.come_round()
            case _:
                return False
        return True

    def _stall(self, seconds: float, *, everything: bool) -> None:
        if everything:
            self.world.stall(seconds)
        if self.world.host is None:
            return
        if everything:
            self.host.tell_first(Stalled(seconds))
        else:
            self.host.stall(seconds)
        self.run_until(self.world.time)

    def _exceed(self, key: str, limit: str) -> None:
        """Record a breach, as @scribe does, also without a supervisor."""
        for process in self.world.living(key):
            self.world.beyond[key] = {"run": f"{key}/{process.run}@e", "why": limit}
            if self.world.host:
                self.world.host.tell(Breached())
        self.run_until(self.world.time)

    def _hang_up(self) -> None:
        try:
            for client in self.clients:
                client.hang_up()
        except Died:
            self._died()

    def _end_programs(self, name: str) -> None:
        """The programs of this name end, and hang up on the supervisor if they still wait for it."""
        try:
            for client in self.programs(name):
                client.hang_up()
                self.world.end_program(client.pid)
        except Died:
            self._died()
        self.run_until(self.world.time)

    def programs(self, name: str = "") -> list[Client]:
        """The clients that live as programs, or as those of a name."""
        mine = [one for one in self.clients if one.pid in self.world.programs]
        return [one for one in mine if name in ("", one.options.words[0])]

    def _drop(self, key: str, count: int) -> None:
        old = self.world.lost.get(key, {"bytes": 0, "lines": 0})
        lost = {"bytes": old["bytes"] + count, "lines": old["lines"] + count // 10, "why": "No space left on device"}
        at = datetime.fromtimestamp(self.world.time + self.world.wall, UTC).isoformat(timespec="milliseconds")
        self.world.lost[key] = {**lost, "at": at.replace("+00:00", "Z")}
        if self.world.host is not None:
            self.host.tell(Dropped())
        self.run_until(self.world.time)

    def _end(self, key: str, status: Status) -> None:
        for process in self.world.living(full(key)):
            if process.program:
                self.world.end(process, status)
        self.run_until(self.world.time)

    def _supervisor(self, words: list[str], line: str) -> None:
        match words:
            case ["start"]:
                self.start()
            case ["crash"]:
                self._died()
            case ["touched"]:
                self.host.tell(ConfigTouched())
            case ["watched"]:
                self.host.tell(ConfigTouched(certain=False))
            case ["SIGTERM" | "SIGINT" | "SIGHUP"]:
                self.host.tell(Signalled(words[0]))
            case ["supctl", *rest]:
                self._supctl(rest, line)
            case _:
                raise StoryError(f"not understood: {line!r}")

    def _supctl(self, words: list[str], line: str) -> None:
        by = "root"
        if len(words) > 2 and words[-2] == "as":
            by, words = words[-1], words[:-2]
        extra: list[str] = []
        if "--" in words:
            cut = words.index("--")
            words, extra = words[:cut], words[cut + 1 :]
        module = verbs.load(words[0])
        options = _parser(words[0]).parse_args(words[1:])
        options.words = extra
        client = Client(by, line, words[0], options)
        self.clients.append(client)
        if words[0] == "pool" and extra:
            client.pid = self.world.begin_program()
        if hasattr(module, "prepare"):
            module.prepare(options)
        self.host.tell(Request(client, words[0], request_of(module.ARGUMENTS, options)))

    # -- the supervisor -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """One comes up over what is there: its journal, its disk, its processes."""
        if not self.world.executing:  # two are impossible
            self.lives += 1
            self._come_up(FakeHost(self.world, pid=self.lives))

    def _come_up(self, host: FakeHost, came: ReexecState | None = None) -> None:
        loaded = self.world.load()
        packed = loaded.packed or self.world.last_good()
        if not packed:
            self.ended = 78
            return
        self.ended = None
        self.inherited = self.world.facts()
        try:
            journal = Journal("journal", self.world.boot, "e", host.paper())
            host.use_journal(journal)
            self.parent = Parent(host, unpack(packed), VERBS, epoch="e", life=f"l{self.lives}")
            self.feeds.append(self.parent.context.feed)
            take_over(self.parent, journal.facts, self.world.disk, packed)
            self.parent.config_in_force.broken(loaded.errors)
            self.world.executing = 0
            self.parent.upgrade.begin(["supervisor"], came)
            if came and SHUTDOWN in journal.facts:
                self.parent.ending.begin(str(journal.facts[SHUTDOWN].get("why")))
            self.parent.advance()
        except OSError:
            self.ended = 1
            self._died()
        except Died:
            self._died()

    def _execute(self) -> None:
        """As `boot` does: another program in the same process. What dies in so many calls still does."""
        assert self.parent
        old, came = self.host, self.parent.upgrade.reexec_state()
        self._died(executing=old.pid)

        def up() -> None:
            if self.world.executing:
                host = FakeHost(self.world, pid=old.pid)
                host.fuse = old.fuse
                self._come_up(host, came)

        self.world.later(EXEC, up)

    def _died(self, executing: int = 0) -> None:
        self.world.supervisor_ended(executing)
        self.parent = None
        for client in self.clients:
            client.lost = client.lost or not client.done

    def _through(self) -> None:
        """As `app` does when the loop has ended."""
        assert self.parent
        for client in self.parent.ending.goodbye:
            client.answer({"name": "vm-7"})
        # What a disk or @timekeeper is still at is not waited for; the line of a pool.
        errand = ("freeze", "thaw", "reload", "pool", "cancel", "retry")
        waiting = [client.asked for client in self.clients if not (client.done or client.lost or client.verb in errand)]
        assert not waiting, f"the supervisor ends without an answer to {waiting}"
        self.ended = self.parent.context.fleet.shutdown.exit_code if self.parent.context.fleet.shutdown else 0
        if self.parent.context.fleet.unreachable:
            self.ended = self.ended or 1
        else:
            assert self.host.journal
            self.host.journal.clear((OVER, HOLDER, FIRE))
        self.world.made.clear()
        self.world.begun.clear()  # the next one counts its runs anew, in an epoch of its own
        self.world.spooled.clear()
        self._died()

    def run_until(self, moment: float) -> None:
        """Lets everything happen up to a moment, and all that follows at it."""
        turns = 0
        while True:
            before = self.world.time
            if not self.turn(moment):
                return
            turns = turns + 1 if self.world.time == before else 0
            if turns > SPIN:
                raise AssertionError("the loop spins: it never sleeps")

    def turn(self, moment: float) -> bool:
        """One turn of the loop, no longer than to a moment. False when nothing is left to happen up to then."""
        world = self.world
        upcoming = world.next_moment()
        if self.parent is None:
            if upcoming is None or upcoming > moment:
                world.time = max(world.time, moment)
                return False
            world.happen()
            return True
        try:
            self.host.until = moment
            if not self.parent.turn():
                (self._execute if self.parent.upgrade.rehearsed else self._through)()
                return True
        except Died:
            self._died()
            return True
        except AsleepError:
            return False
        upcoming, deadline = world.next_moment(), self.parent.next_deadline()
        later = all(at is None or at > moment for at in (upcoming, deadline))
        return world.time < moment or not later or self.host.busy


def full(key: str) -> str:
    """The key of an instance: "web" is "web:1"."""
    return key if ":" in key else f"{key}:1"


def short(key: str) -> str:
    """Return the shown name of an instance key: "web:1" is "web"."""
    return key.removesuffix(":1")


def duration(text: str) -> float:
    """ "5s", "200ms", "2m", "1h"."""
    found = re.fullmatch(r"([\d.]+)(ms|s|m|h)", text)
    if not found:
        raise StoryError(f"not a duration: {text!r}")
    return float(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[found[2]]


_TRAITS = (
    (r"exit (\d+) after (\S+)", lambda m: {"status": Status(int(m[1])), "lives": duration(m[2])}),
    (r"die of (\w+) after (\S+)", lambda m: {"status": Status(None, m[1]), "lives": duration(m[2])}),
    (r"ignore the stop", lambda m: {"stops": None}),
    (r"stop in (\S+)", lambda m: {"stops": duration(m[1])}),
    (r"stop politely", lambda m: {"polite": True}),
    (r"stray (\d+) stubborn", lambda m: {"leftovers": int(m[1]), "left_stop": None}),
    (r"stray (\d+)", lambda m: {"leftovers": int(m[1])}),
    (r"leave (\d+) stubborn", lambda m: {"leaves": int(m[1]), "left_stop": None}),
    (r"leave (\d+)", lambda m: {"leaves": int(m[1])}),
    (r"refuse signals", lambda _: {"refuses": True}),
    (r"hang (\S+)", lambda m: {"hangs": duration(m[1])}),
    (r"survive (\d+) kills", lambda m: {"kills": int(m[1]) + 1}),
    (r"get ready after (\S+)", lambda m: {"ready": duration(m[1])}),
    (r"answer (.+)", lambda m: {"answers": tuple(_answer(one) for one in m[1].split(" then "))}),
    (r"fail to fork: (.+)", lambda m: {"cannot_fork": m[1]}),
    (r"fail to exec: (.+)", lambda m: {"cannot_exec": m[1]}),
)  # fmt: skip


def _answer(text: str) -> str:
    return "" if text == "well" else text


def said(text: str) -> dict[str, Any]:
    """What `KEY says …` says."""
    match text.partition("="):
        case ("READY", _, "1"):
            return {"ready": True}
        case ("STATUS", _, status):
            return {"status": status}
        case ("ERRNO", _, text):
            return {"errno": text}
        case ("RELOADING", _, "1"):
            return {"reloading": True}
        case ("STOPPING", _, "1"):
            return {"stopping": True}
        case ("WATCHDOG", _, "1"):
            return {"alive": True}
        case ("WATCHDOG", _, "trigger"):
            return {"trigger": True}
        case ("WATCHDOG", _, period):
            return {"watchdog": duration(period)}
        case ("EXTEND", _, span):
            return {"extend": duration(span)}
    raise StoryError(f"not understood: says {text!r}")


def being(text: str) -> Being:
    """What `KEY will …` says."""
    made = Being()
    for part in text.split(","):
        for pattern, traits in _TRAITS:
            if found := re.fullmatch(pattern, part.strip()):
                made = replace(made, **traits(found))
                break
        else:
            raise StoryError(f"not understood: will {part.strip()!r}")
    return made


VERBS = verbs.load_all()


@cache
def _parser(verb: str) -> ArgumentParser:
    parser = ArgumentParser(prog=verb, exit_on_error=False)
    add_to(parser, verbs.load(verb).ARGUMENTS)
    return parser
