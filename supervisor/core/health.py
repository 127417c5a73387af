"""Is it ready, is it well: what a run says of itself, and what the answers to its probe mean.

Pure, as `lifecycle`, which owns the states and asks here. Two sources, one value (`instance.Health`):

- **sd_notify**: a run that has a watchdog must give a sign of life before `bark`; one that says STOPPING=1 has its
  grace to end by itself. What is missed is a `fault`.
- **A probe**: one question at a time. So many good answers in a row make it ready or well, so many bad ones unwell.
  An answer that could not be had (None) is neither: the supervisor's own trouble is never held against a task.

What follows from a fault or from being unwell is decided at the gate (`gate.must_fail`): nothing while frozen.

The distance between two questions is drawn from the run's own id and the moment, so that a hundred tasks that were
started together are not asked together, and the same history is asked at the same moments.
"""

from __future__ import annotations

from zlib import crc32

from supervisor.core.definition import Probe, Task
from supervisor.core.events import Notified, Probed
from supervisor.core.immutable import replace
from supervisor.core.instance import Health, Instance, Run
from supervisor.core.states import State

JITTER = 0.1
"""A share of `every`, added or taken away."""

SOON = 1.0
"""Seconds until a question is repeated that nobody could put, unless `every` is shorter."""


def ready_probe(task: Task) -> Probe | None:
    """The question that makes it ready."""
    return task.ready if isinstance(task.ready, Probe) else None


def begun(task: Task, run: Run) -> Health:
    """Its program runs: what it says of its watchdog from now on counts, also before it is ready."""
    return replace(run.health, period=task.watchdog or 0.0)


def starting(task: Task, run: Run, now: float) -> Health:
    """Its program runs, or a new supervisor found it before it was ready."""
    probe = ready_probe(task)
    return replace(run.health, ask_at=now + probe.initial_delay if probe else None)


def running(task: Task, run: Run, now: float) -> Health:
    """It is ready: the watchdog begins, and the questions about its health."""
    old = run.health
    return replace(
        old, well=None, passed=0, failed=0, answer="",
        bark=now + old.period if old.period else None, ask_at=now + task.health.initial_delay if task.health else None,
    )  # fmt: skip


def adopted(task: Task, run: Run, now: float) -> Health:
    """A new supervisor has found it running: what is known of it stays, what it had to do begins anew.

    Its questions are spread over a whole period: all runs are adopted at the same moment.
    """
    old, probe = run.health, task.health
    span = task.stop.grace if old.leaving else old.period
    ask_at = now + probe.every * (1 + _share(run, now)) / 2 if probe else None
    return replace(old, bark=now + span if span else None, ask_at=ask_at)


def redefined(old: Instance, task: Task, now: float) -> Health | None:
    """A reload has changed the question while it runs; None: it has not."""
    if old.run is None or old.task.health == task.health:
        return None
    ask_at = now + task.health.initial_delay if task.health else None
    return replace(old.run.health, well=None, passed=0, failed=0, answer="", ask_at=ask_at)


def notified(i: Instance, run: Run, e: Notified, now: float) -> Health:
    """What it has said. The watchdog runs only once it is ready; a fault of it is healed by a sign of life."""
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
        h = replace(h, fault="watchdog: it asked for its end itself (WATCHDOG=trigger)", bark=None)
    return h


def barked(i: Instance, run: Run) -> Health:
    """No sign of life came in time."""
    h = run.health
    if h.leaving:
        fault = f"said that it is stopping, and did not end within {i.task.stop.grace:g} s"
    else:
        fault = f"watchdog: no sign of life for {h.period:g} s"
    return replace(h, bark=None, fault=fault)


def answered(probe: Probe, run: Run, e: Probed, now: float) -> Health:
    """One more answer, and the moment of the next question."""
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
    """Whether an answer counts: not of a question that was put before a pause or a reload, nor in a pause."""
    return run.health.ask_at is None and not run.paused


def _share(run: Run, now: float) -> float:
    """A number from -1 to 1 that depends on the run and the moment."""
    return crc32(f"{run.id} {now:.3f}".encode()) / 2**31 - 1


# -- in words ---------------------------------------------------------------------------------------------------------


def word(i: Instance) -> str | None:
    """The column `health`: "ok", "unwell", or None as long as nothing is known."""
    if i.run is None:
        return None
    h = i.run.health
    if h.fault or h.well is False:
        return "unwell"
    return "ok" if h.well else None


def over(i: Instance) -> str:
    """That it has lived for longer than it may, or "": a reload may have given it more time meanwhile."""
    if i.run is None or not i.run.overdue or i.run.overdue != i.task.limits.runtime:
        return ""
    return f"runtime: it has run for {i.run.overdue:g} s"


_UNWELL = "unwell: "


def complaint(i: Instance) -> str:
    """What its watchdog or its probe has against it, or ""."""
    h = i.run.health if i.run else Health()
    return h.fault or (f"{h.answer} ({h.failed} in a row)" if h.well is False and h.answer else "")


def blamed(i: Instance) -> bool:
    """Whether it is being stopped for nothing else than that."""
    return bool(i.run and i.run.blamed and complaint(i) and i.run.cause.removeprefix(_UNWELL) == complaint(i))


def unwell(i: Instance) -> str:
    """What is wrong with it, or ""."""
    if text := over(i) or (i.run.health.fault if i.run else ""):
        return text
    return f"{_UNWELL}{text}" if (text := complaint(i)) else ""


def note(i: Instance) -> str:
    """What a living run says of itself, and what its probe says that is not bad enough yet."""
    if i.run is None:
        return ""
    h = i.run.health
    parts = [f"says: {h.says}"] if h.says else []
    parts += ["reloading"] * h.reloading + ["it says that it is stopping"] * h.leaving
    parts += [f"error: {h.errno}"] if h.errno else []
    if h.answer and h.well is not False:
        parts.append(f"{h.answer} ({h.failed} in a row)")
    return "; ".join(parts)
