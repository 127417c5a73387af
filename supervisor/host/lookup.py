"""Look-ups of the machine (/proc, cgroups): the meaning of their errors, and a reserve of descriptors for them.

Only GONE says that a thing is not there. Every other error says that nothing is known: the caller counts the thing as
there, and asks again (`retry`).

A look-up needs a descriptor for a moment, and so does an import. A process without a free descriptor could not see
whether its own runs live. So it holds some spare ones. It closes them for a look-up that finds no other. It opens them
first, so that they have low numbers: they stay usable when the limit is lowered later.
"""

from __future__ import annotations

import errno
import os
import resource
from functools import wraps

TYPE_CHECKING = False  # the spawner must stay small
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV})
"""Errors that mean: there is no such file, process or cgroup any more."""

CLOSED = frozenset({errno.EACCES, errno.EPERM})
"""Errors that mean: it belongs to another user, and we may not look."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors that mean: no descriptor is left, for this process or on the machine."""

SPARE = 3
"""Descriptors of the reserve. A look-up needs one or two at a time, the journal two."""

FOR_TASKS = 32
"""Descriptors that others leave for starts of tasks and files of the runtime directory. A start needs up to six."""

_spare: list[int] = []
_owner = 0
"""The process that has opened them. A forked child closes descriptors by number, and must not take others for these."""


def fill() -> None:
    """Open the spare descriptors that are missing. The next call tries again to open those that fail."""
    global _owner  # noqa: PLW0603 - one table of descriptors for each process, so one reserve
    if _owner != os.getpid():
        _owner = os.getpid()
        _spare.clear()
    while len(_spare) < SPARE:
        try:
            _spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return


def _release() -> bool:
    """Close the spare descriptors. False when there is none."""
    if _owner != os.getpid() or not _spare:
        return False
    while _spare:
        os.close(_spare.pop())
    return True


def with_reserve(call: Callable[P, R]) -> Callable[P, R]:
    """Make a function that calls again, with the spare descriptors released, when no descriptor is left.

    The wrapped function must allow a second call, and must keep nothing open.
    """

    @wraps(call)
    def again(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except OSError as error:
            if error.errno not in EXHAUSTED or not _release():
                raise
        try:
            return call(*args, **kwargs)
        finally:
            fill()

    return again


def free() -> int:
    """Count the descriptors that this process may still open. 0 when the number is not known."""
    try:
        used = os.stat("/proc/self/fd").st_size or len(_numbers())  # the kernel counts them from Linux 6.2 on
    except OSError:
        return 0
    return max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - used)


@with_reserve
def _numbers() -> list[str]:
    return os.listdir("/proc/self/fd")
