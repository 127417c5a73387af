"""The parent: wait, decide, remember, do, tell.

One thread, one loop (`turn`), no blocking work: it forks, signals, keeps time and answers; whatever may
block is an errand or a helper. What is decided is decided in `core`; this file carries it out, in this order:

1. SIGKILL to what has outlived its grace: that it is due stands in the journal since the stop began.
2. Children are forked: they wait for their go byte, so nothing of a task has run yet.
3. The facts are written to the journal. From here on a dead supervisor can be followed by the next one.
4. Go bytes and stop signals are sent.
5. Log, events, waiting clients and the service manager are told.

There is one way to come up (`take_over`): read the journal, adopt what lives, account for what ended, go on. A first
start finds nothing to adopt; a crash and a restart are no other path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from supervisor import errands
from supervisor.announce import Announcer
from supervisor.control.feed import Feed
from supervisor.control.wait import Asker, Settled, Wait
from supervisor.core import events as ev
from supervisor.core import reload
from supervisor.core.actions import Action, Destroy, Fork, Go, Terminate
from supervisor.core.definition import Config, Kind, Task, identity
from supervisor.core.fleet import Change, Fleet, Shutdown, new_instances, supctl_freezes
from supervisor.core.freeze import CONFIG, SUPCTL, Freeze
from supervisor.core.instance import Instance
from supervisor.core.reload import Plan
from supervisor.core.states import ALIVE
from supervisor.host.interface import (
    CannotForkError,
    Done,
    Happened,
    Host,
    Launch,
    Occurrence,
    Request,
    Signalled,
    Touched,
)
from supervisor.store.records import instance_of, record_of
from supervisor.verbs import load_all
from supervisor.verbs.interface import RefusedError

FORKS_PER_TURN = 8
"""Forks between two looks at everything else: a crash storm of any size delays an answer by no more than these."""

SCRIBE = "@scribe"


class Parent:
    """The supervisor, over any host."""

    def __init__(self, host: Host, config: Config, *, epoch: str, life: str) -> None:
        """`epoch` makes run ids unique, `life` the cursors of events."""
        self.host = host
        self.written = config  # as it is in the files
        self.config = config  # with `supctl scale` on top
        self.running_settings = config.settings
        self.since = host.stamp()
        self.loaded = self.since
        self.config_error: tuple[str, ...] = ()
        self.fleet = Fleet(epoch)
        self.feed = Feed(life)
        self.announce = Announcer(host, self.feed, self.fleet, config.settings.name)
        self.scales: dict[str, int] = {}  # `supctl scale`, until the config says another number
        self.waits: list[Wait] = []
        self.signals = 0  # how many SIGTERM or SIGINT have come
        self.goodbye: list[Asker] = []  # who waits for the end of the supervisor
        self._verbs = load_all()
        self._errands: dict[int, Callable[[Done], None]] = {}
        self._gates_moved = False  # a freeze came or went: who waits may have to wait no longer
        self._rereading = False
        self._touched_again = False
        self._reloads: list[Callable[[Done], None]] = []  # the first one is being read
        self._unsure = True  # whether the config was saved after it was read and before it was watched
        self._keeping = False  # a write of the freezes is under way
        self._keepers: list[Callable[[Done], None]] = []  # who waits for the next one
        self._facts: list[dict[str, Any]] = []

    # -- the loop -----------------------------------------------------------------------------------------------------

    def turn(self, deadline: float | None = None) -> bool:
        """Waits for something to occur and deals with it. False when the supervisor is done.

        Args:
            deadline: of somebody else, monotonic; the wait ends then too.
        """
        moments = [moment for moment in (deadline, self.fleet.next_deadline()) if moment is not None]
        for occurrence in self.host.wait(min(moments, default=None)):
            self.occur(occurrence)
        self.settle()
        return not (self.fleet.shutdown and not any(i.state in ALIVE for i in self.fleet.instances.values()))

    def settle(self) -> None:
        """Everything that follows from what has occurred: decide, remember, do, tell."""
        now = self.host.now()
        for freeze in self.fleet.expire(now):
            self.thaw((freeze,), "its own end")
        self.host.prepare(min(self.fleet.waiting, FORKS_PER_TURN))
        self.fleet.admit(now, FORKS_PER_TURN)
        if self._unsure and self.fleet.next_deadline() != 0.0:
            self._unsure = False
            self._reread()
        actions, changes = self.fleet.take()
        self._act(action for action in actions if isinstance(action, Destroy))
        more, later = self._fork(actions, now)
        self._remember([*changes, *later])
        self._act([*(action for action in actions if isinstance(action, Go | Terminate)), *more])
        self._tell([*changes, *later])

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
                self._reread()

    def _fork(self, actions: list[Action], now: float) -> tuple[list[Action], list[Change]]:
        """Makes the children. Returns what follows from that: their go bytes, or their failures."""
        for action in actions:
            if isinstance(action, Fork):
                instance = self.fleet.instances[action.key]
                event: ev.Event
                try:
                    pid, birth = self.host.fork(self._launch(instance, action))
                    event = ev.Forked(action.run.number, pid, birth)
                except CannotForkError as error:
                    event = ev.NotStarted(action.run.number, str(error))
                self.fleet.apply(action.key, event, now)
        return self.fleet.take()

    def _launch(self, instance: Instance, action: Fork) -> Launch:
        settings = self.running_settings
        last = instance.last.reason if instance.last else ""
        log_dir = self.config.settings.log_dir
        return Launch(instance.key, instance.task, instance.index, action.run, last, settings.runtime_dir, log_dir)

    def _remember(self, changes: list[Change]) -> None:
        newest = {change.old.key: change.new for change in changes if change.new is not change.old or change.new.run}
        records = [
            record_of(instance) if instance else {"instance": key, "gone": True} for key, instance in newest.items()
        ]
        facts, self._facts = self._facts, []
        if records or facts:
            try:
                self.host.remember([*facts, *records])
            except OSError as error:
                self.host.log("error", f"cannot write the journal, a crash now would lose track of tasks: {error}")

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Go(key, _):
                    self.host.go(key)
                case Terminate(key, run, policy):
                    self.host.terminate(key, run, policy)
                case Destroy(key, run):
                    self.host.destroy(key, run)
                case Fork():
                    raise AssertionError("forks come first")

    def _tell(self, changes: list[Change]) -> None:
        self.announce.changes(changes)
        if self.waits and (changes or self._gates_moved):
            changed = list(dict.fromkeys(change.old.key for change in changes))
            calm = self.fleet.next_deadline() != 0.0
            self.waits = [
                wait for wait in self.waits if not wait.look(self.fleet, list(wait.pending) if calm else changed)
            ]
        self._gates_moved = False

    # -- coming up and going down -------------------------------------------------------------------------------------

    def take_over(self, facts: dict[str, dict[str, Any]], kept: Iterable[dict[str, Any]]) -> None:
        """Adopts what an earlier supervisor left, adds what is new, and wants up what shall be up.

        Args:
            facts: the journal; empty at a first start.
            kept: the freezes of the state directory.
        """
        now = self.host.now()
        in_journal = facts.get("fleet freezes")
        for entry in in_journal["freezes"] if in_journal else kept:
            self.fleet.freeze(self._kept_freeze(entry), now)
        self._config_freezes(self.config, now)
        scales = facts.get("fleet scales", {}).get("scales", {})
        self.scales = {name: replicas for name, replicas in scales.items() if name in self.written.tasks}
        self.config = _scaled(self.written, self.scales)
        ended = [key for fact in facts.values() if "instance" in fact and (key := self._adopt(fact, now))]
        for task in self.config.tasks.values():
            self._complete(task, now)
        self._start_helpers(now)
        self.fleet.connect(self.config)
        for key in ended:
            instance = self.fleet.instances[key]
            if instance.run:
                self.fleet.note(key, ev.Exited(instance.run.number, None, empty=True), now)
        self.fleet.settle(now)
        self.host.watch(self.config.watched)

    def _adopt(self, fact: dict[str, Any], now: float) -> str:
        """Puts one instance of an earlier supervisor into the fleet. Returns its key if its run has ended unseen."""
        name = fact["instance"]
        task = self._helpers().get(name) or self.config.tasks.get(name.rpartition(":")[0])
        try:
            instance = instance_of(fact, task)
        except (KeyError, TypeError, ValueError) as error:
            self.host.log("error", f"the record of {name} is not usable and not trusted: {error!r}")
            return ""
        alive = bool(instance.run and instance.run.pid and self.host.adopt(instance.key, instance.run))
        if task is None and not alive:
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

    def _start_helpers(self, now: float) -> None:
        """@scribe runs as soon as a task's output is inherited, and from then on."""
        for key, task in self._helpers().items():
            if key not in self.fleet.instances:
                self.fleet.add(Instance(task, 1, since=now))
                self.fleet.note(key, ev.Want("start", "the supervisor"), now)

    def _helpers(self) -> dict[str, Task]:
        """The helpers that this config needs, by the key of their instance."""
        if not any(task.log.to == "inherit" for task in self.config.tasks.values()):
            return {}
        return {f"{SCRIBE}:1": Task(SCRIBE, command=errands.scribe_command(self.running_settings.runtime_dir))}

    def shut_down(self, reason: str, exit_code: int = 0) -> None:
        """Begins the end: ready is withdrawn, everything is stopped, dependents first."""
        if self.fleet.shutdown:
            return
        now = self.host.now()
        grace = self.config.settings.stop_grace
        self.host.notify("STOPPING=1", f"STATUS=shutting down: {reason}")
        self.host.log("warning", f"shutting down: {reason}; SIGKILL to what is left in {grace:g} s")
        self.announce.event("shutdown", why=reason)
        self.fleet.shut_down(Shutdown(reason, now + grace, exit_code), now)

    def _signalled(self, name: str) -> None:
        if name == "SIGHUP":
            self.reload(None, by="SIGHUP")
            return
        self.signals += 1
        if self.signals == 1:
            self.shut_down(name)
        elif self.signals == 2:
            self.host.log("warning", f"{name}: already shutting down; once more kills everything at once")
        else:
            self.fleet.kill_all(f"{name} for the third time", self.host.now())

    # -- what clients ask ---------------------------------------------------------------------------------------------

    def _ask(self, client: Asker, verb: str, arguments: dict[str, Any]) -> None:
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

    def errand(self, then: Callable[[Done], None], function: Callable[..., Any], *arguments: object) -> None:
        """Has something done that may block, and calls `then` with how it went."""
        self._errands[self.host.errand(function, *arguments)] = then

    # -- freeze -------------------------------------------------------------------------------------------------------

    def freeze(self, freezes: Iterable[Freeze], then: Callable[[Done], None]) -> None:
        """Freezes at once; `then` is called when that is on the disk, too, or cannot be."""
        self._gates_moved = True
        for freeze in freezes:
            self.fleet.freeze(freeze, self.host.now())
            self.announce.frozen(freeze)
        self._keep_freezes(then)

    def thaw(self, freezes: Iterable[Freeze], by: str, then: Callable[[Done], None] | None = None) -> list[Instance]:
        """Undoes freezes. Returns the instances that start by it."""
        released: list[Instance] = []
        for freeze in freezes:
            now_free = self.fleet.thaw((freeze,), self.host.now())
            released += now_free
            self.announce.thawed(freeze, by, now_free)
        self._keep_freezes(then or _ignore)
        return released

    def _keep_freezes(self, then: Callable[[Done], None]) -> None:
        """One write at a time, so that an older one never comes after a newer one."""
        self._facts.append({"fleet": "freezes", "freezes": self._freeze_records()})
        self._keepers.append(then)
        if not self._keeping:
            self._keep_now()

    def _keep_now(self) -> None:
        keepers, self._keepers, self._keeping = self._keepers, [], True

        def kept(done: Done) -> None:
            self._keeping = False
            for then in keepers:
                then(done)
            if self._keepers:
                self._keep_now()

        self.errand(kept, errands.keep_freezes, self.running_settings.state_dir, self._freeze_records())

    def _freeze_records(self) -> list[dict[str, Any]]:
        names = ("scope", "by", "since", "until", "reason")
        return [{name: getattr(freeze, name) for name in names} for freeze in supctl_freezes(self.fleet.freezes)]

    def _kept_freeze(self, entry: dict[str, Any]) -> Freeze:
        until = entry.get("until")
        expires = self.host.moment(until) if until else None
        return Freeze(entry["scope"], SUPCTL, entry["by"], entry["since"], entry.get("reason", ""), until, expires)

    def _config_freezes(self, config: Config, now: float) -> None:
        """Takes over what the config's lines say, the new ones before the old ones go, so that there is no gap."""
        self._gates_moved = True
        old = {freeze.scope: freeze for freeze in self.fleet.freezes if freeze.source == CONFIG}
        new = {item.scope: item for item in config.freezes}
        for scope, item in new.items():
            if scope not in old:
                freeze = Freeze(scope, CONFIG, item.where, self.host.stamp())
                self.fleet.freeze(freeze, now)
                self.announce.frozen(freeze)
            elif old[scope].by != item.where:  # the line has moved
                self.fleet.freeze(replace(old[scope], by=item.where), now)
                self.fleet.thaw((old[scope],), now)
        for scope in old.keys() - new.keys():
            released = self.fleet.thaw((old[scope],), now)
            self.announce.thawed(old[scope], "the config", released)

    def _reread(self) -> None:
        """The config was touched: its freeze keys count at once, the rest at the next reload."""
        if self._rereading:
            self._touched_again = True
            return
        self._rereading, self._touched_again = True, False
        self.errand(self._reread_done, errands.load, self.config.path)

    def _reread_done(self, done: Done) -> None:
        self._rereading = False
        if self._touched_again:
            self._reread()
            return
        config = self._checked(done)
        if config:
            self._config_freezes(config, self.host.now())

    def _checked(self, done: Done) -> Config | None:
        """The config of an errand, or None: what is wrong is kept for `status` and told once."""
        errors = (f"{self.config.path}: {done.error}",) if done.error else tuple(done.value.errors)
        if errors and errors != self.config_error:
            self.announce.event("config-error", why="; ".join(errors))
            for error in errors:
                self.host.log("error", f"config: {error}")
        self.config_error = errors
        return None if errors else done.value.config

    # -- reload and scale ---------------------------------------------------------------------------------------------

    def reload(self, client: Asker | None, by: str, *, dry_run: bool = False) -> None:
        """Reads the config anew and applies it as a whole, or refuses it as a whole."""
        if not dry_run:
            self._reloading()
        self._reloads.append(lambda done: self._reload_done(done, client, by, dry_run))
        if len(self._reloads) == 1:
            self.errand(self._next_reload, errands.load, self.config.path)

    def _next_reload(self, done: Done) -> None:
        """One at a time, each with what the files say after the one before: the newest is applied last."""
        self._reloads.pop(0)(done)
        if self._reloads:
            self.errand(self._next_reload, errands.load, self.config.path)

    def _reloading(self) -> None:
        micros = int(self.host.now() * 1e6)
        self.host.notify("RELOADING=1", f"MONOTONIC_USEC={micros}")

    def _reload_done(self, done: Done, client: Asker | None, by: str, dry_run: bool) -> None:
        new = self._checked(done)
        if new is None:
            self.announce.reloaded()
            if client:
                client.fail("the config has errors, nothing was changed:\n" + "\n".join(self.config_error), 1)
            return
        scales = {
            name: replicas
            for name, replicas in self.scales.items()
            if name in new.tasks and new.tasks[name].replicas == self.written.tasks[name].replicas
        }
        plan = reload.compare(self.config, _scaled(new, scales))
        if not dry_run:
            self.scales = scales
            self._facts.append({"fleet": "scales", "scales": scales})
            self._apply(plan, new, by)
        if client:
            client.answer(_plan_json(plan, dry_run=dry_run))

    def _apply(self, plan: Plan, new: Config, by: str) -> None:
        now = self.host.now()
        before = self.written
        self.written = replace(new, settings=reload.settled(new.settings, self.running_settings))
        self.config = _scaled(self.written, self.scales)
        self.loaded = self.host.stamp()
        self.announce.name = new.settings.name
        self._config_freezes(new, now)
        reload.apply(self.fleet, plan, self.config, by, now)
        self._start_helpers(now)
        if new.watched != before.watched:
            self.host.watch(new.watched)
        text = _in_words(plan)
        self.host.log("warning", f"reloaded by {by}: {text}")
        self.announce.event("reload", by=by, why=text)
        self.announce.reloaded()

    def scale(self, task: str, replicas: int, by: str) -> None:
        """Another number of instances, until the config says another one."""
        self.scales[task] = replicas
        self.config = _scaled(self.written, self.scales)
        self._facts.append({"fleet": "scales", "scales": dict(self.scales)})
        now = self.host.now()
        reload.redefine(self.fleet, self.config.tasks[task], by, now)
        self.fleet.connect(self.config)
        self.fleet.settle(now)


def _scaled(config: Config, scales: dict[str, int]) -> Config:
    tasks = {
        name: replace(task, replicas=scales[name]) if name in scales else task for name, task in config.tasks.items()
    }
    return replace(config, tasks=tasks)


def _with_place(error: BaseException) -> str:
    """The error and the line of code that raised it."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}: {error}{where}"


def _ignore(_: Done) -> None:
    """Nobody waits for it."""


def _plan_json(plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "added": list(plan.added),
        "removed": list(plan.removed),
        "changed": {name: list(keys) for name, keys in plan.changed.items()},
        "restarted": {name: list(keys) for name, keys in plan.restarted.items()},
        "unchanged": list(plan.unchanged),
        "at_next_start": list(plan.at_next_start),
    }


def _in_words(plan: Plan) -> str:
    parts = [
        f"{what} {', '.join(names)}"
        for what, names in (
            ("added", plan.added),
            ("removed", plan.removed),
            ("changed", plan.changed),
            ("restarted", plan.restarted),
            ("at the next start only", plan.at_next_start),
        )
        if names
    ]
    return "; ".join(parts) or "no change"
