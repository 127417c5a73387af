"""The parent's loop: wait, decide, write the journal, act, report.

One thread, one loop, no blocking work. The parent forks, signals, keeps time and answers. What can block is an errand
or a helper. The core decides; this file carries out the decisions, in this order (`Parent.advance`):

1. The parent kills runs whose grace has expired. The journal has said so since the stop began.
2. The parent forks children. Each child waits for its go byte, so nothing of a task has run yet.
3. The parent writes the facts to the journal. From here on the next supervisor can follow a dead one.
4. The parent sends go bytes and stop signals.
5. The parent informs the history, the log, the events, the waiting clients and the service manager. During a shutdown
   the history comes before the signals. The last signal ends @scribe, which writes the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.core import events as ev
from supervisor.core.actions import Action, Ask, Destroy, Dump, Fork, Go, Pause, Resume, Terminate
from supervisor.core.definition import Config
from supervisor.core.fleet import Fleet
from supervisor.core.freeze import HOLD
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Run
from supervisor.core.roster import Change
from supervisor.core.states import ALIVE
from supervisor.host.deadlines import Timed, nearest, overdue
from supervisor.host.interface import (
    Breached,
    CannotForkError,
    ClockSet,
    ConfigTouched,
    Connected,
    Done,
    Dropped,
    Happened,
    Heard,
    Host,
    Launch,
    MadeAnew,
    Occurrence,
    ProcessEnded,
    Request,
    Signalled,
    Stalled,
)
from supervisor.shell import breaches, escalation, helpers, manifest
from supervisor.shell.alerts import Alerts
from supervisor.shell.by_hand import ByHand
from supervisor.shell.config_in_force import ConfigInForce
from supervisor.shell.context import Context
from supervisor.shell.controls import Controls
from supervisor.shell.ended_runs import EndedRuns
from supervisor.shell.ending import Ending
from supervisor.shell.firings import FiringRuns
from supervisor.shell.freezes import Freezes
from supervisor.shell.helpers import Helpers
from supervisor.shell.overdue import Overdue
from supervisor.shell.pools import PoolHolders
from supervisor.shell.reported import Losses
from supervisor.shell.requests import Answering, Requests
from supervisor.shell.run_again import RunAgain
from supervisor.shell.upgrade import Upgrade

FORKS_PER_TURN = 8
"""The maximum of forks in one turn. So a crash storm of any size delays an answer by no more than these forks."""


class FleetTime:
    """The deadlines of the fleet: of its instances, its freezes, its holds and its shutdown."""

    def __init__(self, fleet: Fleet, freezes: Freezes) -> None:
        self._fleet, self._freezes = fleet, freezes

    def next_deadline(self) -> float | None:
        """See `Timed`."""
        return self._fleet.next_deadline()

    def due(self, now: float) -> None:
        """See `Timed`."""
        for one in self._fleet.expire(now):
            if one.source == HOLD:
                self._freezes.release((one,), "its own end")
            else:
                self._freezes.thaw((one,), "its own end")


class Parent:
    """The supervisor, over any host."""

    def __init__(self, host: Host, config: Config, verbs: Mapping[str, Answering], *, epoch: str, life: str) -> None:
        """Put the parts together.

        Args:
            host: the machine, or its fake.
            config: the config in force.
            verbs: what clients can ask.
            epoch: makes run ids unique.
            life: makes the cursors of events unique.
        """
        self.context = context = Context(host, config, epoch=epoch, life=life)
        self.alerts = Alerts(context)
        self.freezes = Freezes(context, self.alerts)
        self.helpers = Helpers(context)
        self.firing_runs = FiringRuns(context)
        self.pool_holders = PoolHolders(context)
        self.by_hand = ByHand(context, self.firing_runs)
        run_again = RunAgain(context, self.firing_runs)
        self.config_in_force = ConfigInForce(context, self.freezes, self.helpers, self.firing_runs)
        self.ending = Ending(context, self.alerts)
        self.ended_runs = EndedRuns(context)
        self.overdue = Overdue(context, self.alerts)
        self.losses = Losses(context, self.alerts)
        self.upgrade = Upgrade(context)
        self.controls = Controls(
            context, self.freezes, self.config_in_force, self.ending, self.losses, self.helpers, self.upgrade,
            self.firing_runs, self.pool_holders, self.by_hand, run_again,
        )  # fmt: skip
        self.controls.advance = self.advance
        self.requests = Requests(self.controls, verbs)
        self._abandoned: set[str] = set()  # instances whose child was ended before it began
        fleet_time = FleetTime(context.fleet, self.freezes)
        self._parts: tuple[Timed[None], ...] = (
            fleet_time, self.alerts, context.journaling, self.upgrade, self.firing_runs, self.pool_holders,
            self.overdue,
        )  # fmt: skip

    # -- the loop -----------------------------------------------------------------------------------------------------

    def turn(self) -> bool:
        """Wait for occurrences and deal with them. Return False when the supervisor is done, or an upgrade is due."""
        for occurrence in self.context.host.wait(self.next_deadline()):
            self.occur(occurrence)
        self.advance()
        self.upgrade.shutdown_begins()
        if self.upgrade.ready:
            return False
        fleet = self.context.fleet
        alive = any(i.state in ALIVE and i.key not in fleet.unreachable for i in fleet.instances.values())
        return bool(alive or fleet.waiting or self.alerts.busy or not fleet.shutdown)

    def next_deadline(self) -> float | None:
        """Return when the next turn is due, even if nothing occurs."""
        return nearest(self._parts)

    def occur(self, occurrence: Occurrence) -> None:
        """Deal with one occurrence."""
        context = self.context
        match occurrence:
            case Happened(key, ev.NotStarted() as event) if key in self._abandoned:
                self._abandoned.discard(key)
                context.fleet.apply(key, replace(event, abandoned=True), context.host.now())
            case Happened(key, event):
                context.fleet.apply(key, event, context.host.now())
            case Request(client, verb, arguments):
                self.requests.answer(client, verb, arguments)
            case Signalled("SIGHUP"):
                self.config_in_force.reload(None, by="SIGHUP")
            case Signalled(name):
                self.ending.signalled(name)
            case Done():
                context.finished(occurrence)
            case Connected():
                self.firing_runs.connected()
                self.overdue.connected()
            case Heard(_, message):
                self.firing_runs.heard(message)
                self.overdue.heard(message)
            case ProcessEnded(claim):
                self.pool_holders.ended(claim)
            case _:
                self._observe(occurrence)

    def _observe(self, occurrence: ConfigTouched | MadeAnew | Dropped | Breached | ClockSet | Stalled) -> None:
        """Deal with news of files and of time."""
        context = self.context
        match occurrence:
            case ConfigTouched(certain):
                self.config_in_force.touched(certain=certain)
            case MadeAnew():
                manifest.publish(context)
                context.announcer.renew()
                self.helpers.renew()
            case Dropped():
                self.losses.read()
            case Breached():
                breaches.read(context)
            case ClockSet():
                self.freezes.clock_set()
                self.firing_runs.clock_set()
            case Stalled(seconds):
                context.announcer.stalled(seconds)
                context.fleet.stalled(seconds, context.host.now())

    def advance(self) -> None:
        """Carry out everything that follows from the occurrences: decide, write the journal, act, report."""
        host, fleet, now = self.context.host, self.context.fleet, self.context.host.now()
        for part in overdue(self._parts, host.woke):
            part.due(host.woke)
        fleet.propagate(now)
        escalation.carry_out(self.context, self.freezes, self.alerts, self.ending, now)
        self.firing_runs.decide()
        self.pool_holders.decide()
        fleet.propagate(now)  # some may have left the line of a pool
        host.prepare(min(fleet.waiting, FORKS_PER_TURN))
        fleet.admit(now, FORKS_PER_TURN)
        self.config_in_force.reread_if_unsure()
        actions, changes = fleet.drain()
        self._destroy(actions)
        more, later = self._fork(actions, now)
        self.firing_runs.end_for_shutdown([*changes, *later])
        changes = [*changes, *later, *fleet.drain()[1]]
        last_runs = self.overdue.alert()
        self.alerts.observe(changes)
        self.overdue.record(last_runs)
        ended = self.ended_runs.record(changes)
        over = self.firing_runs.record(changes)
        self.firing_runs.own.record(changes, over)
        self.context.journaling.write(changes, now)
        self.pool_holders.answer()
        self._destroy(more)
        if fleet.shutdown:  # before @scribe gets its stop signal: it writes what waits then, and no more
            self.ended_runs.spool(ended)
        self.ended_runs.spool(self.firing_runs.take_skips())  # before @timekeeper commits that they are over
        self.firing_runs.own.hand_over()
        self.firing_runs.hand_over(over)
        self.overdue.hand_over(last_runs)
        self._act([*(action for action in actions if not isinstance(action, Fork)), *more], now)
        if not fleet.shutdown:
            self.ended_runs.spool(ended)
        self._announce(changes)

    # -- what was decided ---------------------------------------------------------------------------------------------

    def _destroy(self, actions: list[Action]) -> None:
        if doomed := [(action.key, action.run) for action in actions if isinstance(action, Destroy)]:
            self.context.host.destroy(doomed)

    def _fork(self, actions: list[Action], now: float) -> tuple[list[Action], list[Change]]:
        """Make the children. Return what follows from that: their go bytes, or their failures."""
        fleet = self.context.fleet
        for action in actions:
            if isinstance(action, Fork):
                instance = fleet.instances[action.key]
                event: ev.Event
                try:
                    event = ev.Forked(action.run.number, *self.context.host.fork(self._launch(instance, action.run)))
                except CannotForkError as error:
                    event = ev.NotStarted(action.run.number, str(error), scarce=error.scarce)
                fleet.apply(action.key, event, now)
        # The failed fork may have been the one that causes an escalation.
        escalation.carry_out(self.context, self.freezes, self.alerts, self.ending, now)
        return fleet.drain()

    def _launch(self, instance: Instance, run: Run) -> Launch:
        config, runtime_dir = self.context.config, self.context.settings.runtime_dir
        last = instance.last.reason if instance.last else ""
        group = config.groups.get(instance.task.group_limits)
        log_dir, name = config.settings.log_dir, config.settings.name
        return Launch(instance.key, instance.task, instance.index, run, last, runtime_dir, log_dir, group, name)

    def _act(self, actions: Iterable[Action], now: float) -> None:
        """Carry out the other actions. `now` is when they were decided. Each grace begins when its signal is sent."""
        host, trouble = self.context.host, self.context.journaling.trouble
        for action in actions:
            match action:
                case Go(key, _) if trouble:
                    self._abandoned.add(key)
                    host.abandon(key, trouble)
                case Go(key, _):
                    host.send_go(key)
                case Terminate(key, run, policy):
                    host.terminate(key, run, policy)
                    self.context.fleet.postpone(key, run, host.now() - now)
                case Dump() | Pause() | Resume() | Ask():
                    self._act_on_running(action)
                case Destroy():
                    pass  # these came first
                case Fork():
                    raise AssertionError("forks come first")

    def _act_on_running(self, action: Dump | Pause | Resume | Ask) -> None:
        """Carry out an action on a run that goes on living."""
        host, fleet, trouble = self.context.host, self.context.fleet, self.context.journaling.trouble
        match action:
            case Dump(key, signal):
                host.signal(key, signal)
            case Pause(key, _) if trouble:  # the next supervisor would not know why the run stands still
                fleet.apply(key, ev.Resume(f"the supervisor: {trouble}"), host.now())
            case Pause(key, run):
                host.pause(key, run)
            case Resume(key, run):
                host.resume(key, run)
            case Ask(key, run, probe):
                host.ask(self._launch(fleet.instances[key], run), probe)

    def _announce(self, changes: list[Change]) -> None:
        context = self.context
        self.helpers.observe(changes)
        context.announcer.changes(changes)
        self.config_in_force.limits.observe(changes)
        if context.config.settings.health_listen:
            context.announcer.publish()
        if any(change.new is None or helpers.comes_back(change.new) for change in changes):
            manifest.publish(context)
        if changes or context.gates_changed:
            self.controls.waits.observe(context.fleet, changes)
        if changes or context.gates_changed or context.fleet.shutdown or self.firing_runs.has_changed:
            self.firing_runs.has_changed = False
            self.by_hand.observe()
        context.gates_changed = False
