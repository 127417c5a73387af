"""The parent: wait, decide, remember, do, tell.

One thread, one loop (`turn`), no blocking work: it forks, signals, keeps time and answers; whatever may
block is an errand or a helper. What is decided is decided in `core`; this file carries it out, in this order:

1. SIGKILL to what has outlived its grace: that it is due stands in the journal since the stop began.
2. Children are forked: they wait for their go byte, so nothing of a task has run yet.
3. The facts are written to the journal. From here on a dead supervisor can be followed by the next one.
4. Go bytes and stop signals are sent.
5. The history, log, events, waiting clients and the service manager are told.

There is one way to come up (`take_over`): read the journal, adopt what lives, account for what ended, go on. A first
start finds nothing to adopt; a crash and a restart are no other path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from supervisor import errands, escalate, limits, planning
from supervisor.announce import Announcer
from supervisor.audit import audited
from supervisor.configuration import Configuration
from supervisor.control.feed import Feed
from supervisor.control.wait import Asker, Settled, Wait
from supervisor.core import events as ev
from supervisor.core.actions import Action, Ask, Destroy, Dump, Fork, Go, Pause, Resume, Terminate
from supervisor.core.definition import Config, Kind, Task, identity
from supervisor.core.fleet import Change, Fleet, Shutdown, new_instances
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Run
from supervisor.core.states import ALIVE
from supervisor.host.interface import (
    Beyond,
    CannotForkError,
    ClockSet,
    Done,
    Dropped,
    Happened,
    Host,
    Launch,
    Occurrence,
    Request,
    Signalled,
    Touched,
)
from supervisor.losses import Losses
from supervisor.memory import Memory
from supervisor.notices import Notices
from supervisor.store.account import Account, accounts_of, is_whole
from supervisor.store.records import instance_of
from supervisor.switch import Switch
from supervisor.upgrade import Upgrade
from supervisor.verbs import load_all
from supervisor.verbs.interface import RefusedError

FORKS_PER_TURN = 8
"""Forks between two looks at everything else: a crash storm of any size delays an answer by no more than these."""

SCRIBE = "@scribe"

SHUTDOWN = "fleet shutdown"
"""The name of the fact that this supervisor was going down."""

OWED = "accounts"
"""The name of the fact that the history, and whoever follows the events, was not told yet of these runs."""


def owed(facts: dict[str, dict[str, Any]]) -> list[Account]:
    """The runs whose end was remembered, and perhaps not told."""
    found = facts.get(f"fleet {OWED}", {}).get("accounts")
    return list(filter(is_whole, found)) if isinstance(found, list) else []


class Parent:
    """The supervisor, over any host."""

    def __init__(self, host: Host, config: Config, *, epoch: str, life: str) -> None:
        """`epoch` makes run ids unique, `life` the cursors of events."""
        self.host = host
        self.running_settings = config.settings
        self.since = host.stamp()
        self.fleet = Fleet(epoch)
        self.feed = Feed(life)
        self.announce = Announcer(host, self.feed, self.fleet, config.settings.name)
        self.configuration = Configuration(self, config)
        self.switch = Switch(self)
        self.notices = Notices(self)
        self.losses = Losses(self)
        self.upgrade = Upgrade(self)
        self.waits: list[Wait] = []
        self.signals = 0  # how many SIGTERM or SIGINT have come
        self.goodbye: list[Asker] = []  # who waits for the end of the supervisor
        self._verbs = load_all()
        self._errands: dict[int, Callable[[Done], None]] = {}
        self.gates_moved = False  # a freeze came or went: who waits may have to wait no longer
        self.unsure = True  # whether the config was saved after it was read and before it was watched
        self.memory = Memory(host)

    @property
    def config(self) -> Config:
        """The config in force."""
        return self.configuration.current

    # -- the loop -----------------------------------------------------------------------------------------------------

    def turn(self, deadline: float | None = None) -> bool:
        """Waits for something to occur and deals with it. False when the supervisor is done, or an upgrade is due.

        Args:
            deadline: of somebody else, monotonic; the wait ends then too.
        """
        wakes = (
            deadline,
            self.fleet.next_deadline(),
            self.notices.next_deadline(),
            self.memory.again,
            self.upgrade.next_deadline(),
        )
        nearest = min((moment for moment in wakes if moment is not None), default=None)
        for occurrence in self.host.wait(nearest):
            self.occur(occurrence)
        self.settle()
        self.upgrade.look()
        if self.upgrade.ready:
            return False
        busy = self.notices.busy or any(i.state in ALIVE for i in self.fleet.instances.values())
        return busy or not self.fleet.shutdown

    def settle(self) -> None:
        """Everything that follows from what has occurred: decide, remember, do, tell."""
        now = self.host.now()
        for freeze in self.fleet.expire(now):
            self.switch.thaw((freeze,), "its own end")
        escalate.carry_out(self, now)
        self.host.prepare(min(self.fleet.waiting, FORKS_PER_TURN))
        self.fleet.admit(now, FORKS_PER_TURN)
        if self.unsure and self.fleet.next_deadline() != 0.0:
            self.unsure = False
            self.configuration.reread()
        actions, changes = self.fleet.take()
        self._destroy(actions)
        more, later = self._fork(actions, now)
        self.notices.see([*changes, *later], now)
        accounts = self._account([*changes, *later])
        self.memory.write([*changes, *later], now)
        self._destroy(more)
        self._act([*(action for action in actions if not isinstance(action, Fork)), *more], now)
        self._spool(accounts)
        self._tell([*changes, *later])
        self.notices.send(now)

    def occur(self, occurrence: Occurrence) -> None:
        """One thing that occurred."""
        match occurrence:
            case Happened(key, event):
                self.fleet.apply(key, event, self.host.now())
            case Request(client, verb, arguments):
                self._ask(client, verb, arguments)
            case Signalled(name):
                self._signalled(name)
            case Done(errand):
                self._errands.pop(errand, _ignore)(occurrence)
            case Touched():
                self.configuration.reread()
            case Dropped():
                self.losses.look()
            case Beyond():
                limits.look(self)
            case ClockSet():
                self.switch.clock_set()

    def _destroy(self, actions: list[Action]) -> None:
        if doomed := [(action.key, action.run) for action in actions if isinstance(action, Destroy)]:
            self.host.destroy(doomed)

    def _fork(self, actions: list[Action], now: float) -> tuple[list[Action], list[Change]]:
        """Makes the children. Returns what follows from that: their go bytes, or their failures."""
        for action in actions:
            if isinstance(action, Fork):
                instance = self.fleet.instances[action.key]
                event: ev.Event
                try:
                    event = ev.Forked(action.run.number, *self.host.fork(self._launch(instance, action.run)))
                except CannotForkError as error:
                    event = ev.NotStarted(action.run.number, str(error))
                self.fleet.apply(action.key, event, now)
        escalate.carry_out(self, now)  # a failed fork may have been one too many
        return self.fleet.take()

    def _launch(self, instance: Instance, run: Run) -> Launch:
        settings = self.running_settings
        last = instance.last.reason if instance.last else ""
        log_dir = self.config.settings.log_dir
        group = self.config.groups.get(instance.task.group_limits)
        return Launch(instance.key, instance.task, instance.index, run, last, settings.runtime_dir, log_dir, group)

    def _account(self, changes: list[Change]) -> list[Account]:
        """What is to be told to the history, and to whoever follows: runs that are over.

        That stands in the journal, in the same write that they are over, until it is told: no restart waits for it.
        """
        if any(change.new is None for change in changes):
            self.memory.facts.append({"fleet": "numbers", "numbers": dict(self.fleet.numbered)})
        accounts = accounts_of(changes)
        if accounts:
            self.memory.facts.append({"fleet": OWED, "accounts": accounts})
        return accounts

    def _spool(self, accounts: list[Account]) -> None:
        """Hands them to the history, if the task has one, which does not mind to be told twice."""
        if not accounts:
            return
        kept = [account for account in accounts if account["keep"]]
        if kept and (said := self.host.spool(kept)):
            self.host.log("warning", said)
            self.announce.event("history", why=said)
        self.memory.facts.append({"fleet": OWED, "gone": True})

    def _act(self, actions: Iterable[Action], now: float) -> None:
        """`now` is when they were decided: each grace begins when its signal is sent."""
        for action in actions:
            match action:
                case Go(key, _) if self.memory.trouble:
                    self.host.abandon(key, self.memory.trouble)
                case Go(key, _):
                    self.host.go(key)
                case Terminate(key, run, policy):
                    self.host.terminate(key, run, policy)
                    self.fleet.postpone(key, run, self.host.now() - now)
                case Dump() | Pause() | Resume() | Ask():
                    self._attend(action)
                case Destroy():
                    pass  # these came first
                case Fork():
                    raise AssertionError("forks come first")

    def _attend(self, action: Dump | Pause | Resume | Ask) -> None:
        """What is done to a run that goes on living."""
        match action:
            case Dump(key, signal):
                self.host.signal(key, signal)
            case Pause(key, _) if self.memory.trouble:  # the next supervisor would not know why it stands still
                self.fleet.apply(key, ev.Resume(f"the supervisor: {self.memory.trouble}"), self.host.now())
            case Pause(key, run):
                self.host.pause(key, run)
            case Resume(key, run):
                self.host.resume(key, run)
            case Ask(key, run, probe):
                self.host.ask(self._launch(self.fleet.instances[key], run), probe)

    def _tell(self, changes: list[Change]) -> None:
        self.announce.changes(changes)
        self.configuration.limits.see(changes)
        if self.config.settings.health_listen:
            self.announce.publish()
        if any(change.new is None for change in changes):
            planning.publish(self)
        if self.waits and (changes or self.gates_moved):
            changed = list(dict.fromkeys(change.old.key for change in changes))
            calm = self.fleet.next_deadline() != 0.0
            for wait in list(self.waits):  # an answer that cannot be sent takes its own wait away
                if wait.look(self.fleet, list(wait.pending) if calm else changed) and wait in self.waits:
                    self.waits.remove(wait)
        self.gates_moved = False

    # -- coming up and going down -------------------------------------------------------------------------------------

    def take_over(self, facts: dict[str, dict[str, Any]], kept: dict[str, Any] | None, packed: str = "") -> None:
        """Adopts what an earlier supervisor left, adds what is new, and wants up what shall be up.

        Args:
            facts: the journal; empty at a first start.
            kept: the freezes of the state directory, if there is any file of them.
            packed: the config in force as `lastgood` keeps it.
        """
        now = self.host.now()
        self._spool(owed(facts))
        for account in owed(facts):
            self.announce.ended(account)
        self.switch.recall(facts.get("fleet freezes"), kept)
        self.switch.follow(self.config)
        if SHUTDOWN in facts:
            self.memory.facts.append({"fleet": "shutdown", "gone": True})  # a start is a start
        self.configuration.keep(packed)
        self.configuration.recall(facts.get("fleet scales", {}).get("scales", {}))
        self.fleet.numbered |= facts.get("fleet numbers", {}).get("numbers", {})
        ended = [key for fact in facts.values() if "instance" in fact and (key := self._adopt(fact, now))]
        for task in self.config.tasks.values():
            self._complete(task, now)
        planning.publish(self)
        self.start_helpers(now)
        self.fleet.connect(self.config)
        for key in ended:
            instance = self.fleet.instances[key]
            if instance.run:
                status = self.host.post_mortem(instance.run)
                self.fleet.note(key, ev.Exited(instance.run.number, status, empty=True), now)
        self.fleet.settle(now)
        self.configuration.begin()
        self.notices.recall(facts)
        self.losses.recall(facts)
        limits.look(self)
        self.host.watch(self.config.watched)

    def _adopt(self, fact: dict[str, Any], now: float) -> str:
        """Puts one instance of an earlier supervisor into the fleet. Returns its key if its run has ended unseen."""
        name = fact["instance"]
        task = self._helpers().get(name) or self.config.tasks.get(name.rpartition(":")[0])
        try:
            instance = instance_of(fact, task)
        except (KeyError, TypeError, ValueError) as error:
            self.host.log("error", f"the record of {name} is not usable and not trusted: {error!r}")
            if isinstance(runs := fact.get("runs"), int):
                self.fleet.numbered[name] = runs
            self.memory.facts.append({"instance": name, "gone": True})
            return ""
        alive = bool(instance.run and instance.run.pid and self.host.adopt(instance.key, instance.run))
        if task is None and instance.run is None:
            self.memory.facts.append({"instance": name, "gone": True})
            return ""
        self.fleet.add(instance)
        if task is None or instance.index > task.replicas:
            self.fleet.note(instance.key, ev.Retire("the new config"), now)
        if alive and instance.run:
            self.host.log("info", f"{instance.name}: adopted (pid {instance.run.pid}, run {instance.run.id})")
            self.announce.event("adopted", name=instance.name, run=instance.run.id, pid=instance.run.pid)
            self.fleet.note(instance.key, ev.Adopted(instance.run.number), now)  # a child that waited has ended by now
            if task and task.kind is Kind.CONTINUOUS and instance.run.made_from != identity(task):
                self.fleet.note(instance.key, ev.Outdate("its definition changed while no supervisor ran"), now)
            if instance.task.helper:
                self.fleet.note(instance.key, ev.Outdate("it speaks through the stdout of an earlier supervisor"), now)
            return ""
        return instance.key if instance.state in ALIVE else ""

    def _complete(self, task: Task, now: float) -> None:
        there = {instance.index for instance in self.fleet.copies(task.name)}
        for instance in new_instances(task, now):
            if instance.index not in there:
                self.fleet.add(instance)
                if task.autostart:
                    self.fleet.note(instance.key, ev.Want("start", "the supervisor"), now)

    def start_helpers(self, now: float) -> None:
        """Those that the config needs. @scribe runs from then on, the others as long as they are needed."""
        needed = self._helpers()
        for key, task in needed.items():
            old = self.fleet.instances.get(key)
            if old is None:
                self.fleet.add(Instance(task, 1, since=now))
            elif old.task != task:
                self.fleet.note(key, ev.Redefine(task), now)
                self.fleet.note(key, ev.Outdate("what it is for has changed in the config"), now)
            if old is None or not old.wanted:
                self.fleet.note(key, ev.Want("start", "the supervisor"), now)
        for key, instance in list(self.fleet.instances.items()):
            if instance.task.helper and instance.task.name != SCRIBE and key not in needed:
                self.fleet.note(key, ev.Retire("the config, which no longer needs it"), now)

    def _helpers(self) -> dict[str, Task]:
        """The helpers that this config needs, by the key of their instance."""
        tasks, runtime_dir = self.config.tasks.values(), self.running_settings.runtime_dir
        commands: dict[str, tuple[str, ...]] = {}
        if self.config.settings.sample or any(_concerns_the_scribe(task) for task in tasks):
            commands[SCRIBE] = errands.scribe_command(runtime_dir)
        if any(probe.kind != "command" for task in tasks for probe in task.probes):
            commands["@prober"] = errands.prober_command(runtime_dir)
        if self.config.settings.health_listen:
            commands["@health"] = errands.health_command(runtime_dir, self.config.settings.health_listen)
        return {f"{name}:1": Task(name, command=command) for name, command in commands.items()}

    def renew_helpers(self) -> None:
        """The runtime directory was made anew: @scribe holds on to what runs write to, and is told; others restart."""
        for helper in [i for i in self.fleet.instances.values() if i.task.helper]:
            if helper.task.name == SCRIBE:
                self.host.signal(helper.key, "SIGHUP")
            else:
                self.fleet.apply(helper.key, ev.Outdate("the runtime directory was made anew"), self.host.now())

    def shut_down(self, reason: str, exit_code: int = 0) -> None:
        """Begins the end: ready is withdrawn, everything is stopped, dependents first."""
        if self.fleet.shutdown:
            self.fleet.shutdown = replace(self.fleet.shutdown, exit_code=min(exit_code, self.fleet.shutdown.exit_code))
            return  # a wish to end is stronger than one to be started again
        now = self.host.now()
        grace = self.config.settings.stop_grace
        self.host.notify("STOPPING=1", f"STATUS=shutting down: {reason}")
        self.host.log("warning", f"shutting down: {reason}; SIGKILL to what is left in {grace:g} s")
        drain = self.config.settings.drain_delay
        if drain:
            self.host.log("info", f"not ready any more; the first stop signal is sent in {drain:g} s (drain_delay)")
        self.announce.event("shutdown", why=reason)
        self.memory.facts.append({"fleet": "shutdown", "why": reason})
        self.notices.hurry(now + grace)
        self.fleet.shut_down(Shutdown(reason, now + grace, exit_code, now + drain if drain else None), now)
        self.announce.overview()

    def _signalled(self, name: str) -> None:
        if name == "SIGHUP":
            self.configuration.reload(None, by="SIGHUP")
            return
        self.signals += 1
        if self.signals == 1:
            self.shut_down(name)
        elif self.signals == 2:
            self.host.log("warning", f"{name}: already shutting down; once more kills everything at once")
        else:
            self.notices.abandon()
            self.fleet.kill_all(f"{name} for the third time", self.host.now())

    # -- what clients ask ---------------------------------------------------------------------------------------------

    def _ask(self, client: Asker, verb: str, arguments: dict[str, Any]) -> None:
        act = audited(self, client, verb, arguments)
        self._answer(act or client, verb, arguments)
        if act:
            act.under_way()

    def _answer(self, client: Asker, verb: str, arguments: dict[str, Any]) -> None:
        answer = getattr(self._verbs.get(verb), "answer", None)
        if answer is None:
            client.fail(f"no verb {verb!r}; this supervisor has: {', '.join(sorted(self._verbs))}", 2)
            return
        try:
            answer(self, client, arguments)
        except RefusedError as refusal:
            client.fail(str(refusal), refusal.exit_code)
        except Exception as error:  # noqa: BLE001 - a bug in a verb costs its client an answer, never the tasks their parent
            self.host.log("error", f"bug in the verb {verb}, asked by {client.by}: {_with_place(error)}")
            client.fail(f"internal error, a bug in the supervisor: {_with_place(error)}", 1)

    def follow(self, client: Asker, instances: Iterable[Instance], settled: Settled) -> None:
        """Answers the client as soon as every instance has settled."""
        wait = Wait(client, {instance.key: instance for instance in instances}, settled)
        client.on_close = lambda: self.waits.remove(wait) if wait in self.waits else None
        self.waits.append(wait)
        self.settle()
        if wait in self.waits and wait.look(self.fleet, list(wait.pending)):
            self.waits.remove(wait)

    @property
    def under_way(self) -> int:
        """How many errands are."""
        return len(self._errands)

    def errand(self, then: Callable[[Done], None], function: Callable[..., Any], *arguments: object) -> None:
        """Has something done that may block, and calls `then` with how it went."""
        self._errands[self.host.errand(function, *arguments)] = then


def _concerns_the_scribe(task: Task) -> bool:
    """Whether it has to read, keep or measure anything of it."""
    return bool(task.log.to != "none" or task.history.keep or task.limits.watched)


def _with_place(error: BaseException) -> str:
    """The error and the line of code that raised it."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}: {error}{where}"


def _ignore(_: Done) -> None:
    """Nobody waits for it."""
