"""@timekeeper: keep the firings on disk, and compute when tasks are due, so that the parent never waits for a disk.

It is the only client of its socket. Each message is a kind with its items (`core.packets`).

| from the parent | |
|---|---|
| `define` | the triggered tasks; comes first |
| `put` | firings that were not computed here: each with the `key` that stands for it (""), `until` when |
| `find` | ids of firings to tell about |
| `failed` | questions for the firings that failed: a number, names of tasks, and since when |
| `take` | firings that become runs: pairs of an id and a run id |
| `free` | ids of firings whose run never began |
| `on_time` | ids of firings that were due on time, and wait |
| `over` | firings that ended: id, when, why, whether they ran, were missed, and with success (null: neither) |
| `over`, `again` | firings whose run ended, and that get another one: `core.retry.Again` |
| `runs` | records of the last runs of tasks (`core.last_runs`) |
| `clock` | the clock was set |

| to the parent | |
|---|---|
| `open` | all firings that are not over, each with its run; answers `define` |
| `armed` | new firings, and firings that wait again |
| `horizon` | up to when every firing of a task is known |
| `handled` | how many packets of the parent are done |
| `put` | the `id` of each, and what is known of it or of an earlier firing with its key (`store.firings.Known`) |
| `found` | the same for `find`; null: nothing is known |
| `failed` | for each question its number, and the ids of the firings |
| `taken`, `closed` | ids: the `take` or the `over` is on disk |
| `gone` | ids of a `take` that cannot be: the firing was dropped |
| `words` | of each task: `words`, when it is due, for people; and its `zone` |
| `in_memory` | `why`: the firings are only in memory, as a sentence says; "": they are on the disk |
| `runs` | the records of all tasks that were defined; null for a task that is new |
| `dropped` | how many firings of a task were dropped with their trigger |
| `counts` | of the tasks concerned |

All messages that wait are one transaction. The answers follow its commit. So a burst of firings costs one write to the
disk. The helper may be killed at any time: the parent asks again for what was not answered.

If the file cannot be written, @timekeeper goes on with one in the runtime directory (`store.fallback`).

    python -m supervisor.helpers.timekeeper SOCKET FILE FILE_IN_THE_RUNTIME_DIRECTORY
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sqlite3
import sys
import time  # noqa: TID251 - a helper has a clock of its own
from collections.abc import Callable, Iterable
from typing import Any

from supervisor.core.definition import Timing
from supervisor.core.firing import MUST_BE_KEPT, firing_of
from supervisor.core.immutable import plain
from supervisor.core.last_runs import Record
from supervisor.core.packets import LONGEST, packets
from supervisor.core.retry import Again
from supervisor.core.words import in_words
from supervisor.helpers.planner import Planner, Say, timing_of
from supervisor.host import clock
from supervisor.host.clock_jumps import WallClock
from supervisor.host.machine_id import host_id
from supervisor.store import firings, inputs
from supervisor.store.fallback import Fallback
from supervisor.store.firings import Known
from supervisor.store.journal import boot_id
from supervisor.store.troubles import Troubles

LONGEST_SLEEP = 86400.0
"""Seconds. poll(2) takes no more than 24 days; one needless wake-up a day does no harm."""

PACKETS = 1000
"""Packets of one transaction."""

Message = dict[str, Any]
"""A message of the parent: a kind with its items, `first` and `last`."""

Answer = tuple[str, list[Any] | dict[str, Any]]
"""An answer: a kind and its items."""


class Timekeeper:
    """The answers to messages, without the connection: `serve` brings them, and the tests do."""

    def __init__(self, store: firings.Firings, boot: str, seed: str, say: Say, *, only_in_memory: str = "") -> None:
        """Begin without tasks.

        Args:
            store: see there.
            boot: names this boot of the machine.
            seed: names this host.
            say: logs a line for the operator.
            only_in_memory: why a loss of power would take the firings, as a sentence; "": it would not.
        """
        self._store = store
        self._only_in_memory = only_in_memory
        self._boot = boot
        self._planner = Planner(store, seed, say)
        self._answers: list[Answer] = []
        self._defined: dict[str, Timing] = {}  # of a `define` that is not complete yet
        self._swept = 0.0  # when inputs were removed last
        self._concerned: set[str] = set()  # tasks whose counts have changed

    def plan_at(self) -> float:
        """Return when to plan again, in seconds since 1970."""
        return self._planner.plan_at()

    def answer(self, messages: Iterable[Message], now: float, *, clock_set: bool = False) -> list[Answer]:
        """Handle messages in one transaction. Return the answers to send after its commit.

        Raises:
            sqlite3.Error: the store cannot be written, and nothing of this is.
        """
        with self._store:
            for message in messages:
                clock_set |= "clock" in message
                self._handle(message, now)
            if clock_set and self._planner.clock_set(now):
                self._send_open()
        return self._collected()

    def sweep(self, state_dir: str, now: float) -> None:
        """Remove the inputs that are not needed any more: after the end of a firing that had one, and now and then.

        Raises:
            sqlite3.Error: the store cannot be read.
        """
        if self._store.inputs_over or not 0 <= now - self._swept < inputs.UNKNOWN:
            self._swept = now
            inputs.sweep(state_dir, *self._store.inputs(), now)

    def plan(self, now: float) -> tuple[list[Answer], bool]:
        """Compute firings. Return what to send after the commit, and whether there is more to compute.

        Raises:
            sqlite3.Error: see `answer`.
        """
        with self._store:
            armed = self._planner.plan(now)
        if armed.firings:
            self._answers.append(("armed", [plain(firing) for firing in armed.firings]))
        if armed.horizon:
            self._answers.append(("horizon", armed.horizon))
        return self._collected(), armed.more

    def _handle(self, message: Message, now: float) -> None:
        if "define" in message:
            self._define(message, now)
        self._by_hand(message, now)
        taken: dict[bool, list[str]] = {True: [], False: []}
        for identity, run in message.get("take", ()):
            if done := self._store.take(identity, run, self._boot):
                self._planner.taken(identity)
            taken[done].append(identity)
        for identity in message.get("on_time", ()):
            self._store.keep_on_time(identity)
            self._planner.keep_on_time(identity)
        for identity in message.get("free", ()):
            self._planner.free(identity)
            if firing := self._store.free(identity):
                self._answers.append(("armed", [plain(firing)]))
        for one in message.get("over", ()):
            self._end(one)
        self._keep_last_runs(message.get("runs", {}))
        closed = [one["id"] for one in message.get("over", ())]
        answers: tuple[Answer, ...] = (("taken", taken[True]), ("gone", taken[False]), ("closed", closed))
        self._answers += [answer for answer in answers if answer[1]]

    def _by_hand(self, message: Message, now: float) -> None:
        """Write the firings that persons ask for, and answer their questions."""
        if puts := [{"id": one["firing"]["id"], "known": self._put(one, now)} for one in message.get("put", ())]:
            self._answers.append(("put", puts))
        if found := [{"id": identity, "known": self._store.find(identity)} for identity in message.get("find", ())]:
            self._answers.append(("found", found))
        if failed := [[number, self._store.failed(tasks, since)] for number, tasks, since in message.get("failed", ())]:
            self._answers.append(("failed", failed))

    def _put(self, one: dict[str, Any], now: float) -> Known | None:
        """Add a firing, unless it or an earlier one with its key is there. Return what is known of that.

        Return None if its input is no longer there: it has waited too long for this helper. Return why it is `refused`
        if it must be kept on disk, and cannot be.
        """
        firing = firing_of(one["firing"])
        known = self._store.find(firing.id) or (one["key"] and self._store.same(firing.task, one["key"], now))
        if known:
            return known
        if firing.input and firing.input.stdin and not os.path.exists(firing.input.stdin):
            return None
        if self._only_in_memory and (one["key"] or firing.start):
            return {"refused": f"{MUST_BE_KEPT}, but {self._only_in_memory}"}
        self._store.add(firing, one["key"], one["until"])
        return {"firing": plain(firing), "run": "", "over": None}

    def _end(self, one: dict[str, Any]) -> None:
        """End a firing, or let it wait for its next run. `armed` comes before `closed`: the parent has it by then."""
        if again := one.get("again"):
            if firing := self._store.again(one["id"], Again(**again)):
                self._planner.again(firing)
                self._answers.append(("armed", [plain(firing)]))
            return
        how = {"ran": one["ran"], "success": one.get("success"), "missed": one.get("missed", False)}
        self._concerned.add(self._store.end(one["id"], one["at"], one["reason"], **how))
        self._planner.over(one["id"], one["at"])

    def _define(self, message: Message, now: float) -> None:
        """Take over the tasks, once all packets of the message are there."""
        if message["first"]:
            self._defined = {}
        self._defined |= {name: timing_of(timing) for name, timing in message["define"].items()}
        if message["last"]:
            self._answers.append(("dropped", self._planner.define(self._defined, now)))
            self._answers.append(("words", self._planner.words()))
            self._answers.append(("in_memory", {"why": self._only_in_memory}))
            self._concerned |= self._defined.keys()
            self._send_open()
            self._send_last_runs()

    def _keep_last_runs(self, records: dict[str, dict[str, Any]]) -> None:
        """Write the records of tasks that are still defined."""
        for task in records.keys() & self._defined.keys():
            self._store.set_last_run(task, Record(**records[task]))

    def _send_last_runs(self) -> None:
        """Send the record of each task that is defined, and forget all others."""
        kept = self._store.last_runs()
        for task in kept.keys() - self._defined.keys():
            self._store.remove_last_run(task)
        self._answers.append(("runs", {task: plain(kept[task]) if task in kept else None for task in self._defined}))

    def _send_open(self) -> None:
        rows = self._store.firings()
        self._answers.append(
            ("open", [{"firing": plain(one), "run": run, "here": boot == self._boot} for one, run, boot in rows])
        )
        self._answers.append(("horizon", self._planner.horizons()))

    def _collected(self) -> list[Answer]:
        concerned = self._concerned - {""}
        if concerned:
            self._answers.append(("counts", self._store.counts(concerned)))
        answers, self._answers, self._concerned = self._answers, [], set()
        return answers


class Server:
    """The loop: messages of the parent, the clock, signals, and the file of the firings."""

    def __init__(self, fallback: Fallback, report: Callable[[str], None]) -> None:
        """Obey SIGTERM from now on.

        Args:
            fallback: the file of the firings.
            report: publishes why the firings are only in memory; "": they are not.
        """
        self._fallback = fallback
        self._report = report
        self._clock = WallClock()
        self._told_to_end = False
        self._signals, theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(theirs)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _end(self) -> None:
        self._told_to_end = True

    def serve(self, path: str, seed: str, boot: str) -> bool:
        """Connect to the parent, and serve it. Return whether to connect again, as another file counts now.

        A new connection is like a new process: the parent says everything again that was not answered. So nothing of
        what was done halfway matters.

        Raises:
            sqlite3.Error, OSError: no file can be written; or the parent cannot be reached.
        """
        with self._fallback.opened() as store:
            says = self._fallback.says()
            self._report(says)
            keeper = Timekeeper(store, boot, seed, _say, only_in_memory=says)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as parent:
                _connect(parent, path)
                return self._loop(parent, keeper)
        return True

    def _loop(self, parent: socket.socket, keeper: Timekeeper) -> bool:
        """Serve until the parent hangs up, or SIGTERM. What was received by then is done first."""
        fallback, more = self._fallback, False
        while True:
            self._sleep(parent, 0.0 if more else keeper.plan_at() - time.time())
            ending = self._told_to_end
            messages, hung_up = _receive(parent)
            if fallback.is_gone():
                fallback.fall_back(FileNotFoundError(errno.ENOENT, "the file was removed"))
                return not (hung_up or ending)
            answers = keeper.answer(messages, time.time(), clock_set=self._clock.was_set())
            answers += [("handled", [len(messages)])] if messages else []
            if hung_up or not _send(parent, answers):
                return False
            if not fallback.why:  # else the file on the disk may have firings whose inputs are needed
                keeper.sweep(os.path.dirname(fallback.disk), time.time())
            if ending and not messages:
                return False
            answers, more = keeper.plan(time.time())
            if not _send(parent, answers):
                return False
            if not messages and fallback.attempt(clock.now()):
                return True

    def _sleep(self, parent: socket.socket, seconds: float) -> None:
        """Wait for anything to do, for so long at most."""
        attempt = self._fallback.next_attempt()
        seconds = min(seconds, LONGEST_SLEEP, *((attempt - clock.now(),) if attempt is not None else ()))
        poll = select.poll()
        for fd in (parent.fileno(), self._clock.fd, self._signals, self._fallback.fd):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        poll.poll(seconds * 1000 + 1 if seconds > 0 else 0)


def _connect(parent: socket.socket, path: str) -> None:
    try:
        parent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        parent.connect(path)
    except OSError as error:
        _say("error", f"cannot connect to the supervisor at {path}: {in_words(error)}")
        sys.exit(1)


def _receive(parent: socket.socket) -> tuple[list[Message], bool]:
    """Return the messages that wait, and whether the parent has hung up."""
    found: list[Message] = []
    while len(found) < PACKETS:
        try:
            packet = parent.recv(LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        except OSError:
            return found, True
        if not packet:
            return found, True
        found.append(json.loads(packet))
    return found, False


def _send(parent: socket.socket, answers: Iterable[Answer]) -> bool:
    """Send the answers. Return False if the parent has hung up. It reads all the time, so this does not wait long."""
    try:
        for kind, items in answers:
            for packet in packets(kind, items):
                parent.send(packet)
    except OSError:
        return False
    return True


def _say(level: str, text: str) -> None:
    sys.stderr.write(f"@timekeeper: {level}: {text}\n")
    sys.stderr.flush()


def main() -> None:
    """Run until the parent hangs up, or SIGTERM."""
    path, disk, memory = sys.argv[1:4]
    boot = boot_id()
    fallback = Fallback(disk, memory, boot, _say)
    troubles = Troubles(os.path.dirname(memory), _say, "timekeeper")
    try:
        server = Server(fallback, troubles.about("firings"))
        while server.serve(path, host_id(), boot):
            pass
        fallback.close()
        troubles.show("firings", "")
    except (sqlite3.Error, OSError, MemoryError) as error:
        _say("error", f"cannot keep the firings in {fallback.file()}: {in_words(error)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
