"""The invariants of every history, checked after each step.

Each is a promise of the contract. They are checked against the world (processes and signals), not against what the
supervisor believes.
"""

from __future__ import annotations

import json
from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

from sim.scenario import Scenario
from sim.world import Process

from supervisor.core.definition import Kind, Mode, Task
from supervisor.core.freeze import SUPCTL
from supervisor.core.instance import Instance
from supervisor.core.states import ALIVE, WAITING, State
from supervisor.shell.ended_runs import OWED_AT_MOST, unreported

if TYPE_CHECKING:
    from supervisor.shell.parent import Parent

AT_ONCE = 0.1
"""Seconds: SIGKILL comes no later than this after the grace (promise 3)."""


class Invariants:
    """Check one scenario."""

    def __init__(self, story: Scenario) -> None:
        self.story = story
        self._seen_by: Parent | None = None
        self._cursor: str | None = None  # of the newest event that was looked at
        self._told: set[int] = set()  # pids, by the events of this supervisor
        self._shut_down = False  # a shutdown has begun at some time
        self._ended: set[str] = set()  # runs, by the events of every supervisor
        self._used: Counter[str] = Counter()  # slots in use by pool, at the last look
        self._full = False  # at some time, the journal had as many ended runs as it keeps
        story.world.on_fork = self.forked
        story.world.on_kill = self.killed

    # -- at the moment at which it happens ----------------------------------------------------------------------------

    def forked(self, process: Process) -> None:
        """Check promises 2 and 4: no start beside an old run, none while frozen."""
        others = [other for other in self.story.world.living(process.key) if other is not process]
        assert not others, f"{process.key}: run {process.run} was forked while run {others[0].run} lives"
        parent = self.story.parent
        if parent is None or process.key.startswith("@"):
            return
        task = process.key.rpartition(":")[0]
        groups = [f"@{group.name}" for group in parent.context.fleet.groups.values() if task in group.tasks]
        covering = [f for f in parent.context.fleet.freezes if f.scope in ("", task, *groups)]
        assert not covering, f"{process.key} was forked while {covering[0].says}"
        self._in_order(task, parent)

    def _in_order(self, task: str, parent: Parent) -> None:
        """The order of a start: a task comes before a start-up task only if that one, or another one, needs it."""
        fleet = parent.context.fleet
        tasks = fleet.tasks | {i.task.name: i.task for i in fleet.instances.values()}  # also those without an instance
        startup = {name for name, one in tasks.items() if one.kind is Kind.STARTUP}
        blocking = {name for name in startup if tasks[name].mode is Mode.BLOCKING}
        pending = {i.task.name for i in parent.context.fleet.instances.values() if i.wanted and not i.ready} & blocking
        if task in startup or not pending or task not in tasks:
            return
        early = {name for one in blocking for name in needed(one, tasks)}
        assert task in early, f"{task} was forked before the start-up tasks {pending}, which do not need it"
        first = {one for one in pending if not needed(one, tasks) - startup}
        assert not first, f"{task} was forked before the start-up tasks {first}, which need no other task"

    def killed(self, process: Process) -> None:
        """Promise 3: never before the grace is over. (No later than at once after: see `_deadlines`.)"""
        if process.killed or not process.program or self._kills_all():
            return
        ends = process.grace_ends
        assert ends is not None, f"{process.key}: SIGKILL to what was not asked to stop"
        early = ends - self.story.world.time
        assert early < 0.001, f"{process.key}: SIGKILL {early:.3f} s before the end of its grace"

    def _kills_all(self) -> bool:
        parent = self.story.parent
        shutdown = parent.context.fleet.shutdown if parent else None
        return shutdown is not None and shutdown.deadline is None

    # -- after each step ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check everything that must hold at any time."""
        parent = self.story.parent
        if parent is not self._seen_by:
            self._hear()
            self._hear_the_dead()
            self._seen_by, self._cursor, self._told = parent, None, set()
        if parent is None:
            return
        for key, instance in parent.context.fleet.instances.items():
            self._consistent(instance)
            if not instance.task.helper and instance.state in (State.STARTING, State.RUNNING, State.STOPPING):
                assert len(self.story.world.living(key)) <= 1, f"{key}: two runs live"
        self._deadlines()
        self._overlooks_nothing()
        self._no_deadlock()
        self._freezes()
        self._known()
        self._events()
        self._accounted()
        self._paused()
        self._firings()
        self._pools()
        self._overdue()

    def _pools(self) -> None:
        """No slot is used twice. Only a reload that makes them fewer leaves more in use than there are."""
        assert self.story.parent
        fleet, used = self.story.parent.context.fleet, Counter[str]()
        for i in fleet.instances.values():
            if i.run:
                used[i.run.pool] += i.run.slots
        for client in self.story.programs():
            if client.answers:  # it has executed its command
                pool, birth = client.options.name, self.story.world.programs[client.pid]
                used[pool] += client.options.slots
                assert fleet.pools.has(f"{client.pid} {birth} {pool}"), f"{client.asked}: its slot is lost"
        for pool, count in used.items():
            most = max(fleet.pools.slots.get(pool, 0), self._used[pool])
            assert count <= most, f"pool {pool}: {count} slots are used of {most}"
        for pool in fleet.pools.names():
            alone = fleet.pools.used(pool) - used[pool] - self._unanswered(pool)
            assert not alone, f"pool {pool}: {alone} slots are used by nobody"
        self._used = used

    def _unanswered(self, pool: str) -> int:
        """The slots of living programs that have no answer: the journal cannot be written, or their supervisor died."""
        assert self.story.parent
        living = [one for one in self.story.programs() if not one.answers and one.options.name == pool]
        claims = {f"{one.pid} {self.story.world.programs[one.pid]} {pool}": one.options.slots for one in living}
        return sum(slots for claim, slots in claims.items() if self.story.parent.context.fleet.pools.has(claim))

    def _firings(self) -> None:
        """Promise 10: no attempt of a firing becomes two runs. A restart is the same run once more."""
        ran = [one for one in self.story.world.tries if one.trigger != "restart"]
        first = Counter((one.firing, one.attempt, one.interrupted) for one in ran)
        twice = [one for one in ran if first[one.firing, one.attempt, one.interrupted] > 1]
        assert not twice, f"an attempt of a firing has become several runs: {twice}"

    def _overdue(self) -> None:
        """A task is overdue when no run has succeeded within `expect`, and at no other time."""
        parent, now = self.story.parent, self.story.world.time
        assert parent
        if parent.context.journaling.trouble:
            return
        last_runs = parent.context.fleet.last_runs
        for name, record in last_runs.records().items():
            good = [one["ended"] for one in self.story.world.spooled if one["task"] == name and _succeeded(one)]
            assert record.since is None or record.since >= max(good, default=-inf), f"{name}: a success is forgotten"
            expect = parent.context.config.tasks[name].timing.expect
            if record.overdue:
                assert now >= (record.since or 0.0) + (expect or 0.0), f"{name}: it has succeeded in time"
            due = last_runs.due_at(name)
            assert due is None or now < due + AT_ONCE, f"{name}: overdue since {now - due:.3f} s, and nobody is told"

    def _consistent(self, i: Instance) -> None:
        assert (i.run is not None) == (i.state in ALIVE), f"{i.key}: {i.state}, run {i.run}"
        assert (i.deadline is not None) == (i.state in WAITING), f"{i.key}: {i.state}, deadline {i.deadline}"
        assert i.wanted or i.state not in (State.HELD, State.BACKOFF, State.FAILED), f"{i.key}: {i.state}, not wanted"

    def _deadlines(self) -> None:
        assert self.story.parent
        now = self.story.world.time
        for i in self.story.parent.context.fleet.instances.values():
            assert i.deadline is None or i.deadline > now - AT_ONCE, f"{i.key}: {i.state} {now - i.deadline:.3f} s late"

        for process in self.story.world.processes.values():
            if process.parent.alive and process.grace_ends is not None and not process.killed and process.alive:
                late = now - process.grace_ends
                assert late < AT_ONCE, f"{process.key}: no SIGKILL {late:.3f} s after the end of its grace"

    def _overlooks_nothing(self) -> None:
        """The fleet looks at what a change may concern; a look at everything must find nothing more to do."""
        assert self.story.parent
        fleet = self.story.parent.context.fleet
        before = dict(fleet.instances)
        fleet._reconsider_all(self.story.world.time)
        found = [key for key, one in fleet.instances.items() if one is not before.get(key)] or list(fleet._queue)
        assert not found, f"overlooked: {', '.join(found)}"
        turn = [waiter.holder.name for waiter in self.story.parent.pool_holders._in_turn()]
        assert not turn, f"it is the turn of {', '.join(turn)}"

    def _no_deadlock(self) -> None:
        """Check that no two tasks hold each other, directly or indirectly."""
        assert self.story.parent
        fleet = self.story.parent.context.fleet
        held = {i.task.name: i.task for i in fleet.instances.values() if i.state is State.HELD}
        waits = {name: {*task.dependencies, *fleet._startup.before(name)} & held.keys() for name, task in held.items()}
        while free := [name for name, others in waits.items() if not others & waits.keys()]:
            for name in free:
                del waits[name]
        assert not waits, f"these wait for each other: {waits}"

    def _freezes(self) -> None:
        """Check that a confirmed freeze stays in force until it is undone, whatever dies meanwhile."""
        assert self.story.parent
        frozen: set[str] = set()
        for client in self.story.clients:
            for_good = client.verb == "freeze" and getattr(client.options, "for") is None
            if for_good and client.answers and not client.answers[0]["warning"]:
                frozen |= {"" if scope == "all" else scope for scope in client.answers[0]["frozen"]}
            elif client.verb in ("thaw", "freeze") and client.refused is None:  # one with an end replaces one without
                gone = {name.partition(":")[0] for name in client.options.names} or {""}
                frozen -= gone
        now = {freeze.scope for freeze in self.story.parent.context.fleet.freezes if freeze.source == SUPCTL}
        assert frozen <= now, f"the freeze of {frozen - now} is lost"

    def _known(self) -> None:
        """Check that the supervisor knows every living run: adoption loses nothing."""
        assert self.story.parent
        instances = self.story.parent.context.fleet.instances
        for process in self.story.world.processes.values():
            if process.alive and process.go:
                instance = instances.get(process.key)
                run = instance.run if instance else None
                known = run.number if run else None
                assert known == process.run, f"{process.key}: run {process.run} lives, known is {known}"

    def _events(self) -> None:
        """They tell of every run that is up; and of what an earlier supervisor had given up, nothing follows again."""
        assert self.story.parent
        given_up = {
            (fact["instance"].removesuffix(":1"), fact["runs"])
            for fact in self.story.inherited.values()
            if fact.get("state") == "failed"
        }
        up = {
            i.pid for i in self.story.parent.context.fleet.instances.values() if i.pid and i.state is not State.STARTING
        }
        for event in self._hear():
            self._told.add(event.get("pid"))
            if event["event"] == "gap":  # more came since the last look than are kept
                self._told |= up
            if event["event"] == "escalation" and event["name"]:
                escalated = (event["name"].removesuffix(":1"), event["run"])
                assert escalated not in given_up, f"escalated again: {escalated}"
        assert up <= self._told, f"no event tells of pid {up - self._told}"
        on = {i.run.id for i in self.story.parent.context.fleet.instances.values() if i.run}
        missing = {run for run, _ in self.story.world.begun if run not in on | self._ended}
        assert not missing, f"no event tells of the end of {missing}"

    def _hear(self) -> list[dict[str, Any]]:
        """The events since the last look, of a supervisor that may have died since."""
        if self._seen_by is None:
            return []
        feed = self._seen_by.context.feed
        events = [json.loads(line)["event"] for line in feed.since(self._cursor)]
        self._note_ends(events)
        if any(event["event"] == "gap" for event in events):
            self._ended |= {run for run, _ in self.story.world.begun}
        self._cursor = feed.cursor
        return events

    def _hear_the_dead(self) -> None:
        """Those that came up and died since the last look, as the program that an upgrade had executed."""
        for feed in self.story.feeds:
            if self.story.parent is None or feed is not self.story.parent.context.feed:
                self._note_ends([json.loads(line)["event"] for line in feed.since(None)])
        self.story.feeds.clear()

    def _note_ends(self, events: list[dict[str, Any]]) -> None:
        self._ended |= {one["run"] for one in events if one["event"] in ("state", "ended") and one.get("exit")}

    def _accounted(self) -> None:
        """The history is told of every run that is over, whoever dies meanwhile, and of none that is not.

        While it can be told nothing, that stands in the journal. While that cannot be written, the runs live there.
        """
        assert self.story.parent
        on = {(i.run.id, i.run.began) for i in self.story.parent.context.fleet.instances.values() if i.run}
        spooled = [record for record in self.story.world.spooled if "run" in record]
        told = {(record["run"], record["began"]) for record in spooled if record["pid"]}
        untold = (
            self.story.host.unspooled
            if self.story.parent.context.journaling.trouble
            else unreported(self.story.world.facts())
        )
        recorded = {(record["run"], record["began"]) for record in untold if "run" in record}
        # How a helper ends in a shutdown is told to nobody: @scribe, which would write it down, ends as well.
        self._shut_down = self._shut_down or bool(self.story.parent.context.fleet.shutdown)
        exempt = {run for run in self.story.world.begun if self._shut_down and run[0].startswith("@")}
        missing = {run for run in self.story.world.begun if run not in on | told | recorded | exempt}
        self._full = self._full or len(recorded) >= OWED_AT_MOST  # then the journal drops the oldest
        assert self._full or not missing, f"the history was not told of {missing}"
        assert not on & told, f"the history was told of {on & told}, which is not over"
        successes = {(one["run"], one["began"]) for one in spooled if one["success"]}
        never = (successes & self.story.world.made) - set(self.story.world.begun)
        assert not never, f"the history was told of the success of {never}, which never got its go byte"
        made_up = told - self.story.world.made
        assert not made_up, f"the history was told of {made_up}, which this boot has not seen"

    def _paused(self) -> None:
        """What is paused stands still, and nothing else does, least of all what is to stop, whoever dies meanwhile."""
        assert self.story.parent
        for process in self.story.world.processes.values():
            i = self.story.parent.context.fleet.instances.get(process.key)
            if i and i.run and i.run.number == process.run and not i.run.kills:
                asked = i.run.paused and i.state is not State.STOPPING
                assert process.paused == asked, f"{process.key}: paused {process.paused}, asked for {asked}"

    # -- at the end ---------------------------------------------------------------------------------------------------

    def answered(self) -> None:
        """Every client has its answer, unless its supervisor died. (That none has two is checked by `Client`.)"""
        waiting = [c.asked for c in self.story.clients if not c.done and not c.lost]
        assert not waiting, f"never answered: {waiting}"

    def nothing_left(self) -> None:
        """Promise 2, for everything."""
        assert self.story.ended is not None, "the supervisor does not end"
        left = [process.key for process in self.story.world.processes.values() if process.alive]
        assert not left, f"left alive: {left}"


def _succeeded(record: dict[str, Any]) -> bool:
    """Whether the record of a run counts as a success: nobody has stopped it."""
    return bool(record.get("success")) and not record["stopped"]


def dying(*lines: str, after: str) -> Scenario:
    """A story of a supervisor that may die in it, and of the next one, if it did."""
    story = Scenario()
    watch = Invariants(story)
    for line in lines:
        story.do(line)
        watch.check()
    if story.parent is None:
        story.do("start")
        story.do(after)
        watch.check()
    if story.host:
        story.host.fuse = None  # it has not died, and shall not in what follows
    return story


def needed(name: str, tasks: dict[str, Task]) -> set[str]:
    """This task and all that it waits for, directly or not."""
    found, new = {name}, [name]
    while new:
        fresh = [one for one in tasks[new.pop()].dependencies if one in tasks and one not in found]
        found.update(fresh)
        new += fresh
    return found
