"""Call a function in a forked child. The child sends back the value or the error.

Errands use it. It imports little, because the first errand begins before anything else is imported.
"""

from __future__ import annotations

import os
import signal

from supervisor.core.words import in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


KEPT = 4
"""The number that an inherited descriptor has in the child."""


def aside(function: Callable[..., Any], arguments: tuple[object, ...], keep: int = -1) -> tuple[int, int]:
    """Begin a call. Return the child's pid and a pipe, from which a pickled (value, error) can be read until its end.

    The child inherits the descriptor `keep` as `KEPT`, and no other.

    Raises:
        OSError: no child could be made.
    """
    return apart(lambda: _answer(function, arguments), keep)


def apart(act: Callable[[], None], keep: int = -1) -> tuple[int, int]:
    """Call `act` in a forked child, whose descriptor 3 is the write end of a pipe. Return its pid and the read end.

    Raises:
        OSError: no child could be made.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _in_child(theirs, keep, act)
    except OSError:
        os.close(ours)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(theirs)
    return pid, ours


def _in_child(pipe: int, keep: int, act: Callable[[], None]) -> None:
    """Call `act`. Never return.

    The child keeps no other descriptor of the parent. So an errand that hangs keeps nothing open.
    """
    try:
        keep = os.dup(keep) if keep == 3 else keep
        os.dup2(pipe, 3)
        if keep >= 0:
            os.dup2(keep, KEPT)
        os.closerange(KEPT + (keep >= 0), os.sysconf("SC_OPEN_MAX"))
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
            signal.signal(number, signal.SIG_DFL)  # also those that we or our caller ignore
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setpgid(0, 0)  # a Ctrl-C at the terminal is for the supervisor
        act()
    finally:
        os._exit(0)


def _answer(function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    """Call the function and send its value or its error."""
    try:
        answer = (function(*arguments), "")
    except Exception as error:  # noqa: BLE001 - the caller gets it
        answer = (
            None,
            in_words(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}",
        )
    import pickle  # noqa: PLC0415 - in the child

    with open(3, "wb") as file:
        file.write(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
