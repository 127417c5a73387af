"""What holds after every step of every history, whatever happens. Each is a promise of the contract.

They are checked against the world (processes, signals), not against what the supervisor believes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sim.scenario import Scenario
from sim.world import Process

from supervisor.core.freeze import SUPCTL
from supervisor.core.instance import Instance
from supervisor.core.states import ALIVE, WAITING, State

if TYPE_CHECKING:
    from supervisor.parent import Parent

AT_ONCE = 0.1
"""Seconds: SIGKILL comes no later than this after the grace (promise 3)."""


class Invariants:
    """Watches one scenario."""

    def __init__(self, story: Scenario) -> None:
        self.story = story
        self._seen_by: Parent | None = None
        self._cursor: str | None = None  # of the newest event that was looked at
        self._told: set[int] = set()  # pids, by the events of this supervisor
        self._ended: set[str] = set()  # runs, by the events of every supervisor
        story.world.on_fork = self.forked
        story.world.on_kill = self.killed

    # -- at the moment at which it happens ----------------------------------------------------------------------------

    def forked(self, process: Process) -> None:
        """Promises 2 and 4: never beside an old run, never while frozen."""
        others = [other for other in self.story.world.living(process.key) if other is not process]
        assert not others, f"{process.key}: run {process.run} was forked while run {others[0].run} lives"
        parent = self.story.parent
        if parent is None or process.key.startswith("@"):
            return
        task = process.key.rpartition(":")[0]
        groups = [f"@{group.name}" for group in parent.fleet.groups.values() if task in group.tasks]
        covering = [f for f in parent.fleet.freezes if f.scope in ("", task, *groups)]
        assert not covering, f"{process.key} was forked while {covering[0].says}"

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
        shutdown = parent.fleet.shutdown if parent else None
        return shutdown is not None and shutdown.deadline is None

    # -- after each step ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that can be seen at any time."""
        parent = self.story.parent
        if parent is not self._seen_by:
            self._hear()
            self._seen_by, self._cursor, self._told = parent, None, set()
        if parent is None:
            return
        for key, instance in parent.fleet.instances.items():
            self._consistent(instance)
            if not instance.task.helper and instance.state in (State.STARTING, State.RUNNING, State.STOPPING):
                assert len(self.story.world.living(key)) <= 1, f"{key}: two runs live"
        self._deadlines()
        self._overlooks_nothing()
        self._freezes()
        self._known()
        self._events()
        self._accounted()
        self._paused()

    def _consistent(self, i: Instance) -> None:
        assert (i.run is not None) == (i.state in ALIVE), f"{i.key}: {i.state}, run {i.run}"
        assert (i.deadline is not None) == (i.state in WAITING), f"{i.key}: {i.state}, deadline {i.deadline}"
        assert i.wanted or i.state not in (State.HELD, State.BACKOFF, State.FAILED), f"{i.key}: {i.state}, not wanted"

    def _deadlines(self) -> None:
        assert self.story.parent
        now = self.story.world.time
        for i in self.story.parent.fleet.instances.values():
            assert i.deadline is None or i.deadline > now - AT_ONCE, f"{i.key}: {i.state} {now - i.deadline:.3f} s late"

        for process in self.story.world.processes.values():
            if process.parent.alive and process.grace_ends is not None and not process.killed and process.alive:
                late = now - process.grace_ends
                assert late < AT_ONCE, f"{process.key}: no SIGKILL {late:.3f} s after the end of its grace"

    def _overlooks_nothing(self) -> None:
        """The fleet looks at what a change may concern; a look at everything must find nothing more to do."""
        assert self.story.parent
        fleet = self.story.parent.fleet
        before = dict(fleet.instances)
        fleet._look_at_all(self.story.world.time)
        found = [key for key, one in fleet.instances.items() if one is not before.get(key)] or list(fleet._queue)
        assert not found, f"overlooked: {', '.join(found)}"

    def _freezes(self) -> None:
        """A freeze that was answered holds until it is undone, whoever dies meanwhile."""
        assert self.story.parent
        frozen: set[str] = set()
        for client in self.story.clients:
            for_good = client.verb == "freeze" and client.options.duration is None
            if for_good and client.answers and not client.answers[0]["warning"]:
                frozen |= {"" if scope == "all" else scope for scope in client.answers[0]["frozen"]}
            elif client.verb in ("thaw", "freeze") and client.refused is None:  # one with an end replaces one without
                gone = {name.partition(":")[0] for name in client.options.names} or {""}
                frozen -= gone
        now = {freeze.scope for freeze in self.story.parent.fleet.freezes if freeze.source == SUPCTL}
        assert frozen <= now, f"the freeze of {frozen - now} is lost"

    def _known(self) -> None:
        """Adoption loses nothing: every living run is one that the supervisor knows as living."""
        assert self.story.parent
        instances = self.story.parent.fleet.instances
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
        up = {i.pid for i in self.story.parent.fleet.instances.values() if i.pid and i.state is not State.STARTING}
        for event in self._hear():
            self._told.add(event.get("pid"))
            if event["event"] == "gap":  # more came since the last look than are kept
                self._told |= up
            if event["event"] == "escalation" and event["name"]:
                escalated = (event["name"].removesuffix(":1"), event["run"])
                assert escalated not in given_up, f"escalated again: {escalated}"
        assert up <= self._told, f"no event tells of pid {up - self._told}"
        on = {i.run.id for i in self.story.parent.fleet.instances.values() if i.run}
        missing = {run for run, _ in self.story.world.begun if run not in on | self._ended}
        assert not missing, f"no event tells of the end of {missing}"

    def _hear(self) -> list[dict[str, Any]]:
        """The events since the last look, of a supervisor that may have died since."""
        if self._seen_by is None:
            return []
        feed = self._seen_by.feed
        events = [json.loads(line)["event"] for line in feed.since(self._cursor)]
        self._ended |= {one["run"] for one in events if one["event"] in ("state", "ended") and one.get("exit")}
        if any(event["event"] == "gap" for event in events):
            self._ended |= {run for run, _ in self.story.world.begun}
        self._cursor = feed.cursor
        return events

    def _accounted(self) -> None:
        """The history is told of every run that is over, whoever dies meanwhile, and of none that is not."""
        assert self.story.parent
        on = {(i.run.id, i.run.began) for i in self.story.parent.fleet.instances.values() if i.run}
        told = {(account["run"], account["began"]) for account in self.story.world.spooled if account["pid"]}
        missing = {run for run in self.story.world.begun if run not in on and run not in told}
        assert not missing, f"the history was not told of {missing}"
        assert not on & told, f"the history was told of {on & told}, which is not over"
        made_up = told - self.story.world.made
        assert not made_up, f"the history was told of {made_up}, which this boot has not seen"

    def _paused(self) -> None:
        """What is paused stands still, and nothing else does, least of all what is to stop, whoever dies meanwhile."""
        assert self.story.parent
        for process in self.story.world.processes.values():
            i = self.story.parent.fleet.instances.get(process.key)
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
