"""A debugger holds a task that has ended: the loop is not woken repeatedly. The end is reported when it lets go."""

import ctypes
import os
import signal
from pathlib import Path

import pytest
from contract.conftest import in_a_child
from contract.machine import Real

from supervisor.core.events import Exited, Status

PTRACE_SEIZE = 0x4206

_libc = ctypes.CDLL(None, use_errno=True)


def debugger(pid: int) -> int:
    """A process that traces another one, and never waits for it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, b"y" if _libc.ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 else b"n")
        signal.pause()
    answer = os.read(ours, 1)
    os.close(ours)
    os.close(theirs)
    if answer != b"y":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise PermissionError("it may not be traced")
    return child


def test_a_traced_process_does_not_wake_the_loop(tmp_path: Path) -> None:
    said = in_a_child(lambda: traced(Real(tmp_path)), "linux")
    if "may not be traced" in said:
        pytest.skip("no process may be traced here")
    assert said == ""


def traced(machine: Real) -> None:
    run = machine.start("sleeps")
    tracer = debugger(run.pid)
    try:
        os.kill(run.pid, signal.SIGKILL)
        assert machine.quiet(0.1) == []
        before = machine.host.loop.turns
        assert machine.quiet(0.2) == []
        assert machine.host.loop.turns - before < 20
    finally:
        os.kill(tracer, signal.SIGKILL)
    assert machine.until(lambda seen: any(isinstance(one, Exited) for one in seen))[-1] == Exited(
        1, Status(None, "SIGKILL"), empty=True
    )
    machine.end()
