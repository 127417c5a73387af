"""Hold the FIFOs of every run open, so that the last output of a run is not lost without a reader.

The kernel discards the content of a FIFO that is not open anywhere. The task, the parent and @scribe have it open. But
all three may be gone. The parent and @scribe may be killed. Then the task may write and end before the next supervisor
has opened anything.

So the parent also sends each reading end that it opens into a socket (SCM_RIGHTS, unix(7)). Nobody receives from this
socket. A descriptor in transit is open and belongs to no process. It stays open as long as some process has the
receiving end. The parent, the spawner and @scribe have it. Of these, @scribe may be behind and may not have opened all
FIFOs yet. The cost is one system call per start. It wakes no process and needs no further one.

A message is a single byte, as the descriptors themselves tell which FIFOs they are (/proc/self/fd). So a socket of the
default size has room for some 270 messages of up to `TOGETHER` descriptors. Only the oldest message can be taken back.
So from time to time the parent sends everything again that is still needed, and takes back all older messages. If
there is no room, nothing breaks: the parent alone holds some descriptors, and the next start tries again.

When the parent is gone, the spawner stays (`stay`) until one of these is true:

- Another supervisor has opened all FIFOs.
- There is nothing to hold: no task that could write is left, and all output was read.

The spawner only peeks at the messages, so @scribe can still use them.

One gap remains. If the parent, @scribe and the spawner are all gone, the output of a task that ends then is lost.
"""

from __future__ import annotations

import array
import ctypes
import os
import resource
import select
import socket
import time

from supervisor.host import files, procfs
from supervisor.store import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = 64
"""New messages in transit after which the parent renews them. A socket has room for some 270."""

TOGETHER = 253
"""Descriptors in one message: the maximum of the kernel (SCM_MAX_FD)."""

LOOK_FIRST, LOOK_LAST = 0.1, 5.0
"""The first and the longest interval, in seconds, at which a spawner that stays checks the FIFOs that it holds."""

_SPLICE_F_NONBLOCK = 2
_SO_PEEK_OFF = 42
_IN_MOVED_TO = 0x80

Held = dict[str, int]
"""Reading ends of FIFOs, by path."""

_libc = ctypes.CDLL(None, use_errno=True)


class FdHolder:
    """The parent's end."""

    def __init__(self) -> None:
        """Make the socket, with no descriptor in it.

        Raises:
            OSError: no descriptor is left.
        """
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self.theirs.setblocking(False)
        self._under_way = 0
        self._most = MANY
        self._runtime_dir = ""

    def hold(self, fds: list[int]) -> None:
        """Hold these reading ends from now on.

        Raises:
            OSError: there is no room; `send_again` may make some.
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
        """Whether `send_again` is due."""
        return self._under_way >= self._most

    def send_again(self, everything: Iterable[int]) -> None:
        """Send all descriptors again that are still needed, then take back the earlier messages.

        Raises:
            OSError: there is no room for all of them. Those that fit are held.
        """
        old, ends = self._under_way, list(everything)
        try:
            self.hold(ends)
        except OSError:  # no room for the old messages and the new ones together
            self._take_back(self._under_way)
            self.hold(ends)
        else:
            self._take_back(old)
        self._most = self._under_way + MANY

    def _take_back(self, count: int) -> None:
        for _ in range(count):
            for fd in _receive(self.theirs) or ():
                os.close(fd)
        self._under_way -= count

    def in_charge(self, runtime_dir: str) -> None:
        """Write down that this process holds all FIFOs. A spawner that has stayed may end.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        self._runtime_dir = runtime_dir
        self.renew()

    def is_there(self) -> bool:
        """See `Kept`."""
        return not self._runtime_dir or os.path.exists(layout.fd_holder(self._runtime_dir))

    def renew(self) -> None:
        """See `Kept`."""
        files.replace(layout.fd_holder(self._runtime_dir), identity(os.getpid()).encode())


def identity(pid: int) -> str:
    """Return a name of a process that no later process has, or "" if it is gone or a zombie.

    A process whose socket closes because it is killed may live for a moment longer.
    """
    found = procfs.stat(pid)
    return f"{found.pid} {found.birth}" if found.alive else ""


def _receive(theirs: socket.socket, flags: int = 0) -> list[int] | None:
    """Return the descriptors of one message, or None if there is no message."""
    found = array.array("i")
    try:  # `socket.recv_fds` does not pass flags on, up to Python 3.13 at least
        data, rights, _, _ = theirs.recvmsg(
            1, socket.CMSG_SPACE(TOGETHER * found.itemsize), socket.MSG_CMSG_CLOEXEC | flags
        )
    except BlockingIOError:
        return None
    for _level, _kind, content in rights:
        found.frombytes(content[: len(content) // found.itemsize * found.itemsize])
    return list(found) if data else None


def be_silent() -> None:
    """Close the output of the supervisor, which is gone, so that no reader waits for its end."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)


class Stayer:
    """The end of the spawner process."""

    def __init__(self, theirs: socket.socket) -> None:
        self._theirs = theirs
        self._parent = identity(os.getppid())
        self._executes = False

    def release(self, _path: str, _fds: list[int]) -> None:
        """Note that the parent will execute another program, which will hold everything itself."""
        self._executes = True

    def stay(self) -> None:
        """Hold the descriptors in transit as long as needed."""
        if not self._executes:
            stay(self._theirs, self._parent)


def stay(theirs: socket.socket, parent: str) -> None:
    """Hold the descriptors in transit as long as needed. `parent` is the `identity` of the parent, which is gone."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pipe, watch = os.pipe(), _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    held: Held = {}
    theirs.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, 0)  # each look goes on after the one before
    while (more := _receive(theirs, socket.MSG_PEEK)) is not None:
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
    """Wait for another supervisor. inotify(7) reports it at once. Return False when the time is over."""
    while not _other_in_charge(runtime_dir, parent):
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return False
        os.read(watch, 65536)
    return True


def _needed(path: str, fd: int, pipe: tuple[int, int]) -> bool:
    """Return whether a FIFO still has its name, and has a writer or content. Otherwise close it."""
    found = _libc.tee(fd, pipe[1], 1, _SPLICE_F_NONBLOCK) if os.path.exists(path) else 0
    if found > 0:
        os.read(pipe[0], 1)
    elif found == 0:
        os.close(fd)
    return bool(found)


def _other_in_charge(runtime_dir: str, parent: str) -> bool:
    """Return whether a living supervisor other than ours holds all FIFOs. Return False if that is not known."""
    said = last_in_charge(runtime_dir)
    pid = said.partition(" ")[0]
    try:
        return said not in ("", parent) and pid.isdigit() and said == identity(int(pid))
    except OSError:
        return False


def last_in_charge(runtime_dir: str) -> str:
    """Return the identity of the last supervisor that held all FIFOs, or "" if that is not known."""
    try:
        with open(layout.fd_holder(runtime_dir), encoding="ascii", errors="replace") as file:
            return file.read(100)
    except OSError:
        return ""
