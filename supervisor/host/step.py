"""The common base of a child's steps between fork and exec: the launch as plain values, and the error of a step."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:  # the spawner must stay small
    from collections.abc import Callable
    from pwd import struct_passwd
    from typing import Any, TypedDict

    class Spec(TypedDict):
        """A launch as plain values, as it is sent to the spawner."""

        title: str
        helper: bool
        command: tuple[str, ...]
        python: str | None
        stop_signal: str
        directory: str | None
        user: str | None
        umask: int | None
        inherit_environment: bool
        environment: dict[str, str]  # the task's, the order's and our own
        environment_file: tuple[str, ...]
        text: str  # its standard input itself; "": none
        stdin: str  # the path of the file that becomes descriptor 0; "": that is /dev/null
        out: str
        err: str
        notify_socket: str  # the notify socket, which is for its user alone; "": there is none
        begins: tuple[str, ...]  # a file, and the text that the child writes to it after the go byte; (): no file
        mark: int  # of the run
        kept: int  # a descriptor that it keeps over its exec; -1: none
        bound: bool  # whether it ends with the supervisor, like a probe whose answer is no longer needed
        no_new_privileges: bool
        confine: dict[str, Any] | None  # the input of `sandbox.steps`; None: no sandbox

    Step = tuple[str, str, Callable[[Spec], None]]
    """Its name for errors, the key of the launch without which it is left out ("": never), and what it does."""


SCARCE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT})
"""Errors that say that the machine, or a limit, has no room for another process now. It may have room later."""


class StepError(Exception):
    """A step failed for a reason that is no OSError."""


def entry_of(user: str) -> struct_passwd:
    """Return a user's entry in the password database. Only for a child: the look-up may load modules and ask a network.

    Raises:
        StepError: there is no such user (any more).
    """
    import pwd  # noqa: PLC0415

    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise StepError(f"no user {user!r}") from None
