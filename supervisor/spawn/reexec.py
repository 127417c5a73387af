"""Replace the program of this process by an execv(2), and pass on what the next program needs.

`supctl upgrade` is a death and an adoption in the same pid. The new program starts from the journal, as every
supervisor does. The exec closes all descriptors but five, and the new program opens the others again. One environment
variable has the numbers of the five:

- The lock file. A record lock belongs to the process, and goes when *any* descriptor of that file is closed.
- The two abstract sockets beside it (`runtime_dir`). With the lock, they prevent a second supervisor at every instant.
- The socket that listens. A client that connects meanwhile just waits.
- The socket that holds the FIFOs of the tasks (`fd_holder`), until the new program holds them itself.

The old program blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD before the exec. They wait in the kernel for the new program.

Other versions read the variable, so names are added and never changed. A version does not close a descriptor that it
does not know, so its next exec passes the descriptor on.
"""

from __future__ import annotations

import os
import resource
import signal

TYPE_CHECKING = False  # the spawner, which is forked after this, has no use for `typing`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

VARIABLE = "SUPERVISOR_UPGRADE"

HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

DESCRIPTORS = ("lock", "guard", "namespace_guard", "socket", "kept")
"""The names of those that outlive the exec."""


class ReexecState:
    """The values and descriptors that one program passes to the next."""

    def __init__(self, told: dict[str, Any]) -> None:
        """`told` has the values that were read from the variable, or that will be written to it."""
        self.tickets: list[dict[str, str]] = told.get("tickets", [])  # of the requests without an outcome
        self.by: str = told.get("by", "")  # who requested it
        self.old: str = told.get("old", "")  # the version that was running
        self.directory: str = told.get("directory", "")  # the runtime directory, whatever a new config says
        self.command: list[str] = told.get("command", [])  # how the installed program is called
        self.open_files: int = told.get("open_files", -1)  # the soft limit, as it was before we raised it
        self.umask: int = told.get("umask", -1)  # the caller's, which tasks get
        self.lock: int = told.get("lock", -1)
        self.guard: int = told.get("guard", -1)
        self.namespace_guard: int = told.get("namespace_guard", -1)
        self.socket: int = told.get("socket", -1)
        self.kept: int = told.get("kept", -1)

    def pass_on(self, kept: int) -> None:
        """Pass this descriptor to the next program. All FIFOs are held behind it as well."""
        if self.kept >= 0:
            os.close(self.kept)
        self.kept = kept

    def execute(self, command: list[str], hold: Callable[[], object] | None = None) -> NoReturn:
        """Replace the program of this process. Call `hold` when no more signals are delivered.

        Raises:
            OSError: it cannot be executed. Everything is as before, but signals are blocked.
        """
        import json  # noqa: PLC0415

        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        if hold:
            hold()
        kept = [fd for name in DESCRIPTORS if (fd := getattr(self, name)) >= 0]
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        umask = os.umask(self.umask if self.umask >= 0 else 0o022)
        try:
            for fd in kept:
                os.set_inheritable(fd, True)
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.open_files, before[1]))
            os.environ[VARIABLE] = json.dumps({"pid": os.getpid(), **vars(self)})
            os.execv(command[0], command)  # noqa: S606 - no shell is meant
        except OSError:
            os.umask(umask)
            os.environ.pop(VARIABLE, None)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for fd in kept:
                os.set_inheritable(fd, False)
            raise


def received(told: str) -> ReexecState | None:
    """Return the values of the variable, if this process wrote it."""
    if not told:
        return None
    import json  # noqa: PLC0415

    try:
        values = json.loads(told)
        if values["pid"] != os.getpid():
            return None
    except (ValueError, TypeError, KeyError):
        return None
    state = ReexecState(values)
    for name in DESCRIPTORS:
        try:
            os.set_inheritable(getattr(state, name), False)
        except OSError:  # it was not kept
            setattr(state, name, -1)
    return state
