"""Carry out `supctl upgrade`: the parent replaces itself by the program that is installed now, in the same pid.

1. A child rehearses the new program (`--rehearse`). It imports every module, checks the config and reads the running
   journal. If any of this fails, nothing has changed.
2. The parent waits for the errands that are under way, up to a limit. The journal is complete at every instruction.
3. The parent executes the new program (`spawn.reexec`). The new program adopts the tasks, which are still its children.

If the new program fails after the exec, it ends like a supervisor that was killed. The tasks go on, and the service
manager starts it again. An operator then installs the old version.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervisor.control.refusal import RefusedError
from supervisor.control.wait import Asker
from supervisor.core.exits import OK, REFUSED
from supervisor.host.deadlines import Alarm
from supervisor.host.interface import Done
from supervisor.shell import offloaded
from supervisor.spawn.reexec import ReexecState
from supervisor.version import __version__

if TYPE_CHECKING:
    from supervisor.shell.context import Context

PATIENCE = 5.0
"""Seconds to wait for the errands that are under way. A crash would lose the rest, too."""


class Upgrade:
    """The upgrade to the next program of this process, and the report of the last upgrade."""

    def __init__(self, context: Context) -> None:
        self.rehearsed = False  # the installed program can take over; the exec waits only for errands
        self.last: dict[str, Any] | None = None  # how the last one went, as `supctl version --json` shows it
        self._context = context
        self._command: list[str] = []
        self._client: Asker | None = None
        self._patience = Alarm(lambda _: None)  # with the errands that are under way

    def begin(self, command: list[str], came: ReexecState | None) -> None:
        """Report the upgrade by which this program came, after everything was adopted.

        Args:
            command: how to execute the installed program.
            came: what the earlier program of this process passed on; None if there was none.
        """
        self._command = command
        if came is None:
            return
        context = self._context
        adopted = len([i for i in context.fleet.instances.values() if i.run and not i.task.helper])
        told = {"by": came.by, "from": came.old, "to": __version__, "adopted": adopted}
        self.last = {"at": context.host.stamp(), "pid": os.getpid(), **told}
        context.announcer.event("upgrade", **told)
        context.tickets.restore(came.tickets, self._became)
        context.host.log("warning", f"upgraded by {came.by} from {came.old} to {__version__}")

    def _became(self, verb: str) -> dict[str, Any]:
        """Return the outcome of a request that was under way in the program before this one."""
        if verb == "upgrade":
            return {"exit": OK, "answer": self.last}
        error = f"the supervisor was upgraded before `{verb}` had an outcome; what was asked goes on: `supctl status`"
        return {"exit": REFUSED, "error": error}

    def ask(self, client: Asker) -> None:
        """Rehearse the installed program. If that succeeds, the upgrade is due; its exec closes the connection.

        Raises:
            RefusedError: an upgrade is not possible now.
        """
        if reason := self._refusal():
            raise RefusedError(reason)
        self._client = client
        command = (*self._command, f"--rehearse={self._context.settings.runtime_dir}")
        self._context.errand(self._rehearsed, offloaded.rehearse, command)

    def _refusal(self) -> str:
        context = self._context
        if not self._command:
            return "this supervisor cannot replace itself"
        if context.fleet.shutdown:
            return f"the supervisor is shutting down: {context.fleet.shutdown.reason}"
        if self._client:
            return "an upgrade is under way"
        if context.reloading:
            return "a reload is under way; try again when it is done"
        return f"an upgrade is not safe now: {context.journaling.trouble}" if context.journaling.trouble else ""

    def _rehearsed(self, done: Done) -> None:
        wrong = done.error or done.value
        if self._client is None:  # a shutdown has begun meanwhile
            return
        if wrong:
            self.failed(f"the installed version cannot take over, nothing was changed: {wrong}")
        else:
            self.rehearsed = True
            self._patience.at = self._context.host.now() + PATIENCE

    def failed(self, why: str) -> None:
        """Tell the client that this program goes on."""
        client, self._client, self.rehearsed, self._patience.at = self._client, None, False, None
        self._context.host.log("error", f"upgrade: {why}")
        if client:
            client.fail(why)

    @property
    def ready(self) -> bool:
        """Whether to execute the new program now."""
        if not self.rehearsed:
            return False
        context = self._context
        if context.journaling.trouble:
            self.failed(f"an upgrade is not safe now: {context.journaling.trouble}")
            return False
        return not context.errands_under_way or self._patience.at is None

    def next_deadline(self) -> float | None:
        """See `Timed`: the end of the wait for errands."""
        return self._patience.next_deadline()

    def due(self, now: float) -> None:
        """See `Timed`. From now on the upgrade waits for no errand."""
        self._patience.due(now)

    def shutdown_begins(self) -> None:
        """Give up the upgrade if a shutdown has begun: that comes first."""
        shutdown = self._context.fleet.shutdown
        if self._client and shutdown:
            self.failed(f"the supervisor is shutting down: {shutdown.reason}")

    def reexec_state(self) -> ReexecState:
        """Return what the next program has to know, without the descriptors."""
        by = self._client.by if self._client else ""
        told = {"by": by, "old": __version__, "directory": self._context.settings.runtime_dir}
        return ReexecState({**told, "command": self._command, "tickets": self._context.tickets.open()})
