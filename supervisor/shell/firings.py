"""Turn firings into runs, each exactly once. This is the parent's end of @timekeeper, which keeps the firings on disk.

The parent never waits for the disk. It asks @timekeeper, and goes on when the answer comes. The order of these steps
makes loss and doubling impossible, also if the parent, @timekeeper or the machine dies between any two of them:

1. @timekeeper commits the firing, before it is due, and sends it.
2. The parent decides that it becomes run R. @timekeeper commits "taken by R, in this boot", and answers.
3. The parent wants the run. The journal has R, with the firing, before the go byte.
4. The run ends. The journal has its end, until @timekeeper has committed that the firing is over; or, with `retry`,
   that it waits for its next run. Then it goes on with step 2.

What the next parent or the next @timekeeper finds says which step was the last:

- A firing that waits has not begun. It is decided again.
- A firing that is taken, by a run that the journal has: step 3 was done. The run goes on, or its end is committed now.
  If the run had no go byte yet, it is started again for the same firing (`runs.begun`).
- A firing that is taken in this boot, by a run that the journal does not have: the run never began, as the journal
  comes before the go byte. The firing waits again.
- A firing that was taken in another boot: the machine went down meanwhile, and nobody knows how far the run came. With
  `retry` this was an attempt. Otherwise the firing is over, and reported as interrupted.

A step that is done twice does nothing the second time, as a firing has an id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from supervisor.core import events as ev
from supervisor.core import retry
from supervisor.core.definition import Config, Kind, Task
from supervisor.core.firing import Firing, Input, firing_of
from supervisor.core.firing_queue import Waiting
from supervisor.core.firings import Firings, Keep, Miss, Skip, Stop, Take, busy
from supervisor.core.immutable import names_of, plain
from supervisor.core.instance import Instance, Order
from supervisor.core.skip_record import SkipRecord, fault, skip_of
from supervisor.core.states import State
from supervisor.core.utf8 import fits, readable
from supervisor.host import clock
from supervisor.registry.timekeeper import HELPER
from supervisor.shell.own_firings import OwnFirings, cut_off
from supervisor.store.journal import mistyped

if TYPE_CHECKING:
    from supervisor.core.roster import Change
    from supervisor.shell.context import Context

OVER = "fleet over "
"""The names of the facts of firings whose run has ended, in the journal. The id of the firing follows."""

Ended = dict[str, Any]
"""A firing that is over.

`id`, `at` (seconds since 1970), `reason`, `ran` (False: it was skipped), `missed` (by `catch_up`), `success`. The last
is None if it has not run, or its run ended on request: that is neither success nor failure. Of a run here: its id
(`run`), and how many seconds it took (`lasted`). With `again` the firing is not over: this is its next run
(`core.retry.Again`).
"""

LONGEST_REASON = 1000
"""Characters of a reason that are kept, and of an id that can be one."""

NO_TASK = "its task is no longer a triggered task of the config"
"""The reason for which a firing by hand is skipped when its task has gone."""

MOST_BYTES = 16 << 20
"""Bytes of the firings that persons have asked for and @timekeeper has not committed. Further requests are refused."""

OVERHEAD = 1024
"""Bytes that a firing takes in memory, beside its words and variables."""

IN_JOURNAL = 100
"""The maximum of ends that the journal has at a time, if the next one is that of a missed firing."""

Then = Callable[[dict[str, Any] | None], None]
"""Called with what @timekeeper knows of a firing (`store.firings.Known`); None: nothing.

A firing that it must not write has only `refused`, the reason.
"""


class _Put:
    """A firing on its way to @timekeeper."""

    def __init__(self, firing: Firing, item: dict[str, Any], then: Then) -> None:
        self.firing = firing
        self.item = item  # of the message
        self.then = then
        given = firing.input or Input()
        words = (*given.arguments, *(text for pair in given.environment for text in pair), given.text)
        self.size = OVERHEAD + sum(map(len, words))


class FiringRuns:
    """The firings of one supervisor."""

    def __init__(self, context: Context) -> None:
        self.firings = Firings(_parallel(context.config))
        self.counts: dict[str, dict[str, Any]] = {}  # by task, as @timekeeper has sent them
        self.words: dict[str, dict[str, str]] = {}  # by task, when it is due for people (`words`), and its `zone`
        self.only_in_memory = ""  # why a loss of power would take the firings, as a sentence; "": it would not
        self.has_changed = False  # something that a client may be waiting for; `ByHand.observe` sets it back
        self._context = context
        self._key_of: dict[str, str] = {}  # by the id of a firing, the key of the instance that had it last
        self._over: dict[str, Ended] = {}  # not yet committed by @timekeeper
        self._skips: list[SkipRecord] = []  # since the last `take_skips`
        self._skipped: list[Ended] = []  # by `overlap` or `catch_up`, since the last `record`
        self._skipped_since_fired: dict[str, int] = {}  # by task, due times that were skipped since it last fired
        self._last_reason_told: dict[str, str] = {}  # by task, why its missed firings are skipped, as an event said
        self._open: set[str] = set()  # the firings of an `open` that is not complete yet
        self._given_back: set[str] = set()  # firings that wait for the next start, as a shutdown came first
        self._puts: dict[str, _Put] = {}  # by id, the firings that are not yet committed
        self._finds: dict[str, list[Then]] = {}  # by id, the questions that are not yet answered
        self.own = OwnFirings(context, self.put)
        self._failed: dict[int, tuple[list[Any], Callable[[list[str]], None]]] = {}  # questions, by their numbers
        self._asked = 0
        self._cancelled: dict[str, str] = {}  # by id, why the run that is about to end was cancelled

    def restore(self, facts: dict[str, dict[str, Any]]) -> None:
        """Take over the ends that an earlier supervisor could not hand over."""
        ends = [fact.get("over") for name, fact in facts.items() if name.startswith(OVER)]
        self._over |= {one["id"]: one for one in ends if isinstance(one, dict) and isinstance(one.get("id"), str)}
        skips = [fact.get("skip") for name, fact in facts.items() if name.startswith(OVER)]
        self._skips += [one for one in skips if isinstance(one, dict) and "skipped" in one and not fault(one)]
        for one in list(self._over.values()):
            if "again" not in one:
                continue
            if not _is_again(one):
                del self._over[one["id"]]  # the run is not known any more, so its firing waits again
            else:
                self.firings.run_ended(one["id"], one["task"])

    def adopted(self) -> None:
        """Note which firings the instances of an earlier supervisor have."""
        for instance in self._context.fleet.instances.values():
            self._key_of |= dict.fromkeys(_firings_of(instance), instance.key)

    # -- @timekeeper --------------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """Tell a new @timekeeper everything that it has to know."""
        self.define()
        self.hand_over(self._over.values())
        if self._puts:
            self._send("put", [put.item for put in self._puts.values()])
        if self._finds:
            self._send("find", list(self._finds))
        if self._failed:
            self._send("failed", [question for question, _ in self._failed.values()])

    def define(self) -> None:
        """Tell @timekeeper the triggered tasks: it has just connected, or the config has changed."""
        tasks = self._context.config.tasks.values()
        self.firings.catch_up_parallel = _parallel(self._context.config)
        triggered = {task.name: plain(task.timing) for task in tasks if task.kind is Kind.TRIGGERED}
        for task in self.firings.tasks() - triggered.keys():
            asked_for = {one.firing.id for one in self.firings.by_hand(task)}
            if gone := asked_for | {firing.id for firing in self.firings.begun(task)}:
                for identity in sorted(gone):
                    self.take_back(identity, NO_TASK)
                self._say_dropped(task, len(gone))
        self.hand_over(self._skipped)  # before `define`, which drops what waits without a task
        self._skipped = []
        self.own.define()
        self._send("define", triggered)

    def put(self, firing: Firing, then: Then, *, key: str = "", until: float = 0.0) -> None:
        """Have @timekeeper write a firing. From its commit on, the firing goes the way of all others.

        If its input is no longer there, nothing is known, and the firing is not written.

        Args:
            firing: a new one.
            then: called after the commit with what is known: of this firing, or of an earlier one with the same key.
            key: stands for the firing as long as it is not over, and then up to `until` (seconds since 1970).
            until: see there.
        """
        put = self._puts[firing.id] = _Put(firing, {"firing": plain(firing), "key": key, "until": until}, then)
        self._send("put", [put.item])

    def count_puts(self, task: str) -> int:
        """Return how many firings of a task are not yet committed."""
        return sum(put.firing.task == task for put in self._puts.values())

    def has_too_many_puts(self) -> bool:
        """Return whether so much is not yet committed that the parent must not keep more."""
        return sum(put.size for put in self._puts.values()) > MOST_BYTES

    def find(self, identity: str, then: Then) -> None:
        """Ask @timekeeper what is known of a firing, by its own id or that of its run; see `forget_find`."""
        if len(identity) > LONGEST_REASON or not fits(identity):  # no id is like this, and no database takes it
            then(None)
            return
        self._finds.setdefault(identity, []).append(then)
        self.has_changed = True
        self._send("find", [identity])

    def forget_find(self, identity: str, then: Then) -> None:
        """Forget a question, as nobody waits for its answer any more."""
        asked = self._finds.get(identity, [])
        if then in asked:
            asked.remove(then)
            if not asked:
                del self._finds[identity]

    def find_failed(self, tasks: list[str], since: float, then: Callable[[list[str]], None]) -> None:
        """Ask @timekeeper for the firings of tasks that failed since a moment, and were not run again."""
        self._asked += 1
        question = [self._asked, tasks, since]
        self._failed[self._asked] = question, then
        self.has_changed = True
        self._send("failed", [question])

    def has_timekeeper(self) -> bool:
        """Return whether @timekeeper is there or comes back; without a triggered task, nobody needs it."""
        helper = self._context.fleet.instances.get(HELPER.key)
        return helper is not None and not helper.retired

    def answer_without_timekeeper(self) -> None:
        """Answer the questions that nobody is there to answer: without a triggered task, nothing is known."""
        if (self._finds or self._failed) and not self.has_timekeeper():
            for identity in list(self._finds):
                for then in self._finds.pop(identity, ()):
                    then(None)
            for number in list(self._failed):
                self._failed.pop(number)[1]([])

    def clock_set(self) -> None:
        """The clock was set: each moment at which a firing is due has moved."""
        self._send("clock", [True])
        wall = self._context.host.wall()
        for task in self._context.config.tasks.values():
            if task.retry:
                self.firings.hasten(task.name, wall + retry.longest_delay(task.retry))

    def heard(self, message: dict[str, Any]) -> None:
        """Handle a message of @timekeeper."""
        self.has_changed = True
        if "open" in message:
            self._opened(message["open"], first=message["first"], last=message["last"])
        for one in message.get("armed", ()):
            self.firings.add(firing_of(one))
        self.firings.extend(message.get("horizon", {}))
        self._told(message)
        for identity in message.get("taken", ()):
            self._begin(identity)
        for identity in message.get("gone", ()):
            self.firings.pop_taken(identity)
        for identity in message.get("closed", ()):
            self.firings.forget(identity)
            if self._over.pop(identity, None):
                self._context.journaling.facts.append({"fleet": f"over {identity}", "gone": True})
        for task, count in message.get("dropped", {}).items():
            self._say_dropped(task, count)
        self.words |= message.get("words", {})
        self.only_in_memory = message.get("in_memory", {}).get("why", self.only_in_memory)
        self.counts |= message.get("counts", {})

    def _say_dropped(self, task: str, count: int) -> None:
        text = f"{count} waiting firings are dropped, as the config has changed"
        self._context.host.log("warning", f"{task}: {text}")
        self._context.announcer.event("dropped", task=task, firings=count, why=text)

    def _told(self, message: dict[str, Any]) -> None:
        """Handle the answers to `put` and `find`."""
        for one in message.get("put", ()):
            self._committed(one["id"], one["known"])
        for number, identities in message.get("failed", ()):
            if number in self._failed:
                self._failed.pop(number)[1](identities)
        for one in message.get("found", ()):
            for then in self._finds.pop(one["id"], ()):
                then(one["known"])

    def _committed(self, identity: str, known: dict[str, Any] | None) -> None:
        """Take over a firing that was put. If its key stands for an earlier one, that may wait, run, or be over."""
        firing = firing_of(known["firing"]) if known and "firing" in known else None
        if known and firing and not (known["run"] or known["over"] or firing.id in self._over):
            self.firings.add(firing)
        if identity in self._puts:
            self._puts.pop(identity).then(known)

    def _opened(self, rows: list[dict[str, Any]], *, first: bool, last: bool) -> None:
        if first:
            self._open.clear()
        running = {identity for one in self._context.fleet.instances.values() for identity in _firings_of(one)}
        for row in rows:
            firing = firing_of(row["firing"])
            self._open.add(firing.id)
            if firing.id not in self._over and firing.id not in running:
                self._continue(firing, row["run"], here=row["here"])
        if last:
            self.firings.remove_unknown(self._open)

    def _continue(self, firing: Firing, run: str, *, here: bool) -> None:
        """Continue with a firing where an earlier parent or @timekeeper has stopped.

        Args:
            firing: no run that we know is for it.
            run: the run that it was taken by; "": it waits.
            here: whether it was taken in this boot.
        """
        key = self.firings.reserved(firing.id)
        if key and key not in self._context.fleet.instances:  # the config has removed it meanwhile
            self.firings.release(firing.id)
            key = ""
        if run and not here:
            self.hand_over([self._cut_off_by_boot(firing, run)])
        elif run and key:
            self._begin(firing.id)  # the answer was lost
        elif run:
            self._send("free", [firing.id])
        elif key:
            self._take([(firing, key)])
        else:
            self.firings.add(firing)

    def _cut_off_by_boot(self, firing: Firing, run: str) -> Ended:
        why, task = (
            f"interrupted: the machine went down while run {run} was on",
            self._context.config.tasks.get(firing.task),
        )
        again = retry.after_boot(task.retry if task else None, firing, run, self._context.host.wall())
        if again:
            return self._runs_again(firing.task, firing.id, again, why)
        self.own.react(firing.task, run, cut_off(firing, run, why), success=False)
        self.own.hand_over()
        return self._over_with(firing.id, why, ran=True)

    def _send(self, kind: str, items: list[Any] | dict[str, Any]) -> None:
        """Send a message. One that is lost is sent again, once @timekeeper has connected anew."""
        self._context.host.send(HELPER.key, kind, items)

    # -- from a firing to a run ---------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when the next firing is due, in monotonic seconds; None also as long as no run may begin."""
        start, host = self.firings.next_start(), self._context.host
        closed = self._context.fleet.shutdown or self._context.journaling.trouble
        if not closed and self.firings.must_decide(self._context.fleet):  # a slot became free late in the last turn
            return host.now()
        return None if start is None or closed else host.now() + max(0.0, start - host.wall())

    def due(self, now: float) -> None:
        """See `Timed`. `decide` follows in the same turn."""

    def decide(self) -> None:
        """Take, skip and replace, as it follows from what has happened."""
        context = self._context
        if context.journaling.trouble:  # no run could begin
            return
        changed = context.fleet.has_changed or context.gates_changed
        start, wall = self.firings.next_start(), context.host.wall()
        self.has_changed |= changed or self.firings.must_decide(context.fleet) or (start is not None and start <= wall)
        takes: list[tuple[Firing, str]] = []
        on_time: list[str] = []
        for decision in self.firings.decide(context.fleet, wall, changed=changed):
            match decision:
                case Take(firing, key):
                    takes.append((firing, key))
                case Keep(firing):
                    on_time.append(firing.id)
                case Skip():
                    self._skip(decision)
                case Miss(firing, why):
                    text = f"{firing.task}: missed the firing of {clock.rfc3339(firing.due)}: {why}"
                    context.host.log("info", text)
                    context.announcer.event("missed", task=firing.task, **self._facts(firing), why=why)
                case Stop(key, by):
                    context.fleet.apply(key, ev.Unwant(by), context.host.now())
        if on_time:
            self._send("on_time", on_time)
        if takes:
            self._take(takes)

    def _skip(self, skip: Skip) -> None:
        """Let a firing end without a run.

        The journal has it before the history has it, and before a client is answered: it does not run after a death of
        this supervisor. Its event may come earlier. Missed firings may be thousands, and no client waits for them. So
        the journal has only the first of them, up to `IN_JOURNAL`. The others wait until the commit: after a death, the
        history may have their due times twice. Only the first of a row has an event and a line of the log. The event of
        the next run has their number.
        """
        context, firing, reason = self._context, skip.firing, skip.reason
        ended = self._over_with(firing.id, reason, ran=skip.begun, missed=skip.missed)
        self.has_changed = True
        record = None if skip.begun else self._skip_record(firing, ended["reason"])  # the history has its runs
        if not skip.missed or len(self._over) <= IN_JOURNAL:
            context.journaling.facts.append({"fleet": f"over {firing.id}", "over": ended, "skip": record})
        self._skipped.append(ended)
        if record is None:
            self._report_skip(firing, reason)
            return
        self._skips.append(record)
        self._skipped_since_fired[firing.task] = self._skipped_since_fired.get(firing.task, 0) + firing.times
        if skip.merged or (skip.missed and self._last_reason_told.get(firing.task) == reason):
            return
        self._last_reason_told[firing.task] = reason if skip.missed else ""
        self._report_skip(firing, reason)

    def _skip_record(self, firing: Firing, reason: str) -> SkipRecord:
        task = self._context.config.tasks.get(firing.task) or Task(firing.task)
        now = self._context.host.now()
        return skip_of(task, firing.trigger, firing.id, firing.due, reason, now, firing.times)

    def _report_skip(self, firing: Firing, reason: str) -> None:
        text = f"{firing.task}: skipped the firing of {clock.rfc3339(firing.due)}: {reason}"
        self._context.host.log("info", text)
        self._context.announcer.event("skipped", task=firing.task, **self._facts(firing), why=reason)

    def _take(self, takes: list[tuple[Firing, str]]) -> None:
        fleet = self._context.fleet
        runs = ((firing.id, f"{key}/{fleet.instances[key].runs + 1}@{fleet.epoch}") for firing, key in takes)
        self._send("take", [list(one) for one in runs])

    def _begin(self, identity: str) -> None:
        """Want the run of a firing, as @timekeeper has committed that it is taken."""
        context = self._context
        waiting = self.firings.pop_taken(identity)
        if waiting is None:
            return
        instance = context.fleet.instances.get(waiting.key)
        if instance is None or busy(instance):  # a person was faster, or the config has changed
            self._send("free", [identity])
            return
        firing = waiting.firing
        order, skipped = self._order(waiting), 0
        if firing.computed:  # a run by hand is no news of the schedule
            skipped = self._skipped_since_fired.pop(firing.task, 0)
            self._last_reason_told.pop(firing.task, None)
        facts = {**self._facts(firing), "missed": order.missed, "skipped": skipped}
        self._key_of[identity] = waiting.key
        context.fleet.pools.pass_on(identity, waiting.key, instance.name)
        context.announcer.event("fired", task=firing.task, name=instance.name, **facts)
        trigger = "retry" if firing.attempt > 1 else firing.trigger
        want = ev.Want(trigger, firing.by or f"its trigger ({firing.trigger})", order)
        context.fleet.apply(waiting.key, want, context.host.now())

    def _order(self, waiting: Waiting) -> Order:
        firing, given = waiting.firing, waiting.firing.input or Input()
        missed = firing.missed if firing.begun else waiting.times if waiting.missed else waiting.times - 1
        variables = {"SUPERVISOR_DUE": clock.rfc3339(firing.due), "SUPERVISOR_MISSED": str(missed)}
        if firing.interrupted:
            variables["SUPERVISOR_RESUME"] = "1"
        environment, late = (*given.environment, *variables.items()), max(0.0, self._late(firing))
        tried = firing.attempt, firing.interrupted, given.text
        return Order(given.arguments, environment, firing.id, firing.due, missed, late, given.stdin, *tried)

    def _facts(self, firing: Firing) -> dict[str, Any]:
        return {
            "firing": firing.id,
            "trigger": firing.trigger,
            "due": clock.rfc3339(firing.due),
            "late_s": round(self._late(firing), 3),
            "attempt": firing.attempt,
            **({"by": firing.by} if firing.by else {}),
        }

    def _late(self, firing: Firing) -> float:
        return self._context.host.wall() - (firing.start or firing.due)

    # -- by hand ------------------------------------------------------------------------------------------------------

    def is_put(self, identity: str) -> bool:
        """Return whether a firing is not yet committed."""
        return identity in self._puts

    def ended(self, identity: str) -> Ended | None:
        """Return how a firing has ended, as long as @timekeeper has not committed that."""
        return None if self.is_put_again(identity) else self._over.get(identity)

    def is_put_again(self, identity: str) -> bool:
        """Return whether a firing gets another run, as long as @timekeeper has not committed that."""
        return bool(self._over.get(identity, {}).get("again"))

    def instance_of(self, identity: str) -> Instance | None:
        """Return the instance that runs a firing, or is about to; None for none."""
        instance = self._context.fleet.instances.get(self._key_of.get(identity, ""))
        return instance if identity in _firings_of(instance) else None

    def take_back(self, identity: str, reason: str) -> bool:
        """Skip a firing that has no instance yet. Return False if there is none."""
        firing = self.firings.take_back(identity)
        if firing is None:
            return False
        self._skip(Skip(firing, reason, begun=firing.begun))
        return True

    def take_back_waiting(self, task: str, reason: str) -> None:
        """Skip the firings of a task that had a run, and those by hand that are due and wait: its runs are stopped.

        Its triggers go on.
        """
        waiting = {one.firing.id for one in self.firings.waiting(task) if not one.firing.computed}
        for identity in sorted(waiting | {firing.id for firing in self.firings.begun(task)}):
            self.take_back(identity, reason)

    def cancel(self, instance: Instance, reason: str, by: str) -> None:
        """End the run of a firing by the stop protocol, or take it back if it has not begun."""
        context, now = self._context, self._context.host.now()
        for identity in _firings_of(instance):
            self._cancelled[identity] = reason
        if instance.state in (State.STARTING, State.RUNNING):
            context.fleet.step(instance.key, ev.Leave(reason), now)
        context.fleet.apply(instance.key, ev.Unwant(by), now)

    # -- the end ------------------------------------------------------------------------------------------------------

    def end_for_shutdown(self, changes: Iterable[Change]) -> None:
        """Drop the orders of firings during a shutdown: no later supervisor may take them from the journal.

        A run that the shutdown has stopped is repeated only by `retry`, at the next start. A firing whose run has not
        begun waits for the next start.
        """
        context = self._context
        if not context.fleet.shutdown:
            return
        stopped = {change.new.key for change in changes if change.ended and change.new}
        idle = [i for i in context.fleet.instances.values() if i.order and i.order.firing and not i.run]
        for instance in [i for i in idle if i.state in (State.HELD, State.BACKOFF)]:
            if instance.key not in stopped and instance.order:
                self._send("free", [instance.order.firing])
                self._given_back.add(instance.order.firing)
            context.fleet.apply(instance.key, ev.Unwant("the shutdown"), context.host.now())

    def record(self, changes: Iterable[Change]) -> list[Ended]:
        """Write the firings that these changes ended to the journal. Return them, and those that were skipped."""
        ended, self._skipped = self._skipped, []
        for change in changes:
            self._note_instance(change)
            for identity in self._left(change):
                one = self._ended(change, identity)
                skip = None if one["ran"] else self._skip_of(change.old, one)
                self._skips += [skip] if skip else []
                self._context.journaling.facts.append({"fleet": f"over {identity}", "over": one, "skip": skip})
                ended.append(one)
        return ended

    def _note_instance(self, change: Change) -> None:
        """Keep up to date which instance has which firing."""
        for identity in _firings_of(change.old) - _firings_of(change.new):
            if self._key_of.get(identity) == change.old.key:
                del self._key_of[identity]
        if change.new:
            self._key_of |= dict.fromkeys(_firings_of(change.new), change.new.key)

    def _skip_of(self, old: Instance, ended: Ended) -> SkipRecord | None:
        """Return the skip record of a firing that became no run, although the instance had its order."""
        if old.order is None or old.order.firing != ended["id"]:
            return None
        due, now = old.order.due, self._context.host.now()
        return skip_of(old.task, old.trigger, ended["id"], due, ended["reason"], now)

    def take_skips(self) -> list[SkipRecord]:
        """Return the records of firings that were skipped, for the history. Call it before they are handed over."""
        skips, self._skips = self._skips, []
        return skips

    def hand_over(self, ended: Iterable[Ended]) -> None:
        """Send the ends to @timekeeper. Call it after the journal was written."""
        everything = list(ended)
        if everything:
            self._send("over", everything)

    def _left(self, change: Change) -> set[str]:
        """Return the ids of the firings that end by a change."""
        left = _firings_of(change.old) - _firings_of(change.new)
        if self._context.fleet.shutdown and change.ended and change.old.run and change.old.run.order:
            left |= {change.old.run.order.firing} - {""}
        return left - self._over.keys() - self._given_back

    def _ended(self, change: Change, identity: str) -> Ended:
        cancelled, ended, run = self._cancelled.pop(identity, ""), change.ended, change.old.run
        if ended is None:
            return self._not_run(change, identity, cancelled)
        if not cancelled and (again := self._next_run(change)):
            return self._runs_again(change.old.task.name, identity, again, ended.reason)
        if ended.asked and self._context.fleet.shutdown:
            reason = f"interrupted: {ended.asked}"
        else:
            reason = f"{ended.asked}: {ended.reason}" if ended.asked else ended.reason
        over = self._over_with(identity, reason, ran=True, success=None if ended.asked else ended.success)
        over |= {"run": run.id if run else "", "lasted": ended.duration}
        return over

    def _not_run(self, change: Change, identity: str, cancelled: str) -> Ended:
        """Return how a firing ended without a run, or before another run after one that has failed."""
        by, last = change.new.by if change.new else change.old.by, change.old.last
        if change.old.state is State.BACKOFF and last and (last.signal or last.code is not None):
            why = cancelled or f"stopped by {by}"
            return self._over_with(identity, f"{last.reason}; not restarted: {why}", ran=True)
        order = change.old.order
        begun = order is not None and (order.attempt > 1 or order.interrupted > 0)
        return self._over_with(identity, cancelled or f"not started: stopped by {by}", ran=begun)

    def _over_with(
        self, identity: str, reason: str, *, ran: bool, missed: bool = False, success: bool | None = None
    ) -> Ended:
        text, at = readable(reason)[:LONGEST_REASON], self._context.host.wall()
        ended = {"id": identity, "at": at, "reason": text, "ran": ran, "missed": missed, "success": success}
        self._over[identity] = ended
        return ended

    def _next_run(self, change: Change) -> retry.Again | None:
        """Return the next run of the firing whose run has ended by a change; None: there will be none."""
        old, outcome, context = change.old, change.ended, self._context
        if outcome is None or old.run is None or old.run.order is None:
            return None
        cut_off = bool(context.fleet.shutdown and outcome.asked and old.wanted)
        return retry.after_run(
            old.task.retry, old.run.order, outcome, old.run.id, context.host.wall(), cut_off=cut_off
        )  # fmt: skip

    def _runs_again(self, task: str, identity: str, again: retry.Again, why: str) -> Ended:
        context, at = self._context, clock.rfc3339(again.start)
        self.firings.run_ended(identity, task)
        context.host.log("info", f"{task}: attempt {again.attempt} of its firing {identity} at {at}: {why}")
        context.announcer.event("again", task=task, firing=identity, attempt=again.attempt, at=at, why=why)
        self._over[identity] = {"id": identity, "task": task, "ran": True, "again": plain(again)}
        return self._over[identity]


def _is_again(one: Ended) -> bool:
    """Return whether a fact of the journal says, undamaged, when the next run of a firing is due."""
    again = one["again"]
    names = set(names_of(retry.Again))
    right = isinstance(again, dict) and again.keys() == names and isinstance(one.get("task"), str)
    return right and not mistyped(retry.Again(**again))


def _parallel(config: Config) -> int:
    return config.settings.catch_up_parallel or len(os.sched_getaffinity(0))


def _firings_of(instance: Instance | None) -> set[str]:
    """Return the ids of the firings that an instance runs, or is about to run."""
    if instance is None:
        return set()
    orders = (instance.order, instance.run.order if instance.run else None)
    return {order.firing for order in orders if order and order.firing}
