"""What the core asks the shell to do. Ordered data: what must be remembered is written before any of it is done."""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.core.definition import StopPolicy
from supervisor.core.instance import Run


@dataclass(frozen=True, slots=True)
class Fork:
    """Make the child; it waits. Answered by Forked or NotStarted before anything else is done."""

    key: str
    run: Run


@dataclass(frozen=True, slots=True)
class Go:
    """The record of the child is written: let it run its program."""

    key: str
    run: Run


@dataclass(frozen=True, slots=True)
class Terminate:
    """Send the stop signal of the task to whom its policy says."""

    key: str
    run: Run
    policy: StopPolicy


@dataclass(frozen=True, slots=True)
class Destroy:
    """SIGKILL to every process of the run."""

    key: str
    run: Run


Action = Fork | Go | Terminate | Destroy
