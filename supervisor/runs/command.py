"""Run a command that may do anything: hang, flood, fail, read nothing. For errands, which may wait for it.

The command gets its input from memory, so no process waits until it reads. Only the beginning of its output is kept, or
the end.

At the time limit the command is killed with all that it has begun. It has a mark (`mark`), by which a chase
(`proctree`) finds its processes. A command that ends by itself may leave a process in a session of its own, as a
program that delivers mail does. Whatever it leaves in its process group is killed in any case.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress

from supervisor.host import mark
from supervisor.host.clock import now
from supervisor.runs import proctree

KEPT = 400
"""Bytes of the output that are kept, for a line of the log."""

_NOT_FOR_IT = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


def run(words: tuple[str, ...], data: bytes, limit: float, *, last: bool = False) -> str:
    """Run a command with `data` on its stdin for at most `limit` seconds. Return "" or what went wrong.

    The beginning of its output is kept, or the end (`last`).

    Raises:
        OSError: there is no such program, or no more processes.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")  # the command does not inherit the supervisor's own protection
    number = mark.number(f"command {os.getpid()} {now()}", "")
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    with open(os.memfd_create("stdin"), "w+b", buffering=0) as stdin:
        stdin.write(data)
        stdin.seek(0)
        with mark.inherited_by_children(number):
            child = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
    with child:
        said, in_time = _listen(child, now() + limit, last=last)
        if not in_time:
            users = frozenset({os.geteuid()})
            proctree.chase(proctree.Family(number, child.pid, users=users, heir=os.getppid()), child.pid)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
    words_said = " ".join(said.decode(errors="replace").split())
    said_so = f": {words_said}" if words_said else ""
    if not in_time:
        return f"took longer than {limit:g} s and was killed{said_so}"
    if status:
        return f"exit {status}{said_so}" if status > 0 else f"killed by {signal.Signals(-status).name}{said_so}"
    return ""


def _listen(child: subprocess.Popen[bytes], deadline: float, *, last: bool) -> tuple[bytes, bool]:
    """Return the output of the command, and whether it ended before the deadline."""
    assert child.stdout  # noqa: S101 - it was made with a pipe
    pipe, ended = child.stdout.fileno(), os.pidfd_open(child.pid)
    os.set_blocking(pipe, False)
    poll, said = select.poll(), b""
    poll.register(pipe, select.POLLIN)
    poll.register(ended, select.POLLIN)
    try:
        while (left := deadline - now()) > 0:
            ready = dict(poll.poll(left * 1000))
            if pipe in ready:
                block = os.read(pipe, 65536)
                said = (said + block)[-KEPT:] if last else (said + block)[:KEPT]
                if not block:
                    poll.unregister(pipe)
            elif ended in ready:
                return said, True
        return said, False
    finally:
        os.close(ended)
