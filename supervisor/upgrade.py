"""`supctl upgrade`: the parent replaces itself by the program that is installed now, in the same pid.

1. The new program is rehearsed in a child (`--rehearse`): it imports all of itself, checks the config and reads our
   journal. If it cannot, nothing has happened.
2. What is under way in errands is waited for, for a while. The journal is complete at every instruction.
3. The exec (`host.handover`). What comes up adopts; the tasks have never been anybody else's children.
4. For some seconds the new program is on trial: if it fails, the old one goes on, from a copy of its sources.

The copy is made a moment after each start, or after the trial, while what is on the disk still is what runs. It is kept
open from then on: when somebody removes it, it is made anew from itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervisor import errands
from supervisor.control.wait import Asker
from supervisor.host.handover import TRIAL, Handover
from supervisor.host.interface import Done
from supervisor.host.word import over
from supervisor.verbs.interface import RefusedError
from supervisor.version import __version__

if TYPE_CHECKING:
    from supervisor.parent import Parent

COPY_AFTER = 2.0
"""Seconds after the start: the tasks come first."""

PATIENCE = 5.0
"""Seconds for the errands that are under way; what is given up is what a crash would lose as well."""

PROGRAM = "program.zip"


class Upgrade:
    """The next program of this process, and how it became this one."""

    def __init__(self, parent: Parent) -> None:
        self.due: float | None = None  # the rehearsal went well: until when errands are waited for
        self.last: dict[str, Any] | None = None  # how the last one went, as `supctl version --json` tells it
        self._parent = parent
        self._command: list[str] = []
        self._copy_at: float | None = None
        self._trial_ends: float | None = None
        self._copied = False
        self._copy_fd = -1
        self._client: Asker | None = None
        self._id = ""

    def begin(self, command: list[str], came: Handover | None) -> None:
        """Everything is adopted. `command` is how the installed program is called; `came`: this one came by an exec."""
        now = self._parent.host.now()
        self._command = command
        self._copied = bool(came and came.why)  # then we run from the copy
        self._copy_at = None if self._copied else now + COPY_AFTER + (TRIAL if came else 0.0)
        if self._copied:
            self._keep_open()
        if came is None:
            return
        lives = [i for i in self._parent.fleet.instances.values() if i.run and not i.task.helper]
        new = came.new if came.why else __version__
        self.last = {"id": came.id, "by": came.by, "from": came.old, "to": new, "at": self._parent.host.stamp()}
        self.last |= {"pid": os.getpid(), "adopted": len(lives), "trial": not came.why, "why": came.why or None}
        told = {key: self.last[key] for key in ("by", "from", "to", "adopted", "why")}
        self._parent.announce.event("upgrade", **told)
        if came.why:
            over(self._parent.running_settings.runtime_dir)
            text = f"the upgrade to {new} has failed, {came.old} goes on: {came.why}"
            self._parent.host.log("error", text)
        else:
            self._trial_ends = now + TRIAL
            text = f"upgraded by {came.by} from {came.old} to {new}, which is on trial for {TRIAL:g} s"
            self._parent.host.log("warning", text)

    # -- the way there ------------------------------------------------------------------------------------------------

    def ask(self, client: Asker, number: str) -> None:
        """Rehearses, and is due if that went well. Who asked is hung up on by the exec.

        Raises:
            RefusedError: not now.
        """
        if reason := self._refusal():
            raise RefusedError(reason)
        if self.copy_is_gone:
            try:
                self.copy_anew()
            except OSError as error:
                raise RefusedError(f"no copy of the running program can be kept: {error}") from None
        self._client, self._id = client, number
        if self._copied:
            self._rehearse(Done(0, None, ""))
        else:
            self._copy(self._rehearse)

    def _refusal(self) -> str:
        parent = self._parent
        if not self._command:
            return "this supervisor cannot replace itself"
        if parent.fleet.shutdown:
            return f"the supervisor is shutting down: {parent.fleet.shutdown.reason}"
        if self._client:
            return "an upgrade is under way"
        if self._trial_ends is not None:
            return "the last upgrade is on trial for some seconds; try again then"
        if parent.configuration.under_way:
            return "a reload is under way; try again when it is done"
        return f"nothing may be lost now: {parent.memory.trouble}" if parent.memory.trouble else ""

    def _copy(self, then: Callable[[Done], None]) -> None:
        self._copy_at = None
        self._parent.errand(then, errands.copy_program, self._program)

    @property
    def _program(self) -> str:
        return f"{self._parent.running_settings.runtime_dir}/{PROGRAM}"

    def _copied_now(self, done: Done) -> None:
        if done.error:  # what is there may be the copy of an earlier version
            self._parent.host.log("warning", f"no copy of this program for the case of an upgrade: {done.error}")
            return
        self._keep_open()
        self._copied = self._copy_fd >= 0

    def _keep_open(self) -> None:
        if self._copy_fd >= 0:
            os.close(self._copy_fd)
            self._copy_fd = -1
        with suppress(OSError):  # somebody was faster, or it was not made: an upgrade makes it first
            self._copy_fd = os.open(self._program, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def copy_is_gone(self) -> bool:
        """Whether somebody has removed the copy that was made."""
        if self._copy_fd < 0:
            return False
        try:
            return not os.path.samestat(os.stat(self._program), os.fstat(self._copy_fd))
        except OSError:
            return True

    def copy_anew(self) -> None:
        """From what is still open: what is on the disk by now may be another version.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        with open(f"{self._program}.new", "wb") as file:
            file.write(os.pread(self._copy_fd, os.fstat(self._copy_fd).st_size, 0))
        os.rename(f"{self._program}.new", self._program)
        self._keep_open()

    def _rehearse(self, done: Done) -> None:
        if self._client is None:  # a shutdown has begun meanwhile
            return
        if done.error:
            self.failed(f"no copy of the running program can be kept: {done.error}")
            return
        self._copied = True
        self._keep_open()
        command = [*self._command, f"--rehearse={self._parent.running_settings.runtime_dir}"]
        self._parent.errand(self._rehearsed, errands.rehearse, tuple(command), self._program)

    def _rehearsed(self, done: Done) -> None:
        wrong = done.error or done.value
        if self._client is None:
            return
        if wrong:
            self.failed(f"the installed version cannot take over, nothing was changed: {wrong}")
        else:
            self.due = self._parent.host.now() + PATIENCE

    def failed(self, why: str) -> None:
        """This program goes on."""
        client, self._client, self.due = self._client, None, None
        self._parent.host.log("error", f"upgrade: {why}")
        if client:
            client.fail(why)

    # -- in the loop --------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the moment has come."""
        if self.due is None:
            return False
        if self._parent.memory.trouble:
            self.failed(f"nothing may be lost now: {self._parent.memory.trouble}")
            return False
        return not self._parent.under_way or self.due <= self._parent.host.now()

    def next_deadline(self) -> float | None:
        """When `look` has something to do."""
        return min((at for at in (self.due, self._copy_at, self._trial_ends) if at is not None), default=None)

    def look(self) -> None:
        """The copy, when everything else has been done; the end of the trial; a shutdown, which comes first."""
        if self._client and self._parent.fleet.shutdown:
            self.failed(f"the supervisor is shutting down: {self._parent.fleet.shutdown.reason}")
        now = self._parent.host.now()
        if self._copy_at is not None and self._copy_at <= now:
            self._copy(self._copied_now)
        if self._trial_ends is not None and self._trial_ends <= now and self.last:
            self._trial_ends = None
            over(self._parent.running_settings.runtime_dir)
            self.last["trial"] = False
            self._parent.host.log("info", f"the upgrade to {self.last['to']} stands")

    def clear(self) -> None:
        """Nothing of this supervisor goes on."""
        with suppress(OSError):  # it was never made
            over(self._parent.running_settings.runtime_dir)
            os.unlink(self._program)

    def handover(self) -> Handover:
        """What the next program has to know, but the descriptors."""
        by = self._client.by if self._client else ""
        told = {"id": self._id, "by": by, "old": __version__, "directory": self._parent.running_settings.runtime_dir}
        return Handover({**told, "program": self._program, "command": self._command})
