"""The life of @spawner, once it was forked (`spawner` is the parent's end): it obeys the parent, and outlives it.

It imports as little as it can. Order by order, over a socket that keeps messages apart: it makes a child, which waits
on a channel of its own for its launch; it removes the cgroup of a run that is over; it holds a notify socket. When the
parent hangs up, it stays for as long as it must hold what tasks have written (`keeper`) or said (`unheard`).
"""

from __future__ import annotations

import gc
import marshal
import os
import resource
import signal
import socket
import sys
from contextlib import suppress

from supervisor.host import cgroup, child, clone, keeper, procfs, unheard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MAKE, REMOVE, HOLD, DROP, EXECUTE = b"+", b"-", b"h", b"d", b"x"
"""The words of the parent: make a child in this cgroup; remove a cgroup; hold a notify socket; let it go; I shall
execute another program, which has what `keeper` holds."""


def serve(parent: socket.socket, open_files: tuple[int, int], tree: str, kept: socket.socket) -> NoReturn:
    """The spawner's life: until the parent has hung up and nothing of the tasks is to be held."""
    try:
        whose = keeper.identity(os.getppid())
        _prepare(parent.fileno(), kept.fileno())
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files[1], open_files[1]))  # it may hold many sockets
        if tree:
            cgroup.clear_old(tree, lambda pid, birth: procfs.birth(pid) == birth)
        sockets = unheard.Holder()
        executes = _obey(parent, tree, open_files, sockets)
        parent.close()
        keeper.be_silent()
        sockets.serve()
        if not executes:
            keeper.stay(kept, whose)
    except BaseException:  # noqa: BLE001 - it must never run on as a second parent
        sys.excepthook(*sys.exc_info())
    os._exit(0)


def _obey(parent: socket.socket, tree: str, open_files: tuple[int, int], sockets: unheard.Holder) -> bool:
    """Does what it is told, until the parent hangs up. Returns whether it executes another program then."""
    executes = False
    into = bool(tree) and clone.into_works(f"{tree}/trial")
    used: set[str] = set()  # cgroups of runs that are over
    while order := _next_order(parent):
        word, path, fd = order
        if word == REMOVE:
            used = {old for old in (*used, path) if not _removed(old, tree)}
        elif word == HOLD:
            sockets.hold(path, fd)
        elif word == DROP:
            sockets.drop(path)
        elif word == EXECUTE:
            executes = True
        else:
            _answer(parent, fd, *clone.make(path, into=into), open_files)
    return executes


def _next_order(parent: socket.socket) -> tuple[bytes, str, int] | None:
    """A word, a path, a descriptor or -1. None: the parent has hung up."""
    try:
        order, ancillary, _, _ = parent.recvmsg(8192, 64, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:  # it has left an answer unread; what it had said before that is still to be heard
        return _next_order(parent)
    fd = int.from_bytes(ancillary[0][2], sys.byteorder) if ancillary else -1
    return (order[:1], order[1:].decode(), fd) if order else None


def _answer(parent: socket.socket, channel: int, pid: int, inside: bool, open_files: tuple[int, int]) -> None:
    """Tells of a child that was made; or becomes it."""
    if pid == 0:
        parent.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
        _wait_for_launch(channel)
    os.close(channel)
    with suppress(BrokenPipeError, ConnectionResetError):  # it has hung up in the middle of something
        parent.send(pid.to_bytes(4, "little", signed=True) + bytes([inside]))


def _removed(path: str, tree: str) -> bool:
    """With its group, if this was the last run in it; and with the tree, if that was an earlier supervisor's."""
    gone, above = cgroup.remove(path), os.path.dirname(path)
    if gone and os.path.basename(above).startswith("@"):
        with suppress(OSError):  # others are in it; one that has ended is still to be asked how
            os.rmdir(above)
        above = os.path.dirname(above)
    if gone and above != tree:
        with suppress(OSError):
            os.rmdir(above)
    return gone


def _prepare(*needed: int) -> None:
    """Out of the way of the terminal's signals, with nothing open but what it needs, and as children shall be."""
    os.setpgid(0, 0)
    for name in child.OWN_VARIABLES:
        os.environ.pop(name, None)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    begin = 3
    for fd in sorted(needed):
        os.closerange(begin, fd)
        begin = fd + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
    except OSError:  # it may only be raised, and was below already: then children keep it as well
        pass
    for name in child.VARIABLES:  # as they are there already, to set them is cheap
        os.putenv(name, "")
    gc.disable()
    gc.freeze()


def _wait_for_launch(channel: int) -> NoReturn:
    """The life of a child until it knows what it will be. If the parent hangs up, it will be nothing."""
    try:
        failure = child.get_ready()
        length = int.from_bytes(_read(channel, 4), "little")
        data = _read(channel, length)
        child.become(marshal.loads(data), channel, failure)  # noqa: S302 - the parent wrote it
    except ConnectionResetError:
        pass
    except BaseException:  # noqa: BLE001 - it must never run on as a second spawner
        sys.excepthook(*sys.exc_info())
    os._exit(0)


def _read(channel: int, length: int) -> bytes:
    """So many bytes, or the end of the process when there are no more."""
    data = b""
    while len(data) < length:
        block = os.read(channel, length - len(data))
        if not block:
            os._exit(0)
        data += block
    return data
