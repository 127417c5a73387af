"""What the core asks the shell to do. Ordered data: what must be remembered is written before any of it is done."""

from __future__ import annotations

from supervisor.core.definition import Probe, StopPolicy
from supervisor.core.immutable import immutable
from supervisor.core.instance import Run


@immutable
class Fork:
    """Make the child; it waits. Answered by Forked or NotStarted before anything else is done."""

    key: str
    run: Run


@immutable
class Go:
    """The record of the child is written: let it run its program."""

    key: str
    run: Run


@immutable
class Terminate:
    """Send the stop signal of the task to whom its policy says; without a leader, to all that have not had it."""

    key: str
    run: Run
    policy: StopPolicy


@immutable
class Destroy:
    """SIGKILL to every process of the run."""

    key: str
    run: Run


@immutable
class Dump:
    """Ask the main process of a run that hangs for a stack, by this signal; the stop signal follows."""

    key: str
    signal: str


@immutable
class Pause:
    """Have every process of the run stand still. Answered by Paused."""

    key: str
    run: Run


@immutable
class Resume:
    """Let them go on."""

    key: str
    run: Run


@immutable
class Ask:
    """Put a question to the run. Answered by Probed."""

    key: str
    run: Run
    probe: Probe


Action = Fork | Go | Terminate | Destroy | Dump | Pause | Resume | Ask
