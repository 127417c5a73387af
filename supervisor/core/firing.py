"""Define the firing: one reason to run a triggered task once, at a time.

A trigger (a schedule, `every`) or a person makes firings. The firing store (`store.firings`, on disk) has each of them
before it is due. A firing waits until it is due and until a run of its task may begin. Then it becomes a run, or it is
skipped with a reason. It is never lost and never doubled; `shell.firings` says why.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from supervisor.core.immutable import immutable

COMPUTED = ("schedule", "every")
"""The triggers whose firings are computed from the config. Only such a firing can be missed, caught up and held."""

MUST_BE_KEPT = "--id, --in and --at must be kept on disk"
"""Begins the refusal of a firing by hand that would be only in memory."""

BY_HAND = "manual"
"""The trigger of a firing that a person has asked for."""


AGAIN = "+"
"""Comes after the id of a firing in the id of one that a person wants for the same (`supctl retry`)."""


@immutable
class Input:
    """What the run of one firing gets beside what its task has."""

    arguments: tuple[str, ...] = ()  # added to the command
    environment: tuple[tuple[str, str], ...] = ()
    stdin: str = ""  # the path of the file that is its standard input; "": that of its task
    text: str = ""  # its standard input itself, if it is short


@immutable
class Firing:
    """One firing. Moments are seconds since 1970: they hold over a boot."""

    id: str  # unique, and the same whenever the same due time is computed
    task: str
    trigger: str  # "schedule", "every", "manual", "start", "on", "retry"
    due: float
    start: float  # not before: due, and the jitter of the task; 0.0: at once, whatever the clock says
    times: int = 1  # due times that it stands for: a change of the clock, or a catch-up, has several for one run
    attempt: int = 1  # of its next run: 1, and one more after each failure that `retry` allows
    by: str = ""  # the person who asked for it; "": a trigger of the task
    input: Input | None = None
    on_time: bool = False  # it was due on time, and has waited since: it does not count as missed
    interrupted: int = 0  # how often in a row a shutdown, or the death of the machine, has cut off its run just before
    missed: int = 0  # due times that passed without a run and that this firing is for; known once a run has begun

    @property
    def begun(self) -> bool:
        """Whether a run of it has been on. Such a firing is neither skipped nor merged with another one."""
        return self.attempt > 1 or self.interrupted > 0

    @property
    def computed(self) -> bool:
        """Whether it was computed from the config, and nobody has asked for it."""
        return self.trigger in COMPUTED


@immutable
class Due:
    """A moment at which a trigger is due."""

    at: float  # seconds since 1970
    times: int = 1  # more: a change of the clock has skipped so many times, and all of them are due at the change


def computed_firing(task: str, trigger: str, due: Due, jitter: float, host: str) -> Firing:
    """Return the firing of a due time that was computed. Its id and its jitter are always the same.

    Args:
        task: its task.
        trigger: the trigger.
        due: the due time.
        jitter: the most seconds by which the task is delayed; the share of them follows from the host and the task.
        host: names this host.
    """
    identity = f"{task}/{trigger}/{due.at:.3f}".removesuffix(".000")
    share = crc32(f"{host} {task}".encode()) / 2**32
    return Firing(identity, task, trigger, due.at, due.at + jitter * share, due.times)


def input_of(plain: dict[str, Any] | None) -> Input | None:
    """Return the input that `immutable.plain` was given; None for none."""
    if plain is None:
        return None
    environment = tuple((name, value) for name, value in plain["environment"])
    return Input(tuple(plain["arguments"]), environment, plain["stdin"], plain.get("text", ""))


def firing_of(plain: dict[str, Any]) -> Firing:
    """Return the firing that `immutable.plain` was given."""
    return Firing(**{**plain, "input": input_of(plain["input"])})
