"""@spawner: a small process from which every child is forked, so that a fork is cheap however much the parent holds.

It is forked at the very start of the program, before anything else is imported, and does nothing but receive a
launch and fork. The children are the parent's own (clone(2), CLONE_PARENT): the parent sees their ends, and they
are orphaned by its death, not by the spawner's. What is gained, on the machine where this was measured: the parent
spends 0.4 ms on a start in place of 1.0, as it has no pages to copy; a child is at its exec after 1.1 ms in place
of 2.4; and no child ever holds a copy of the parent's memory, its lock or its sockets, not even before its exec.

A spawner that dies or does not answer is replaced by a new one, forked from the parent as it is then: a bit larger.

This module is what the spawner consists of; it imports as little as it can.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import marshal
import os
import signal
import socket
import sys

from supervisor.host import child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

CLONE_PARENT = 0x00008000
_SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
"""The number of clone(2). glibc's fork() has no flags, and clone3 is refused in many containers."""

PATIENCE = 2.0
"""Seconds after which a spawner that does not answer is replaced. It does nothing that could take long."""

_python = ctypes.PyDLL(None, use_errno=True)


class Spawner:
    """The parent's end."""

    def __init__(self) -> None:
        """Forks the spawner.

        Raises:
            OSError: no process or descriptor is left.
        """
        self._pid, self._socket = _start()

    def spawn(self, spec: child.Spec, channel: int) -> int:
        """Has a child made of the launch, with its end of the channel. Returns its pid.

        Raises:
            OSError: no child could be made.
        """
        try:
            return self._ask(spec, channel)
        except (TimeoutError, BrokenPipeError, ConnectionResetError, EOFError):
            self.close()
            self._pid, self._socket = _start()
            try:
                return self._ask(spec, channel)
            except (TimeoutError, EOFError) as error:
                raise OSError(errno.EAGAIN, "the spawner does not answer") from error

    def close(self) -> None:
        """Ends it."""
        self._socket.close()
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _ask(self, spec: child.Spec, channel: int) -> int:
        data = marshal.dumps(dict(spec))
        data = len(data).to_bytes(4, "little") + data
        sent = socket.send_fds(self._socket, [data], [channel])
        self._socket.sendall(data[sent:])
        answer = self._socket.recv(4, socket.MSG_WAITALL)
        if len(answer) < 4:
            raise EOFError
        pid = int.from_bytes(answer, "little", signed=True)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid


def _start() -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            ours.close()
            _serve(theirs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    theirs.close()
    ours.settimeout(PATIENCE)
    return pid, ours


def _serve(parent: socket.socket) -> NoReturn:
    """The spawner's life: until the parent hangs up."""
    try:
        _prepare(parent)
        while True:
            length, ancillary, _, _ = parent.recvmsg(4, 64)
            if not length:
                break
            channel = int.from_bytes(ancillary[0][2], sys.byteorder)
            os.set_inheritable(channel, False)
            spec = marshal.loads(parent.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL))  # noqa: S302
            pid = _clone(as_python=bool(spec["python"]))
            if pid == 0:
                child.become(spec, channel)
            os.close(channel)
            parent.sendall(pid.to_bytes(4, "little", signed=True))
    except BaseException:  # noqa: BLE001 - it must never run on as a second parent
        sys.excepthook(*sys.exc_info())
    os._exit(0)


def _prepare(parent: socket.socket) -> None:
    """Out of the way of the terminal's signals, with nothing open but what it needs, and as children shall be."""
    os.setpgid(0, 0)
    for name in child.OWN_VARIABLES:
        os.environ.pop(name, None)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    keep = parent.fileno()
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
    except OSError:  # it may only be raised, and was below already: then children keep it as well
        pass
    gc.disable()
    gc.freeze()


def _clone(*, as_python: bool) -> int:
    """As fork(2), but the child is the caller's sibling. Returns a negative errno when there is none.

    A child that will execute a program needs nothing of what CPython does after a fork (locks, hooks of modules):
    there is one thread before and after, and what is not done need not be paid for.
    """
    number = _SYS_CLONE.get(os.uname().machine)
    if number is None:
        return -errno.ENOSYS
    if as_python:
        _python.PyOS_BeforeFork()
    pid = int(_python.syscall(number, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))
    if as_python and pid == 0:
        _python.PyOS_AfterFork_Child()
    elif as_python:
        _python.PyOS_AfterFork_Parent()
    return pid if pid >= 0 else -ctypes.get_errno()
