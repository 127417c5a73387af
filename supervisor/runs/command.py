"""Running a command that may do anything: hang, flood, fail, read nothing. For errands, which may wait for it.

It gets its input from memory, so nobody waits for it to read; of what it says the beginning is kept and the rest thrown
away. When its time is over it is killed with all that it began: it has a mark (`mark`), and is chased by that (`kin`).
One that ends by itself may leave something behind in a session of its own, as who delivers mail does; what it leaves
in its process group is killed in any case.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress

from supervisor.host import kin, mark
from supervisor.host.clock import now

KEPT = 400
"""Bytes of its output that are kept: for a line of the log."""

_NOT_FOR_IT = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


def run(words: tuple[str, ...], data: bytes, limit: float, *, last: bool = False) -> str:
    """Runs a command with `data` on its stdin for at most `limit` seconds. Returns "" or what went wrong.

    Of what it says the beginning is kept, or the end (`last`).

    Raises:
        OSError: there is no such program, or no more processes.
    """
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")  # the supervisor's own protection is not for others
    number = mark.number(f"command {os.getpid()} {now()}", "")
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    with open(os.memfd_create("stdin"), "w+b", buffering=0) as stdin:
        stdin.write(data)
        stdin.seek(0)
        with mark.given(number):
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
            kin.chase(kin.Family(number, child.pid), child.pid)
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
    """What it says, until it ends (the second value) or until the deadline."""
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
