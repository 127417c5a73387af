"""What a run said last is not lost with it: somebody always holds its FIFOs, also when nobody reads them.

What is in a FIFO is gone as soon as nobody has it open. The task has it open, and so have the parent and @scribe. But
all three may be gone: a task may say something and end after both others were killed, before the next supervisor has
opened anything. So each reading end that the parent opens is also sent into a socket (SCM_RIGHTS, unix(7)) from which
nobody receives. A descriptor that is under way is open, and this one belongs to no process: it is there as long as
somebody has the receiving end, which is the spawner, besides the parent. It costs a system call per start; nobody
is woken by it, and there is no process more.

When the parent is gone, the spawner stays (`stay`): until another supervisor has opened them all, or until there is
nothing to hold any more, as no task that could write is left and all was read.

What remains: without the parent, @scribe and the spawner nobody holds what a task says that ends then.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "keeper"
"""The file of the runtime directory in which the supervisor that holds everything writes its pid."""

MANY = 64
"""Messages under way from which what is not needed any more is taken back; a socket has room for some 250."""

TOGETHER = 200
"""Descriptors in one message; the kernel allows 253."""

LOOK_EVERY = 0.1
"""Seconds between two looks of the spawner that stays: it happens after a crash only, and not for long."""

_SPLICE_F_NONBLOCK = 2

Held = dict[str, int]
"""Reading ends of FIFOs, by path."""

_tee = ctypes.CDLL(None, use_errno=True).tee


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

    def put(self, held: Held) -> None:
        """These are held from now on.

        Raises:
            OSError: too many are.
        """
        paths = [os.fsencode(path) for path in held]
        socket.send_fds(self._ours, [b"\0".join(paths)], list(held.values()))
        self._under_way += 1

    @property
    def full(self) -> bool:
        """Whether `renew` is due."""
        return self._under_way >= self._most

    def renew(self, everything: Iterable[tuple[str, int]]) -> None:
        """All that shall still be held is sent once more, then what was sent before is taken back.

        Raises:
            OSError: too many are.
        """
        old, ends = self._under_way, list(everything)
        for begin in range(0, len(ends), TOGETHER):
            self.put(dict(ends[begin : begin + TOGETHER]))
        for _ in range(old):
            for fd in _receive(self.theirs).values():
                os.close(fd)
        self._under_way -= old
        self._most = self._under_way + MANY

    def in_charge(self, runtime_dir: str) -> None:
        """Everything is held here: a spawner that has stayed may go.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        with open(f"{runtime_dir}/{NAME}", "w", encoding="utf-8") as file:
            file.write(str(os.getpid()))


def _receive(theirs: socket.socket) -> Held:
    """One message; nothing when none is there."""
    try:
        data, fds, _, _ = socket.recv_fds(theirs, 1 << 18, 253)
    except BlockingIOError:
        return {}
    return dict(zip(map(os.fsdecode, data.split(b"\0")), fds, strict=False))


def be_silent() -> None:
    """Nobody shall wait for the end of what the supervisor says, which is gone."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)


def stay(theirs: socket.socket, parent: int) -> None:
    """The spawner's end, when the parent is gone, whose pid is given: holds what was under way, as long as needed."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held: Held = {}
    while more := _receive(theirs):
        for path, fd in more.items():
            if path in held:
                os.close(held[path])
            held[path] = fd
    while held := {path: fd for path, fd in held.items() if _needed(path, fd)}:
        if _other_in_charge(next(iter(held)), parent):
            return
        time.sleep(LOOK_EVERY)


def _needed(path: str, fd: int) -> bool:
    """Whether somebody may write to it, or something is in it, and a supervisor may find it by its name."""
    read, write = os.pipe()
    needed = os.path.exists(path) and _tee(fd, write, 1, _SPLICE_F_NONBLOCK) != 0
    for one in (read, write) if needed else (read, write, fd):
        os.close(one)
    return needed


def _other_in_charge(fifo: str, parent: int) -> bool:
    """Whether another supervisor holds everything."""
    try:
        with open(f"{os.path.dirname(os.path.dirname(fifo))}/{NAME}", encoding="utf-8") as file:
            return file.read() not in ("", str(parent))
    except OSError:
        return False
