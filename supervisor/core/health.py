"""Decide whether a run is ready and well, by its own messages and by the answers to its probe.

These functions are pure. `lifecycle` owns the states and calls them. Two sources make one value (`instance.Health`):

- **sd_notify**: a run with a watchdog must send a watchdog message before `bark`. One that sends STOPPING=1 must end by
  itself within its grace. A run that misses this moment has a `fault`.
- **A probe**: it asks one question at a time. A number of good answers in a row makes the run ready or well; a number
  of bad ones makes it unwell. None means that the probe could not be made, which counts as neither: a task is not
  blamed for a trouble of the supervisor.

`gate.must_fail` decides what follows from a fault or an unwell run: nothing while frozen.

The time between two questions depends on the run's id and the moment. So a hundred tasks that start together are not
asked together. The same history gives the same moments.
"""

from __future__ import annotations

from zlib import crc32

from supervisor.core.definition import Probe, Task
from supervisor.core.events import Notified, Probed
from supervisor.core.immutable import replace
from supervisor.core.instance import Health, Instance, Run
from supervisor.core.states import State

JITTER = 0.1
"""The share of `every` that is added or subtracted at most."""

SOON = 1.0
"""Seconds until the retry of a probe that could not be made, unless `every` is shorter."""


def ready_probe(task: Task) -> Probe | None:
    """Return the probe that makes the task ready."""
    return task.ready if isinstance(task.ready, Probe) else None


def begun(task: Task, run: Run) -> Health:
    """Return the health when the program begins: its watchdog messages count from now on, also before it is ready."""
    return replace(run.health, period=task.watchdog or 0.0)


def starting(task: Task, run: Run, now: float) -> Health:
    """Return the health when the program runs, or when a new supervisor found it before it was ready."""
    probe = ready_probe(task)
    return replace(run.health, ask_at=now + probe.initial_delay if probe else None)


def running(task: Task, run: Run, now: float) -> Health:
    """Return the health when the run becomes ready: its watchdog and its probe begin."""
    old = run.health
    return replace(
        old, well=None, passed=0, failed=0, answer="",
        bark=now + old.period if old.period else None, ask_at=now + task.health.initial_delay if task.health else None,
    )  # fmt: skip


def adopted(task: Task, run: Run, now: float) -> Health:
    """Return the health when a new supervisor adopts a run: known facts stay, its periods begin again.

    The first questions are spread over a whole period, because the supervisor adopts all runs at the same moment.
    """
    old, probe = run.health, task.health
    span = task.stop.grace if old.leaving else old.period
    ask_at = now + probe.every * (1 + _share(run, now)) / 2 if probe else None
    return replace(old, bark=now + span if span else None, ask_at=ask_at)


def stalled(i: Instance, run: Run, seconds: float, now: float) -> Health:
    """Return the health after the supervisor was suspended, perhaps with the run: the remaining times stay the same.

    The answer to a question that was pending counts for nothing. The probe asks again.
    """
    h = run.health
    probe = {State.STARTING: ready_probe(i.task), State.RUNNING: i.task.health}.get(i.state)
    again = now + min(probe.every, SOON) if probe else None
    return replace(
        h,
        bark=None if h.bark is None else h.bark + seconds,
        ask_at=again if h.ask_at is None else h.ask_at + seconds,
    )


def redefined(old: Instance, task: Task, now: float) -> Health | None:
    """Return the health after a reload has changed the probe of the run; None: it has not."""
    if old.run is None or old.task.health == task.health:
        return None
    ask_at = now + task.health.initial_delay if task.health else None
    return replace(old.run.health, well=None, passed=0, failed=0, answer="", ask_at=ask_at)


def notified(i: Instance, run: Run, e: Notified, now: float) -> Health:
    """Return the health after a message. The watchdog is active once the run is ready; WATCHDOG=1 clears its fault."""
    h = run.health
    if e.status is not None:
        h = replace(h, says=e.status)
    if e.errno:
        h = replace(h, errno=e.errno)
    h = replace(h, reloading=e.reloading or (h.reloading and not e.ready))
    if e.watchdog is not None:
        h = replace(h, period=e.watchdog)
    if (e.alive or e.watchdog is not None) and not h.leaving:
        h = replace(h, fault="", bark=now + h.period if h.period and i.state is State.RUNNING else None)
    if e.stopping and not h.leaving:
        h = replace(h, leaving=True, bark=now + i.task.stop.grace)
    if e.trigger:
        h = replace(h, fault="watchdog: the task asked for its end (WATCHDOG=trigger)", bark=None)
    return h


def barked(i: Instance, run: Run) -> Health:
    """Return the health when no watchdog message came in time."""
    h = run.health
    if h.leaving:
        fault = f"reported that it is stopping, but did not end within {i.task.stop.grace:g} s"
    else:
        fault = f"watchdog: no WATCHDOG=1 for {h.period:g} s"
    return replace(h, bark=None, fault=fault)


def answered(probe: Probe, run: Run, e: Probed, now: float) -> Health:
    """Return the health after one more answer, with the moment of the next question."""
    h = run.health
    if e.ok is None:
        return replace(h, ask_at=now + min(probe.every, SOON))
    ask_at = now + probe.every * (1 + JITTER * _share(run, now))
    if e.ok:
        passed = min(h.passed + 1, probe.successes)
        well = True if passed >= probe.successes else h.well
        return replace(h, passed=passed, failed=0, well=well, answer="", ask_at=ask_at)
    failed = h.failed + 1
    well = False if 0 < probe.failures <= failed else h.well
    return replace(h, passed=0, failed=failed, well=well, answer=e.text, ask_at=ask_at)


def waits(run: Run) -> bool:
    """Return whether an answer counts: not in a pause, nor to a question from before a pause or a reload."""
    return run.health.ask_at is None and not run.paused


def _share(run: Run, now: float) -> float:
    """Return a number from -1 to 1 that depends on the run and the moment."""
    return crc32(f"{run.id} {now:.3f}".encode()) / 2**31 - 1


# -- in words ---------------------------------------------------------------------------------------------------------


def word(i: Instance) -> str | None:
    """Return the column `health`: "ok", "unwell", or None while nothing is known."""
    if i.run is None:
        return None
    h = i.run.health
    if h.fault or h.well is False:
        return "unwell"
    return "ok" if h.well else None


def overrun(i: Instance) -> str:
    """Return that the run has lived longer than its limit, or "": a reload may have raised the limit meanwhile."""
    if i.run is None or not i.run.overdue or i.run.overdue != i.task.limits.runtime:
        return ""
    return f"runtime: it has run for {i.run.overdue:g} s"


_UNWELL = "unwell: "


def complaint(i: Instance) -> str:
    """Return what its watchdog or its probe reports as wrong, or ""."""
    h = i.run.health if i.run else Health()
    return h.fault or (f"{h.answer} ({h.failed} in a row)" if h.well is False and h.answer else "")


def blamed(i: Instance) -> bool:
    """Return whether it is being stopped only because of such a complaint."""
    return bool(i.run and i.run.blamed and complaint(i) and i.run.cause.removeprefix(_UNWELL) == complaint(i))


def unwell(i: Instance) -> str:
    """Return what is wrong with it, or ""."""
    if text := overrun(i) or (i.run.health.fault if i.run else ""):
        return text
    return f"{_UNWELL}{text}" if (text := complaint(i)) else ""


def describe(i: Instance) -> str:
    """Return what a living run says of itself, and bad answers to its probe that do not make it unwell yet."""
    if i.run is None:
        return ""
    h = i.run.health
    parts = [f"status: {h.says}"] if h.says else []
    parts += ["reloading"] * h.reloading + ["it reports that it is stopping"] * h.leaving
    parts += [f"error: {h.errno}"] if h.errno else []
    if h.answer and h.well is not False:
        parts.append(f"{h.answer} ({h.failed} in a row)")
    return "; ".join(parts)
