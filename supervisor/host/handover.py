"""From one program to the next in one process: what outlives an execv(2), and the way back.

`supctl upgrade` is a death and an adoption in the same pid. The new program comes up as every supervisor does, by the
journal; all descriptors are closed by the exec and made anew, but five, whose numbers are in one variable of the
environment:

- the lock file (a record lock belongs to the process, and goes when *any* descriptor of that file is closed) and the
  abstract sockets beside it (`premises`), so that there is no instant at which a second supervisor could start;
- the socket that listens, so that who connects meanwhile just waits;
- the socket behind which the FIFOs of the tasks are held (`keeper`), until the new program holds them itself.

SIGTERM, SIGINT, SIGHUP and SIGCHLD are blocked before the exec: they wait in the kernel for the new program.

The first seconds of a new program are a trial. If it raises, or ends as one that cannot run, the process executes the
old program once more, from a copy of its sources, and that one adopts in turn. A new program that is killed by a
signal cannot do that; whoever comes up after it does (`word`).

What is in the variable is read by other versions: names are added, never changed. A descriptor that one of them does
not know stays open in it, and goes with it to the next.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False  # the spawner, which is forked after this, has no use for `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

VARIABLE = "SUPERVISOR_UPGRADE"

TRIAL = 5.0
"""Seconds after it is up in which a failure of the new program brings the old one back."""

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

DESCRIPTORS = ("lock", "guard", "namespace_guard", "socket", "kept")
"""The names of those that outlive the exec."""

ORDERLY = (0, 69)
"""How a program ends that could run: by a wish, or by on_give_up = "shutdown"."""

_BACK = "import sys; sys.path.insert(0, {!r}); from supervisor.app import main; main()"


class Handover:
    """What one program leaves to the next."""

    def __init__(self, told: dict[str, Any]) -> None:
        """`told` is what the variable says, or what it shall say."""
        self.id: str = told.get("id", "")  # of the request
        self.by: str = told.get("by", "")  # who asked
        self.old: str = told.get("old", "")  # the version that was running
        self.new: str = told.get("new", "")  # the one that failed, on the way back
        self.why: str = told.get("why", "")  # and how; "" on the way there
        self.directory: str = told.get("directory", "")  # the runtime directory, whatever a new config says
        self.program: str = told.get("program", "")  # the copy of the old program
        self.command: list[str] = told.get("command", [])  # how the installed program is called
        self.open_files: int = told.get("open_files", -1)  # the soft limit, as it was before we raised it
        self.lock: int = told.get("lock", -1)
        self.guard: int = told.get("guard", -1)
        self.namespace_guard: int = told.get("namespace_guard", -1)
        self.socket: int = told.get("socket", -1)
        self.kept: int = told.get("kept", -1)

    def pass_on(self, kept: int) -> None:
        """All FIFOs are held behind this descriptor as well: it is what the next program gets."""
        if self.kept >= 0:
            os.close(self.kept)
        self.kept = kept

    def back(self) -> list[str]:
        """The command that executes the old program."""
        return [sys.executable, "-c", _BACK.format(self.program), *sys.argv[1:]]

    def execute(self, command: list[str], hold: Callable[[], object] | None = None) -> NoReturn:
        """Replaces the program of this process. `hold` is called when no more signals are delivered.

        Raises:
            OSError: it cannot be executed; everything is as before, but signals are blocked.
        """
        import json  # noqa: PLC0415

        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        if hold:
            hold()
        kept = [fd for name in DESCRIPTORS if (fd := getattr(self, name)) >= 0]
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            for fd in kept:
                os.set_inheritable(fd, True)
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.open_files, before[1]))
            os.environ[VARIABLE] = json.dumps({"pid": os.getpid(), **vars(self)})
            os.execv(command[0], command)  # noqa: S606 - no shell is meant
        except OSError:
            os.environ.pop(VARIABLE, None)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for fd in kept:
                os.set_inheritable(fd, False)
            raise


class Trial:
    """A new program in its first seconds."""

    def __init__(self, handover: Handover) -> None:
        self.handover = handover
        self.up: float | None = None  # since when, monotonic
        self.hold: Callable[[], object] | None = None  # see `Handover.execute`

    def run(self, program: Callable[[], int]) -> int:
        """Runs it. Returns its exit code, or executes the old program."""
        try:
            code = program()
        except BaseException as error:
            if self._over():
                raise
            sys.excepthook(type(error), error, error.__traceback__)
            why = f"{type(error).__name__}: {error}"
        else:
            if self._over() or code in ORDERLY:
                return code
            why = f"it ended with {code}, its log says why"
        return self._go_back(why)

    def _over(self) -> bool:
        return bool(self.handover.why) or (self.up is not None and time.monotonic() - self.up > TRIAL)

    def _go_back(self, why: str) -> NoReturn:
        from supervisor.version import __version__  # noqa: PLC0415 - of the new program

        self.handover.why, self.handover.new = why, __version__
        sys.stderr.write(f"supervisor {__version__} failed, back to {self.handover.old}: {why}\n")
        sys.stderr.flush()
        self.handover.execute(self.handover.back(), self.hold)


def received(told: str) -> Handover | None:
    """What the variable says, if it was this process that wrote it."""
    if not told:
        return None
    import json  # noqa: PLC0415

    try:
        values = json.loads(told)
        if values["pid"] != os.getpid():
            return None
    except (ValueError, TypeError, KeyError):
        return None
    handover = Handover(values)
    for name in DESCRIPTORS:
        try:
            os.set_inheritable(getattr(handover, name), False)
        except OSError:  # it was not kept
            setattr(handover, name, -1)
    return handover
