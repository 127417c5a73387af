"""Decide the life of one instance: `step(instance, event, now) -> (instance, actions)`.

This module alone keeps these rules:

- `step` is a pure function. `now` is monotonic seconds; nothing else comes from outside.
- `TABLE` has a handler for every pair of event and state. `_ignore`: the event may happen and means nothing.
  `_cannot`: the event would be a bug; it raises. A test compares the keys with the full product.
- Every change of state goes through `instance.become`, which checks the edge and the deadline.
- An event that answers for a run never acts on another run.
- Every stop ends: stop signal, grace, SIGKILL, and SIGKILL again as long as a process is left.
- The end of a run (`Outcome`) is independent of the state of the instance. The first cause wins.

A start always passes through HELD, where the fleet asks the gates. So no start can bypass a freeze.
"""

from __future__ import annotations

from collections.abc import Callable

from supervisor.core import actions, backoff, health, pause
from supervisor.core import events as ev
from supervisor.core.definition import Kind, Restart, identity, same_process
from supervisor.core.immutable import replace
from supervisor.core.instance import ITS_OWN_END, Health, IllegalStepError, Instance, Outcome, Run, become
from supervisor.core.states import State

Step = tuple[Instance, tuple[actions.Action, ...]]

KILL_AGAIN = 1.0
"""Seconds until the next SIGKILL, doubled each time up to about a minute. Only a process in state D needs it."""

DUMP_TIME = 1.0
"""Seconds between the dump signal and the stop signal. Without them the run would die before it writes the dump."""

DOUBLINGS = 6

ORPHANED = "an earlier supervisor ended before it let the run begin"
"""The cause of the end of a run that never got its go byte. It is no failure."""


def step(instance: Instance, event: ev.Event, now: float) -> Step:
    """Return the next value of an instance after an event, and the actions to do, in order.

    Raises:
        IllegalStepError: the event cannot happen in this state.
    """
    if isinstance(event, ev.OF_A_RUN) and (instance.run is None or instance.run.number != event.run):
        return instance, ()
    return TABLE[type(event)][instance.state](instance, event, now)


# -- what is wanted ---------------------------------------------------------------------------------------------------


def _fresh(i: Instance) -> Instance:
    return replace(i, restarts=0, streak=0, failures=0, failed_at=())


def _want(i: Instance, e: ev.Want, now: float) -> Step:
    order = e.order or i.order
    return become(_fresh(i), State.HELD, now, wanted=True, by=e.by, trigger=e.trigger, order=order), ()


def _want_held(i: Instance, e: ev.Want, now: float) -> Step:
    return replace(_fresh(i), by=e.by, trigger=e.trigger, order=e.order or i.order), ()


def _want_alive(i: Instance, e: ev.Want, now: float) -> Step:
    """Want a living instance up. This does not bring back a retired one; only a config that has it again does."""
    if i.retired:
        return i, ()
    trigger = i.trigger if i.wanted else e.trigger
    return replace(_fresh(i), wanted=True, by=e.by, trigger=trigger, order=e.order), ()


def _want_stopping(i: Instance, e: ev.Want, now: float) -> Step:
    if i.retired:
        return i, ()
    i, _ = _want_alive(i, e, now)
    return replace(i, run=replace(_run(i), cause=_run(i).cause or f"start requested by {e.by}", blamed=False)), ()


def _unwant(i: Instance, e: ev.Unwant, now: float) -> Step:
    return become(_fresh(i), State.STOPPED, now, wanted=False, by=e.by, order=None), ()


def _unwant_alive(i: Instance, e: ev.Unwant, now: float) -> Step:
    return replace(i, wanted=False, by=e.by, order=None), ()


def _retire(i: Instance, e: ev.Retire, now: float) -> Step:
    i = replace(i, retired=True)
    return _unwant(i, ev.Unwant(e.by), now) if i.state is not State.STOPPED else (i, ())


def _retire_alive(i: Instance, e: ev.Retire, now: float) -> Step:
    return _unwant_alive(replace(i, retired=True), ev.Unwant(e.by), now)


def _outdate(i: Instance, e: ev.Outdate, now: float) -> Step:
    return replace(i, outdated=i.outdated or e.reason), ()


def _define(i: Instance, e: ev.Redefine, now: float) -> Step:
    anew = health.redefined(i, e.task, now) if i.state is State.RUNNING else None
    run = replace(i.run, health=anew) if i.run and anew else i.run
    return replace(i, task=e.task, run=run, retired=False), ()


def _reconsider(i: Instance, e: ev.Redefine, now: float) -> Step:
    again = i.state is State.FAILED or not same_process(i.task, e.task)
    failed = i.state is State.FAILED
    i = replace(i, task=e.task, retired=False)
    if failed and i.task.kind is Kind.TRIGGERED:  # it runs when it is triggered
        return become(_fresh(i), State.STOPPED, now, wanted=False), ()
    return (become(_fresh(i), State.HELD, now), ()) if again and i.wanted else (i, ())


def _refresh(i: Instance, e: ev.Refresh, now: float) -> Step:
    return _fresh(i), ()


# -- up ---------------------------------------------------------------------------------------------------------------


def _admit(i: Instance, e: ev.Admit, now: float) -> Step:
    attempt = _attempt(i)
    run = Run(i.runs + 1, e.run_id, i.trigger, attempt, began=now, order=i.order, made_from=identity(i.task))
    if share := i.task.pool:
        run = replace(run, pool=share.name, slots=share.slots)
    i = become(
        i, State.STARTING, now, now + i.task.start_timeout, run=run, runs=run.number,
        restarts=i.restarts + (i.streak > 0), trigger="restart", order=None,
    )  # fmt: skip
    return i, (actions.Fork(i.key, run),)


def _attempt(i: Instance) -> int:
    """Return the number of the next run in its row. That of a firing counts only the runs that have failed."""
    if i.order and i.order.firing and i.task.restart is Restart.NEVER:
        return i.order.attempt
    return i.streak + 1


def _forked(i: Instance, e: ev.Forked, now: float) -> Step:
    run = replace(_run(i), pid=e.pid, birth=e.birth, cgroup=e.cgroup)
    return replace(i, run=run), (actions.Go(i.key, run),)


def _forked_too_late(i: Instance, e: ev.Forked, now: float) -> Step:
    run = replace(_run(i), pid=e.pid, birth=e.birth, cgroup=e.cgroup)
    return replace(i, run=run), (actions.Destroy(i.key, run),)


def _started(i: Instance, e: ev.Started | ev.Adopted, now: float) -> Step:
    """Note that its program runs. This makes it ready, unless its own message or a probe must do so."""
    run = _run(i)
    if isinstance(e, ev.Adopted) and not e.begun:
        return replace(i, run=replace(run, cause=ORPHANED)), ()
    user = e.user if isinstance(e, ev.Started) else run.user
    begun = run if run.program else replace(run, program=True, user=user, health=health.begun(i.task, run))
    i = replace(i, run=begun)
    if i.task.ready == "started":
        return _ready(i, now), pause.once_more(i)
    # Adopted: we read its earlier messages only now. A sender that was refused meanwhile may send again.
    again = now + i.task.start_timeout if isinstance(e, ev.Adopted) else i.deadline
    return _with(replace(i, deadline=again), health.starting(i.task, _run(i), now)), pause.once_more(i)


def _ready(i: Instance, now: float) -> Instance:
    run = _run(i)
    return become(i, State.RUNNING, now, run=replace(run, health=health.running(i.task, run, now)))


def _with(i: Instance, vitals: Health) -> Instance:
    return i if vitals == _run(i).health else replace(i, run=replace(_run(i), health=vitals))


def _adopted(i: Instance, e: ev.Adopted, now: float) -> Step:
    return _with(i, health.adopted(i.task, _run(i), now)), pause.once_more(i)


def _started_stopping(i: Instance, e: ev.Started, now: float) -> Step:
    return replace(i, run=replace(_run(i), program=True, user=e.user)), ()


def _stop_anew(i: Instance, e: ev.Adopted, now: float) -> Step:
    """Send the stop signal, perhaps once more: the earlier supervisor may have died before it sent the signal.

    The grace began with the decision, which the journal has. A new supervisor neither interrupts nor restarts it.
    In two cases the grace begins now:

    - It ended while there was no supervisor: it is unknown whether the run had any of it.
    - The run was asked for a stack dump, and so has had no stop signal yet.
    """
    run = _run(i)
    if run.kills:
        return i, ()
    if run.dumping or (i.deadline is not None and i.deadline <= now):
        run = replace(run, dumping=False)
        i = replace(i, run=run, deadline=now + i.task.stop.grace)
    return i, _stop_signal(i, run)


def _restart_due(i: Instance, e: ev.Due | ev.Hold, now: float) -> Step:
    return become(i, State.HELD, now), ()


# -- ready and well ---------------------------------------------------------------------------------------------------


def _notified_starting(i: Instance, e: ev.Notified, now: float) -> Step:
    i = _extended(_with(i, health.notified(i, _run(i), e, now)), e, now)
    return (_ready(i, now) if e.ready and i.task.ready == "notify" else i), ()


def _notified(i: Instance, e: ev.Notified, now: float) -> Step:
    return _with(i, health.notified(i, _run(i), e, now)), ()


def _notified_stopping(i: Instance, e: ev.Notified, now: float) -> Step:
    """Extend the grace if the run asks for more time, as systemd does; not once it has had SIGKILL."""
    i = _with(i, health.notified(i, _run(i), e, now))
    return (i if _run(i).kills else _extended(i, e, now)), ()


def _extended(i: Instance, e: ev.Notified, now: float) -> Instance:
    if e.extend is None or i.deadline is None or now + e.extend <= i.deadline:
        return i
    return replace(i, deadline=now + e.extend)


def _main_pid(i: Instance, e: ev.MainPid, now: float) -> Step:
    run = _run(i)
    return replace(i, run=replace(run, pid=e.pid, birth=e.birth, group=run.group or run.pid)), ()


def _alarm(i: Instance, e: ev.Alarm, now: float) -> Step:
    """Handle a due question, a missed watchdog message, an exceeded runtime, or several of these."""
    run = _run(i)
    if i.end is not None and i.end <= now:
        run = replace(run, overdue=i.task.limits.runtime)
    done: tuple[actions.Action, ...] = ()
    if run.health.bark is not None and run.health.bark <= now:
        run = replace(run, health=health.barked(i, run))
    if run.health.ask_at is not None and run.health.ask_at <= now:
        run = replace(run, health=replace(run.health, ask_at=None))
        probe = health.ready_probe(i.task) if i.state is State.STARTING else i.task.health
        done = (actions.Ask(i.key, run, probe),) if probe else ()
    return (i if run is i.run else replace(i, run=run)), done


def _probed_starting(i: Instance, e: ev.Probed, now: float) -> Step:
    probe = health.ready_probe(i.task)
    if probe is None or not health.waits(_run(i)):
        return i, ()
    i = _with(i, health.answered(probe, _run(i), e, now))
    return (_ready(i, now) if _run(i).health.passed >= probe.successes else i), ()


def _probed(i: Instance, e: ev.Probed, now: float) -> Step:
    if i.task.health is None or not health.waits(_run(i)):
        return i, ()
    return _with(i, health.answered(i.task.health, _run(i), e, now)), ()


def _exceeded(i: Instance, e: ev.Exceeded, now: float) -> Step:
    return (i if _run(i).breach else replace(i, run=replace(_run(i), breach=e.reason))), ()


# -- standing still ---------------------------------------------------------------------------------------------------


def _pause(i: Instance, e: ev.Pause, now: float) -> Step:
    """Pause the run, but not before its program runs: until then its process runs our code."""
    if _run(i).paused or not _run(i).program:
        return i, ()
    run = replace(_run(i), pause=pause.begun(i, e, now))
    return replace(i, run=run), (actions.Pause(i.key, run),)


def _resume(i: Instance, e: ev.Resume, now: float) -> Step:
    if not _run(i).paused:
        return i, ()
    i = pause.resume(i, e, now)
    return i, (actions.Resume(i.key, _run(i)),)


def _paused(i: Instance, e: ev.Paused, now: float) -> Step:
    run = _run(i)
    return (replace(i, run=replace(run, pause=replace(run.pause, still=True))) if run.paused else i), ()


def _stalled(i: Instance, e: ev.Stalled, now: float) -> Step:
    """Extend the deadlines of a run by the time for which the supervisor was suspended. A paused run needs none."""
    old = _run(i)
    if old.paused and i.state is not State.STOPPING:
        return i, ()
    run = replace(old, pause=pause.lost(old, e.seconds), health=health.stalled(i, old, e.seconds, now))
    return replace(i, run=run, deadline=None if i.deadline is None else i.deadline + e.seconds), ()


# -- down -------------------------------------------------------------------------------------------------------------


def _leave(i: Instance, e: ev.Leave, now: float) -> Step:
    return _fail(i, e.cause, now) if e.blamed else _terminate(i, now, cause=e.cause)


def _too_slow(i: Instance, e: ev.Due, now: float) -> Step:
    if _run(i).paused:  # this time does not count for a paused run; `resume` gives it the remaining time
        return replace(i, deadline=now + i.task.start_timeout), ()
    heard = f": {_run(i).health.answer}" if _run(i).health.answer else ""
    return _fail(i, f"not ready within {i.task.start_timeout:g} s{heard}", now)


def _fail(i: Instance, cause: str, now: float) -> Step:
    """Stop a run that hangs. A task with a dump signal writes a stack dump before it gets the stop signal.

    A paused run continues for this. The signal is sent first, as with a stop signal.
    """
    if not i.task.dump_signal:
        return _terminate(i, now, cause=cause, blamed=True)
    run = replace(_run(i), cause=cause, blamed=True, dumping=True)
    dump = actions.Dump(i.key, i.task.dump_signal)
    return become(i, State.STOPPING, now, now + DUMP_TIME, run=run), (dump, *_going_on(i, run))


def _terminate(i: Instance, now: float, **why: object) -> Step:
    run = replace(_run(i), **why)
    return become(i, State.STOPPING, now, now + i.task.stop.grace, run=run), _stop_signal(i, run)


def _stop_signal(i: Instance, run: Run) -> tuple[actions.Action, ...]:
    """Return the stop signal; a paused run continues after it, so that it can act on the signal."""
    return (actions.Terminate(i.key, run, i.task.stop), *_going_on(i, run))


def _going_on(i: Instance, run: Run) -> tuple[actions.Action, ...]:
    return (actions.Resume(i.key, run),) if run.paused else ()


def _kill(i: Instance, e: ev.Kill, now: float) -> Step:
    run = replace(_run(i), cause=e.cause, kills=1)
    return become(i, State.STOPPING, now, now + KILL_AGAIN, run=run), (actions.Destroy(i.key, run),)


def _due_stopping(i: Instance, e: ev.Due, now: float) -> Step:
    run = _run(i)
    if not run.dumping:
        return _kill_stopping(i, e, now)
    run = replace(run, dumping=False)
    return replace(i, run=run, deadline=now + i.task.stop.grace), _stop_signal(i, run)


def _kill_stopping(i: Instance, e: ev.Kill | ev.Due, now: float) -> Step:
    run = replace(_run(i), kills=_run(i).kills + 1, dumping=False)
    wait = KILL_AGAIN * 2 ** min(run.kills - 1, DOUBLINGS)
    return replace(i, run=run, deadline=now + wait), (actions.Destroy(i.key, run),)


# -- the end of a run -------------------------------------------------------------------------------------------------


def _not_started(i: Instance, e: ev.NotStarted, now: float) -> Step:
    """Handle a start that failed: the program never ran, because something that it needs is missing.

    This may change by itself (a disk is mounted). So the supervisor tries again even with `restart = "never"`, which is
    about programs that ended. A triggered run is over: it was wanted now, not later. The supervisor starts an orphaned
    run again at once, for the same firing; and later a run of a firing that it has abandoned, or for which the machine
    had no process or memory. That is no failure of the task.
    """
    lived = now - _run(i).began
    if e.orphaned:
        i = replace(i, run=replace(_run(i), cause=ORPHANED))
        return _conclude(i, _asked(_run(i), Outcome(now, e.reason, success=False, duration=lived)), now), ()
    outcome = Outcome(now, f"cannot start: {e.reason}", success=False, duration=lived)
    order = _run(i).order
    if i.task.kind is not Kind.TRIGGERED:
        return _conclude(i, outcome, now, again=i.state is State.STARTING), ()
    waits = i.state is State.STARTING and order is not None and bool(order.firing) and (e.abandoned or e.scarce)
    return _conclude(i, outcome, now, again=waits, counts=not waits), ()


def _exited(i: Instance, e: ev.Exited, now: float) -> Step:
    """Handle the end of the leader by itself. The processes that it left behind get the stop signal and the grace."""
    outcome = _asked(_run(i), outcome_of(i, e.status, now))
    if i.state is State.STARTING and i.task.ready != "started":
        outcome = replace(outcome, success=False, reason=f"{outcome.reason} before it was ready")
    if e.empty:
        return _conclude(i, outcome, now), ()
    return _terminate(i, now, outcome=outcome)


def _exited_stopping(i: Instance, e: ev.Exited, now: float) -> Step:
    """Handle the end of the leader of a run that is being stopped.

    The processes that it left behind get the stop signal, if they have not had it yet, and the rest of the grace. The
    first outcome wins: a supervisor that takes over the remaining processes of a run learns of its leader's end again.
    """
    outcome = _run(i).outcome or _asked(_run(i), outcome_of(i, e.status, now))
    if e.empty:
        return _conclude(i, outcome, now), ()
    deadline = now + i.task.stop.grace if _run(i).dumping else i.deadline  # no process is left to write the dump
    i = replace(i, run=replace(_run(i), outcome=outcome, dumping=False), deadline=deadline)
    return i, () if _run(i).kills else _stop_signal(i, _run(i))


def _killed(i: Instance, e: ev.Killed, now: float) -> Step:
    """Note the result of SIGKILL. The end of the run reports the killed processes; the status reports those left."""
    killed = tuple(dict.fromkeys((*_run(i).killed, *e.names)))
    spared = tuple(dict.fromkeys((*_run(i).spared, *e.spared)))
    return replace(i, run=replace(_run(i), killed=killed, left=e.left, spared=spared, refused=e.refused)), ()


def _emptied(i: Instance, e: ev.Emptied, now: float) -> Step:
    outcome = _run(i).outcome
    if outcome is None:
        raise IllegalStepError(f"{i.key}: empty, but its leader lives")
    return _conclude(i, outcome, now), ()


def outcome_of(i: Instance, status: ev.Status | None, now: float) -> Outcome:
    """Return the meaning of an exit status for this task; None: unknown, which counts as a failure."""
    lived = now - _run(i).began
    if status is None:
        return Outcome(now, "ended unseen, exit status unknown", success=False, duration=lived)
    if status.signal is None:
        reason, success = f"exit {status.code}", status.code in i.task.success_exit
    else:
        reason = f"killed by {status.signal}" + (" (core dumped)" if status.core_dumped else "")
        reason += f": {status.why}" if status.why else ""
        success = status.signal in i.task.success_exit
    cpu, memory = (status.used.cpu, status.used.memory) if status.used else (None, None)
    signal, dumped = status.signal, status.core_dumped
    return Outcome(now, reason, success, status.code, signal, dumped, lived, cpu=cpu, memory=memory)


def _asked(run: Run, outcome: Outcome) -> Outcome:
    """Return the outcome of a run that was being stopped when it ended."""
    return outcome if run.blamed else replace(outcome, asked=run.cause)


def _conclude(i: Instance, outcome: Outcome, now: float, *, again: bool = False, counts: bool = True) -> Instance:
    """Choose the next state after the end of the last process.

    Args:
        i: the instance, whose run is over.
        outcome: how the run ended.
        now: monotonic seconds.
        again: restart it whatever the policy is.
        counts: whether a failure brings the task nearer to giving up.
    """
    run = _run(i)
    if run.blamed:
        outcome = replace(outcome, success=False, reason=f"{run.cause}; {outcome.reason}")
    outcome = replace(outcome, killed=run.killed, spared=run.spared)
    asked = bool(i.outdated or (run.cause and not run.blamed))
    i = replace(i, last=outcome, outdated="")
    if not i.wanted:
        return become(_fresh(i), State.STOPPED, now)
    if asked:
        return become(_fresh(i), State.HELD, now, order=i.order or run.order)
    return _by_policy(i, run, outcome, now, again=again, counts=counts)


def _by_policy(i: Instance, run: Run, outcome: Outcome, now: float, *, again: bool, counts: bool) -> Instance:
    """Choose the next state by the restart policy, after a run that ended by itself."""
    task = i.task
    again = again or task.restart is Restart.ALWAYS or (task.restart is Restart.ON_FAILURE and not outcome.success)
    lasted = outcome.duration - run.pause.rested >= task.backoff.reset_after
    i = replace(
        i,
        streak=1 if lasted else i.streak + 1,
        failures=0 if outcome.success else 1 if lasted else i.failures + 1,
        failed_at=backoff.recent((*i.failed_at, *([now] if counts and not outcome.success else [])), now, task.give_up),
    )
    if not again and (outcome.success or task.kind is Kind.TRIGGERED):
        return become(i, State.STOPPED, now, wanted=False, by=ITS_OWN_END)
    if not again or (not outcome.success and backoff.exhausted(i.failed_at, task.give_up)):
        return become(i, State.FAILED, now)
    i = replace(i, order=i.order or run.order)
    wait = backoff.delay(task.backoff, i.streak, run.id)
    return become(i, State.BACKOFF, now, now + wait) if wait > 0 else become(i, State.HELD, now)


# -- the table --------------------------------------------------------------------------------------------------------


def _ignore(i: Instance, e: ev.Event, now: float) -> Step:
    return i, ()


def _cannot(i: Instance, e: ev.Event, now: float) -> Step:
    raise IllegalStepError(f"{i.key}: {type(e).__name__} while {i.state}")


def _run(i: Instance) -> Run:
    if i.run is None:
        raise IllegalStepError(f"{i.key}: {i.state} without a run")
    return i.run


Handler = Callable[..., Step]

_ORDER = (State.STOPPED, State.HELD, State.STARTING, State.RUNNING, State.STOPPING, State.BACKOFF, State.FAILED)

# fmt: off
__, no = _ignore, _cannot
_ROWS: dict[type, tuple[Handler, ...]] = {
    #               STOPPED   HELD       STARTING      RUNNING       STOPPING          BACKOFF           FAILED
    ev.Want:       (_want,    _want_held,_want_alive,  _want_alive,  _want_stopping,   _want,            _want),
    ev.Unwant:     (__,       _unwant,   _unwant_alive,_unwant_alive,_unwant_alive,    _unwant,          _unwant),
    ev.Retire:     (_retire,  _retire,   _retire_alive,_retire_alive,_retire_alive,    _retire,          _retire),
    ev.Outdate:    (__,       __,        _outdate,     _outdate,     _outdate,         __,               __),
    ev.Redefine:   (_define, _define,   _define,      _define,      _define,          _reconsider,      _reconsider),
    ev.Refresh:    (_refresh, _refresh,  _refresh,     _refresh,     _refresh,         _refresh,         __),
    ev.Admit:      (no,       _admit,    no,           no,           no,               no,               no),
    ev.Hold:       (__,       __,        __,           __,           __,               _restart_due,     __),
    ev.Pause:      (__,       __,        _pause,       _pause,       __,               __,               __),
    ev.Resume:     (__,       __,        _resume,      _resume,      __,               __,               __),
    ev.Leave:      (no,       no,        _leave,       _leave,       __,               no,               no),
    ev.Kill:       (__,       __,        _kill,        _kill,        _kill_stopping,   __,               __),
    ev.Due:        (no,       no,        _too_slow,    no,           _due_stopping,    _restart_due,     no),
    ev.Alarm:      (__,       __,        _alarm,       _alarm,       __,               __,               __),
    ev.Stalled:    (__,       __,        _stalled,     _stalled,     _stalled,         __,               __),
    ev.Forked:     (no,       no,        _forked,      no,           _forked_too_late, no,               no),
    ev.Started:    (no,       no,        _started,     no,           _started_stopping,no,               no),
    ev.Adopted:    (no,       no,        _started,     _adopted,     _stop_anew,       no,               no),
    ev.Paused:     (no,       no,        _paused,      _paused,      __,               no,               no),
    ev.NotStarted: (no,       no,        _not_started, no,           _not_started,     no,               no),
    ev.Notified:   (no,       no,        _notified_starting, _notified, _notified_stopping, no,          no),
    ev.MainPid:    (no,       no,        _main_pid,    _main_pid,    _main_pid,        no,               no),
    ev.Probed:     (no,       no,        _probed_starting, _probed,  __,               no,               no),
    ev.Exceeded:   (no,       no,        _exceeded,    _exceeded,    __,               no,               no),
    ev.Exited:     (no,       no,        _exited,      _exited,      _exited_stopping, no,               no),
    ev.Killed:     (no,       no,        no,           no,           _killed,          no,               no),
    ev.Emptied:    (no,       no,        no,           no,           _emptied,         no,               no),
}
# fmt: on

TABLE: dict[type, dict[State, Handler]] = {event: dict(zip(_ORDER, row, strict=True)) for event, row in _ROWS.items()}
"""The complete transition table: for each event and state the handler."""
