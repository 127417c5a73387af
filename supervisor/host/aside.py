"""Calling a function aside: in a forked child, which sends back what it returned or why it failed.

This is what an errand consists of; it imports little, as the first one is begun before anything else is imported.
"""

from __future__ import annotations

import os
import signal

from supervisor.core.words import in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def aside(function: Callable[..., Any], arguments: tuple[object, ...]) -> tuple[int, int]:
    """Begins a call. Returns the child's pid and a pipe, on which a pickled (value, error) comes before its end.

    Raises:
        OSError: no child could be made.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _in_child(theirs, function, arguments)
    except OSError:
        os.close(ours)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(theirs)
    return pid, ours


def _in_child(pipe: int, function: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    """Calls the function and sends its value or its error. Never returns.

    No descriptor of the parent is kept, so that an errand that hangs holds nothing back.
    """
    try:
        os.dup2(pipe, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        for number in ("SIGTERM", "SIGINT", "SIGHUP", "SIGCHLD"):
            signal.signal(signal.Signals[number], signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setpgid(0, 0)  # a Ctrl-C at the terminal is for the supervisor
        try:
            answer = (function(*arguments), "")
        except Exception as error:  # noqa: BLE001 - it is told to whoever asked
            answer = (
                None,
                in_words(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}",
            )
        import pickle  # noqa: PLC0415 - in the child

        with open(3, "wb") as file:
            file.write(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
    finally:
        os._exit(0)
