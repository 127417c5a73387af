"""What a run said last is not lost with it: somebody always holds its FIFOs, also when nobody reads them.

What is in a FIFO is gone as soon as nobody has it open. The task has it open, and so have the parent and @scribe. But
all three may be gone: a task may say something and end after both others were killed, before the next supervisor has
opened anything. So each reading end that the parent opens is also sent into a socket (SCM_RIGHTS, unix(7)) from which
nobody receives. A descriptor that is under way is open, and this one belongs to no process: it is there as long as
somebody has the receiving end, which is the spawner, besides the parent. It costs a system call per start; nobody
is woken by it, and there is no process more.

A message is a mere byte, as the descriptors themselves tell which FIFOs they are (/proc/self/fd). So a socket of the
default size has room for some 270 messages of up to `TOGETHER` descriptors. Nothing can be taken back but the oldest
message; so now and then everything that is still needed is sent once more, and all that is older is taken back. If
there is no room, nothing is broken: some of it is held by the parent alone then, and the next start tries again.

When the parent is gone, the spawner stays (`stay`): until another supervisor has opened them all, or until there is
nothing to hold any more, as no task that could write is left and all was read.

What remains: without the parent, @scribe and the spawner nobody holds what a task says that ends then.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import socket
import time

from supervisor.host import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "keeper"
"""The file of the runtime directory in which the supervisor that holds everything says which process it is."""

MANY = 64
"""Messages under way from which what is not needed any more is taken back; a socket has room for some 270."""

TOGETHER = 253
"""Descriptors in one message: what the kernel allows (SCM_MAX_FD)."""

LOOK_FIRST, LOOK_LAST = 0.1, 5.0
"""Seconds between two looks of the spawner that stays at what it holds: more and more, as nobody comes."""

_SPLICE_F_NONBLOCK = 2
_IN_MOVED_TO = 0x80

Held = dict[str, int]
"""Reading ends of FIFOs, by path."""

_libc = ctypes.CDLL(None, use_errno=True)


class Keeper:
    """The parent's end."""

    def __init__(self) -> None:
        """Holds nothing.

        Raises:
            OSError: no descriptor is left.
        """
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self.theirs.setblocking(False)
        self._under_way = 0
        self._most = MANY

    def put(self, fds: list[int]) -> None:
        """These reading ends are held from now on.

        Raises:
            OSError: there is no room; `renew` may make some.
        """
        try:
            for begin in range(0, len(fds), TOGETHER):
                socket.send_fds(self._ours, [b"."], fds[begin : begin + TOGETHER])
                self._under_way += 1
        except OSError:
            self._most = 0
            raise

    @property
    def full(self) -> bool:
        """Whether `renew` is due."""
        return self._under_way >= self._most

    def renew(self, everything: Iterable[int]) -> None:
        """All that shall still be held is sent once more, then what was sent before is taken back.

        Raises:
            OSError: there is no room for all of it. What there is room for is held.
        """
        old, ends = self._under_way, list(everything)
        try:
            self.put(ends)
        except OSError:  # for both, that is
            self._take_back(self._under_way)
            self.put(ends)
        else:
            self._take_back(old)
        self._most = self._under_way + MANY

    def _take_back(self, count: int) -> None:
        for _ in range(count):
            for fd in _receive(self.theirs) or ():
                os.close(fd)
        self._under_way -= count

    def in_charge(self, runtime_dir: str) -> None:
        """Everything is held here: a spawner that has stayed may go.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        with open(f"{runtime_dir}/{NAME}.new", "w", encoding="utf-8") as file:
            file.write(identity(os.getpid()))
        os.rename(f"{runtime_dir}/{NAME}.new", f"{runtime_dir}/{NAME}")


def identity(pid: int) -> str:
    """A name of a process that no later one has; of one that is gone, or a zombie, "".

    One that hangs up because it is killed may live for a moment longer.
    """
    found = procfs.stat(pid)
    return f"{found.pid} {found.birth}" if found.alive else ""


def _receive(theirs: socket.socket) -> list[int] | None:
    """The descriptors of one message; None when there is no more."""
    try:
        data, fds, _, _ = socket.recv_fds(theirs, 1, TOGETHER, socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return None
    return fds if data else None


def be_silent() -> None:
    """Nobody shall wait for the end of what the supervisor says, which is gone."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)


def stay(theirs: socket.socket, parent: str) -> None:
    """The spawner's end, when the parent of this `identity` is gone: holds what was under way, as long as needed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pipe, watch = os.pipe(), _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    held: Held = {}
    while (more := _receive(theirs)) is not None:
        for fd in more:
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path in held:
                os.close(held[path])
            held[path] = fd
    if not held:
        return
    runtime_dir = os.path.dirname(os.path.dirname(next(iter(held))))
    poll = select.poll()
    if _libc.inotify_add_watch(watch, os.fsencode(runtime_dir), _IN_MOVED_TO) >= 0:
        poll.register(watch, select.POLLIN)
    interval = LOOK_FIRST
    while held := {path: fd for path, fd in held.items() if _needed(path, fd, pipe)}:
        if _succeeded(runtime_dir, parent, poll, watch, time.monotonic() + interval):
            return
        interval = min(2 * interval, LOOK_LAST)


def _succeeded(runtime_dir: str, parent: str, poll: select.poll, watch: int, until: float) -> bool:
    """Waits for another supervisor, which is seen at once, by inotify(7). False: the time is over."""
    while not _other_in_charge(runtime_dir, parent):
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return False
        os.read(watch, 65536)
    return True


def _needed(path: str, fd: int, pipe: tuple[int, int]) -> bool:
    """Whether somebody may write to it, or something is in it, and a supervisor may find it by its name."""
    found = _libc.tee(fd, pipe[1], 1, _SPLICE_F_NONBLOCK) if os.path.exists(path) else 0
    if found > 0:
        os.read(pipe[0], 1)
    elif found == 0:
        os.close(fd)
    return bool(found)


def _other_in_charge(runtime_dir: str, parent: str) -> bool:
    """Whether another supervisor than ours holds everything, and lives."""
    said = last_in_charge(runtime_dir)
    pid = said.partition(" ")[0]
    return said not in ("", parent) and pid.isdigit() and said == identity(int(pid))


def last_in_charge(runtime_dir: str) -> str:
    """The identity of the supervisor that holds everything, or was the last to do so; "" when that is not known."""
    try:
        with open(f"{runtime_dir}/{NAME}", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
