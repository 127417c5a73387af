"""Define the actions that the core asks of the shell, in order. The shell writes the journal before the first one."""

from __future__ import annotations

from supervisor.core.definition import Probe, StopPolicy
from supervisor.core.immutable import immutable
from supervisor.core.instance import Run


@immutable
class Fork:
    """Make the child, which waits. The shell answers with Forked or NotStarted before it does anything else."""

    key: str
    run: Run


@immutable
class Go:
    """Let the child run its program: the journal has its record."""

    key: str
    run: Run


@immutable
class Terminate:
    """Send the stop signal as the task's policy says; without a leader, to all processes that have not had it."""

    key: str
    run: Run
    policy: StopPolicy


@immutable
class Destroy:
    """Send SIGKILL to every process of the run."""

    key: str
    run: Run


@immutable
class Dump:
    """Ask the main process of a hanging run for a stack dump by this signal; the stop signal follows."""

    key: str
    signal: str


@immutable
class Pause:
    """Suspend every process of the run. The shell answers with Paused."""

    key: str
    run: Run


@immutable
class Resume:
    """Let the processes of the run continue."""

    key: str
    run: Run


@immutable
class Ask:
    """Probe the run. The shell answers with Probed."""

    key: str
    run: Run
    probe: Probe


Action = Fork | Go | Terminate | Destroy | Dump | Pause | Resume | Ask
