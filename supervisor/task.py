"""What a Python task sees of the supervisor: `Stop`, and how its callable is run.

A task with `python = "package.module:callable"` runs in the child that was forked for it, without a new
interpreter. The callable is a function, or a class with `run(stop)` and, if it likes, `on_start()` and `on_stop()`:

    from supervisor import Stop

    def main(stop: Stop) -> None:
        while not stop.wait(30):      # True as soon as a stop is asked for
            work()
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn


class Stop:
    """Tells when the task is asked to end. May be waited for by any number of threads.

    It is a pipe that becomes readable and stays so. A signal handler can set it without a deadlock. The lock of a
    threading.Event might be held by the thread that the signal interrupts.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """A descriptor that is readable as soon as a stop is asked for, for a task with a loop of its own."""
        return self._read

    def set(self) -> None:
        """Asks for the stop; the supervisor does so with the stop signal of the task."""
        with suppress(BlockingIOError):  # asked for often enough to fill the pipe
            os.write(self._write, b"s")

    def is_set(self) -> bool:
        """Whether a stop is asked for."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds (None: for ever). True as soon as a stop is asked for, False after the time."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))


def run(target: str, arguments: list[str], stop_signal: str) -> NoReturn:
    """Calls "module:callable" and ends the process: 0 when it returns, 1 with a traceback when it raises.

    SystemExit has its usual meaning. `sys.argv` is the target and the arguments of the run; the
    current directory comes first on the path, as with `python -m`.
    """

    def perform() -> None:
        sys.argv = [target, *arguments]
        sys.path.insert(0, os.getcwd())
        stop = Stop()
        for name in {"SIGTERM", "SIGINT", stop_signal} - {"SIGKILL", "SIGSTOP"}:
            signal.signal(signal.Signals[name], lambda *_: stop.set())
        _perform(find(target), stop)

    as_a_program(perform)


def as_a_program(act: Callable[[], object]) -> NoReturn:
    """Call `act` and end the process, as an interpreter ends: 0 when it returns, 1 with a traceback when it raises."""
    code = 1
    try:
        _as_an_interpreter()
        act()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if code == 1 and not isinstance(end.code, int):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as the interpreter itself does
        sys.excepthook(*sys.exc_info())
    finally:
        _end(code)


def find(target: str) -> Callable[..., object]:
    """Return what "module:callable" names."""
    from importlib import import_module  # noqa: PLC0415 - only in the child

    module, _, path = target.partition(":")
    found: object = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{target} is not callable")
    return found


def _perform(target: Callable[..., object], stop: Stop) -> None:
    if not isinstance(target, type):
        target(stop)
        return
    task = target()
    if hasattr(task, "on_start"):
        task.on_start()
    try:
        task.run(stop)
    finally:
        if hasattr(task, "on_stop"):
            task.on_stop()


def _as_an_interpreter() -> None:
    """What `python` sets up for itself, and what a program that is read while it lives needs: whole lines at once."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a broken connection is an exception, not an end
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def _end(code: int) -> NoReturn:
    """What the end of an interpreter does, without unwinding into the supervisor's own frames above us."""
    import atexit  # noqa: PLC0415

    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # noqa: SLF001 - as multiprocessing does in its forked children
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code & 0xFF)
