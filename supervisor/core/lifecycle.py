"""The life of one instance: `step(instance, event, now) -> (instance, actions)`.

The laws, all of them kept here and nowhere else:

- A pure function. `now` is monotonic seconds; nothing else comes from outside.
- `TABLE` has a handler for every pair of event and state: what to do, `_ignore` (it may happen and means
  nothing), or `_cannot` (it would be a bug; raises). A test compares its keys with the full product.
- Every change of state goes through `instance.become`, which checks the edge and the deadline.
- An event that answers for a run never acts on another run.
- Every road ends: stop signal, grace, SIGKILL, and SIGKILL again as long as something is left.
- How a run ended (`Outcome`) is kept apart from where the instance is; the first cause wins.

A start always passes through HELD, where the fleet asks the gates; so there is one door, and no way around a freeze.
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
"""Seconds until SIGKILL is repeated, doubled each time up to about a minute; only a process in state D needs that."""

DUMP_TIME = 1.0
"""Seconds between the dump signal and the stop signal, which would kill before the handler of the other one runs."""

DOUBLINGS = 6


def step(instance: Instance, event: ev.Event, now: float) -> Step:
    """What becomes of an instance when an event happens, and what is to be done about it, in order.

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
    return become(_fresh(i), State.HELD, now, wanted=True, by=e.by, trigger=e.trigger, order=e.order), ()


def _want_held(i: Instance, e: ev.Want, now: float) -> Step:
    return replace(_fresh(i), by=e.by, trigger=e.trigger, order=e.order or i.order), ()


def _want_alive(i: Instance, e: ev.Want, now: float) -> Step:
    """One that the config no longer has cannot be had back by that, only by a config that has it again."""
    if i.retired:
        return i, ()
    trigger = i.trigger if i.wanted else e.trigger
    return replace(_fresh(i), wanted=True, by=e.by, trigger=trigger, order=e.order), ()


def _want_stopping(i: Instance, e: ev.Want, now: float) -> Step:
    if i.retired:
        return i, ()
    i, _ = _want_alive(i, e, now)
    return replace(i, run=replace(_run(i), cause=_run(i).cause or f"start asked by {e.by}", blamed=False)), ()


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
    i = replace(i, task=e.task, retired=False)
    return (become(_fresh(i), State.HELD, now), ()) if again and i.wanted else (i, ())


def _refresh(i: Instance, e: ev.Refresh, now: float) -> Step:
    return _fresh(i), ()


# -- up ---------------------------------------------------------------------------------------------------------------


def _admit(i: Instance, e: ev.Admit, now: float) -> Step:
    run = Run(
        i.runs + 1, e.run_id, i.trigger, attempt=i.streak + 1, began=now, order=i.order, made_from=identity(i.task)
    )
    i = become(
        i, State.STARTING, now, now + i.task.start_timeout, run=run, runs=run.number,
        restarts=i.restarts + (i.streak > 0), trigger="restart", order=None,
    )  # fmt: skip
    return i, (actions.Fork(i.key, run),)


def _forked(i: Instance, e: ev.Forked, now: float) -> Step:
    run = replace(_run(i), pid=e.pid, birth=e.birth, cgroup=e.cgroup)
    return replace(i, run=run), (actions.Go(i.key, run),)


def _forked_too_late(i: Instance, e: ev.Forked, now: float) -> Step:
    run = replace(_run(i), pid=e.pid, birth=e.birth, cgroup=e.cgroup)
    return replace(i, run=run), (actions.Destroy(i.key, run),)


def _started(i: Instance, e: ev.Started | ev.Adopted, now: float) -> Step:
    """Its program runs; that makes it ready unless it has to say so, or a probe."""
    run = _run(i)
    i = replace(i, run=run if run.program else replace(run, program=True, health=health.begun(i.task, run)))
    if i.task.ready == "started":
        return _ready(i, now), pause.once_more(i)
    # Adopted: what it said meanwhile is heard only now, and who was refused by then may say it again.
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
    return replace(i, run=replace(_run(i), program=True)), ()


def _stop_anew(i: Instance, e: ev.Adopted, now: float) -> Step:
    """Whether the earlier supervisor came to send the stop signal is not known: it is sent, perhaps once more.

    The grace began with the decision, which stands in the journal; it neither stops nor begins anew with a supervisor.
    One that was asked for a stack had no stop signal yet, so its grace begins now.
    """
    run = _run(i)
    if run.dumping:
        run = replace(run, dumping=False)
        return replace(i, run=run, deadline=now + i.task.stop.grace), _stop_signal(i, run)
    over = run.kills or (i.deadline is not None and i.deadline <= now)
    return (i, ()) if over else (i, _stop_signal(i, run))


def _restart_due(i: Instance, e: ev.Due | ev.Hold, now: float) -> Step:
    return become(i, State.HELD, now), ()


# -- ready and well ---------------------------------------------------------------------------------------------------


def _notified_starting(i: Instance, e: ev.Notified, now: float) -> Step:
    i = _extended(_with(i, health.notified(i, _run(i), e, now)), e, now)
    return (_ready(i, now) if e.ready and i.task.ready == "notify" else i), ()


def _notified(i: Instance, e: ev.Notified, now: float) -> Step:
    return _with(i, health.notified(i, _run(i), e, now)), ()


def _notified_stopping(i: Instance, e: ev.Notified, now: float) -> Step:
    """It may ask for more time, as with systemd; not once it is being killed."""
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
    """A question is due, a sign of life overdue, its time over, or several of these."""
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
    """Not before its program runs: until then it is a part of ours."""
    if _run(i).paused or not _run(i).program:
        return i, ()
    run = replace(_run(i), pause=pause.begun(i, e, now))
    return replace(i, run=run), (actions.Pause(i.key, run),)


def _resume(i: Instance, e: ev.Resume, now: float) -> Step:
    if not _run(i).paused:
        return i, ()
    i = pause.over(i, e, now)
    return i, (actions.Resume(i.key, _run(i)),)


def _paused(i: Instance, e: ev.Paused, now: float) -> Step:
    run = _run(i)
    return (replace(i, run=replace(run, pause=replace(run.pause, still=True))) if run.paused else i), ()


# -- down -------------------------------------------------------------------------------------------------------------


def _leave(i: Instance, e: ev.Leave, now: float) -> Step:
    return _fail(i, e.cause, now) if e.blamed else _terminate(i, now, cause=e.cause)


def _too_slow(i: Instance, e: ev.Due, now: float) -> Step:
    if _run(i).paused:  # that time does not pass for it; what is left of it is kept until it goes on
        return replace(i, deadline=now + i.task.start_timeout), ()
    heard = f": {_run(i).health.answer}" if _run(i).health.answer else ""
    return _fail(i, f"not ready within {i.task.start_timeout:g} s{heard}", now)


def _fail(i: Instance, cause: str, now: float) -> Step:
    """It hangs: it may say where before it gets the stop signal, which would end it before it could.

    One that stands still goes on for that: with the signal already there, as with a stop signal.
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
    """What stands still goes on with the signal already there, so that it can act on it."""
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
    lived = now - _run(i).began
    return _conclude(i, Outcome(now, f"cannot start: {e.reason}", success=False, duration=lived), now), ()


def _exited(i: Instance, e: ev.Exited, now: float) -> Step:
    """The leader ended by itself. What it left behind gets the stop signal and the grace."""
    outcome = outcome_of(i, e.status, now)
    if i.state is State.STARTING and i.task.ready != "started":
        outcome = replace(outcome, success=False, reason=f"{outcome.reason} before it was ready")
    if e.empty:
        return _conclude(i, outcome, now), ()
    return _terminate(i, now, outcome=outcome)


def _exited_stopping(i: Instance, e: ev.Exited, now: float) -> Step:
    """What it left behind gets the stop signal, if it has not had it yet, and the rest of the grace.

    The first outcome wins: a supervisor that takes over the rest of a run is told of its leader's end again.
    """
    outcome = _run(i).outcome or _asked(_run(i), outcome_of(i, e.status, now))
    if e.empty:
        return _conclude(i, outcome, now), ()
    deadline = now + i.task.stop.grace if _run(i).dumping else i.deadline  # nobody is left who could say where it hangs
    i = replace(i, run=replace(_run(i), outcome=outcome, dumping=False), deadline=deadline)
    return i, () if _run(i).kills else _stop_signal(i, _run(i))


def _killed(i: Instance, e: ev.Killed, now: float) -> Step:
    """Whom it met is told when the run is over; what it left, as long as it is there."""
    killed = tuple(dict.fromkeys((*_run(i).killed, *e.names)))
    return replace(i, run=replace(_run(i), killed=killed, left=e.left)), ()


def _emptied(i: Instance, e: ev.Emptied, now: float) -> Step:
    outcome = _run(i).outcome
    if outcome is None:
        raise IllegalStepError(f"{i.key}: empty, but its leader lives")
    return _conclude(i, outcome, now), ()


def outcome_of(i: Instance, status: ev.Status | None, now: float) -> Outcome:
    """What an exit status means for this task; None: nobody saw it, which counts as a failure."""
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
    """Of a run that was being stopped when it ended."""
    return outcome if run.blamed else replace(outcome, asked=run.cause)


def _conclude(i: Instance, outcome: Outcome, now: float) -> Instance:
    """The run is over: nothing of it is left. Where to go from here."""
    run = _run(i)
    if run.blamed:
        outcome = replace(outcome, success=False, reason=f"{run.cause}; {outcome.reason}")
    outcome = replace(outcome, killed=run.killed)
    asked = bool(i.outdated or (run.cause and not run.blamed))
    i = replace(i, last=outcome, outdated="")
    if not i.wanted:
        return become(_fresh(i), State.STOPPED, now)
    if asked:
        return become(_fresh(i), State.HELD, now)
    return _by_policy(i, run, outcome, now)


def _by_policy(i: Instance, run: Run, outcome: Outcome, now: float) -> Instance:
    """It ended by itself: the restart policy decides."""
    task = i.task
    again = task.restart is Restart.ALWAYS or (task.restart is Restart.ON_FAILURE and not outcome.success)
    lasted = outcome.duration >= task.backoff.reset_after
    i = replace(
        i,
        streak=1 if lasted else i.streak + 1,
        failures=0 if outcome.success else 1 if lasted else i.failures + 1,
        failed_at=backoff.recent((*i.failed_at, *([] if outcome.success else [now])), now, task.give_up),
    )
    if not again and (outcome.success or task.kind is Kind.TRIGGERED):
        return become(i, State.STOPPED, now, wanted=False, by=ITS_OWN_END)
    if not again or (not outcome.success and backoff.exhausted(i.failed_at, task.give_up)):
        return become(i, State.FAILED, now)
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
"""The complete transition table: event, then state, to the handler."""
