"""Pause a run: all its processes are suspended until a person resumes it (`supctl pause`, `supctl resume`).

A pause is not a state: a paused run is starting or running as before. It keeps its memory and its ports, and continues
at the same instruction. The pause takes time from the run, so this time does not count:

- Its watchdog, its probe and its `limits.runtime` rest. Its start_timeout continues with the remaining time.
- An answer to a question from before the pause counts for nothing.
- A stop ends the pause. The signal is sent first; then the run continues and can act on it. The grace is the usual one.

The journal has the pause before any process is suspended. It has the end of the pause before any process continues. If
a supervisor dies in between, the next one does it once more.
"""

from __future__ import annotations

from supervisor.core import actions, health
from supervisor.core import events as ev
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Pause, Run
from supervisor.core.states import State


def begun(i: Instance, e: ev.Pause, now: float) -> Pause:
    """Return the pause that begins now."""
    left = i.deadline - now if i.deadline is not None else 0.0
    rested = i.run.pause.rested if i.run else 0.0
    return Pause(since=now, at=e.at, by=e.by, left=max(left, 0.0), rested=rested)


def resume(i: Instance, e: ev.Resume, now: float) -> Instance:
    """Resume the run: its watchdog and its probe begin again, as when a new supervisor adopts it."""
    old = i.run
    if old is None or old.pause.since is None:
        return i
    rested = old.pause.rested + now - old.pause.since
    run = replace(old, pause=Pause(by=e.by, rested=rested, undone=True))
    if i.state is State.STARTING:
        run = replace(run, health=health.starting(i.task, run, now))
        return replace(i, run=run, deadline=now + old.pause.left)
    return replace(i, run=replace(run, health=health.adopted(i.task, run, now)))


def lost(run: Run, seconds: float) -> Pause:
    """Return the pause with the time added for which the supervisor was suspended: it does not count, either."""
    return replace(run.pause, rested=run.pause.rested + seconds)


def once_more(i: Instance) -> tuple[actions.Action, ...]:
    """Return the actions that repeat a pause or resume: the earlier supervisor may have died just before them."""
    run = i.run
    if run is None or not (run.paused or run.pause.undone):
        return ()
    return (actions.Pause(i.key, run) if run.paused else actions.Resume(i.key, run),)


# -- in words ---------------------------------------------------------------------------------------------------------


def _paused(i: Instance) -> Run | None:
    """Return the run if it is paused; a run that is being stopped is not."""
    return i.run if i.run and i.run.paused and i.state is not State.STOPPING else None


def describe(i: Instance) -> str:
    """Return the text for the `why` column."""
    run = _paused(i)
    return f"paused by {run.pause.by} since {run.pause.at}: supctl resume {i.name}" if run else ""


def as_json(i: Instance) -> dict[str, str] | None:
    """Return the pause for `status --json`."""
    run = _paused(i)
    return {"since": run.pause.at, "by": run.pause.by} if run else None
