"""Paused: every process of a run stands still until a person lets it go on (`supctl pause`, `supctl resume`).

It is no state: a paused run is starting or running as before, holds its memory and its ports, and comes back at the
very instruction at which it was. What is taken from it is time, so no time may be held against it:

- its watchdog, its probe and its `limits.runtime` rest, and its start_timeout goes on with what was left of it;
- an answer to a question that was put before counts for nothing;
- a stop ends the pause: first the signal, then it goes on, so that it can act on it; the grace is the usual one.

The journal has the pause before anything stands still, and its end before anything goes on. A supervisor that dies in
between is followed by one that does it once more.
"""

from __future__ import annotations

from supervisor.core import actions, health
from supervisor.core import events as ev
from supervisor.core.immutable import replace
from supervisor.core.instance import Instance, Pause, Run
from supervisor.core.states import State


def begun(i: Instance, e: ev.Pause, now: float) -> Pause:
    """It is to stand still from now on."""
    left = i.deadline - now if i.deadline is not None else 0.0
    rested = i.run.pause.rested if i.run else 0.0
    return Pause(since=now, at=e.at, by=e.by, left=max(left, 0.0), rested=rested)


def over(i: Instance, e: ev.Resume, now: float) -> Instance:
    """It goes on: its watchdog and its questions begin anew, as with a supervisor that has just found it."""
    old = i.run
    if old is None or old.pause.since is None:
        return i
    rested = old.pause.rested + now - old.pause.since
    run = replace(old, pause=Pause(by=e.by, rested=rested, undone=True))
    if i.state is State.STARTING:
        run = replace(run, health=health.starting(i.task, run, now))
        return replace(i, run=run, deadline=now + old.pause.left)
    return replace(i, run=replace(run, health=health.adopted(i.task, run, now)))


def once_more(i: Instance) -> tuple[actions.Action, ...]:
    """What a supervisor that has found a run does about it: the earlier one may have died just before."""
    run = i.run
    if run is None or not (run.paused or run.pause.undone):
        return ()
    return (actions.Pause(i.key, run) if run.paused else actions.Resume(i.key, run),)


# -- in words ---------------------------------------------------------------------------------------------------------


def _paused(i: Instance) -> Run | None:
    """The run, if it stands still; one that is being stopped does not."""
    return i.run if i.run and i.run.paused and i.state is not State.STOPPING else None


def note(i: Instance) -> str:
    """For the `why` column."""
    run = _paused(i)
    return f"paused by {run.pause.by} since {run.pause.at}: supctl resume {i.name}" if run else ""


def told(i: Instance) -> dict[str, str] | None:
    """For `status --json`."""
    run = _paused(i)
    return {"since": run.pause.at, "by": run.pause.by} if run else None
