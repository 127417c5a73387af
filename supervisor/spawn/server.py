"""Run a spawner process after the fork: it obeys the parent, and may outlive it.

It imports as little as it can. It consists of parts, each with an order of its own (`orders`). One part makes children:
each waits on its own channel for its launch. When the parent's socket closes, the process stays as long as a part has
something to do.
"""

from __future__ import annotations

import errno
import gc
import marshal
import os
import signal
import socket
import sys
from contextlib import suppress
from os import close, read  # see `child`
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

from supervisor.spawn import child, clone, fd_holder, orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def serve(parent: socket.socket, *parts: orders.Part) -> NoReturn:
    """Run the process until the parent's socket is closed and no part has anything left to do."""
    try:
        _prepare(parent.fileno(), *(fd for part in parts for fd in part.needs))
        for part in parts:
            part.begin()
        gc.freeze()
        obeying = {part.order: part for part in parts}
        while received := orders.receive(parent):
            order, path, fds = received
            obeying[order].obey(path, fds)
        parent.close()
        fd_holder.be_silent()
        for part in parts:
            part.stay()
    except BaseException:  # noqa: BLE001 - it must never run on as a second parent
        sys.excepthook(*sys.exc_info())
    os._exit(0)


class Maker:
    """Makes children."""

    def __init__(self, parent: socket.socket, open_files: tuple[int, int], tree: str) -> None:
        """`open_files` are the limits of the children. `tree` is the supervisor's tree of cgroups, or ""."""
        self._parent = parent
        self._open_files = open_files
        self._tree = tree
        self._into = False  # whether a child can be cloned into a cgroup

    def begin(self) -> None:
        """See `orders.Part`."""
        most = self._open_files[1]
        setrlimit(RLIMIT_NOFILE, (most, most))  # other parts may hold many descriptors
        self._into = bool(self._tree) and clone.into_works(f"{self._tree}/trial")

    def make(self, text: str, fds: list[int]) -> None:
        """Make a child for each path in the text. The descriptors are their channels."""
        parent, (soft, hard) = self._parent.fileno(), self._open_files
        paths = orders.paths_of(text)

        def begin(number: int) -> NoReturn:
            channel = fds.pop(number)
            for fd in (parent, *fds):  # as long as a channel is open here, its own child seems not to have closed it
                close(fd)
            _become(channel, soft, hard)

        made = clone.make(paths[: len(fds)], begin, into=self._into)
        for fd in fds:
            close(fd)
        made += [(-errno.EMFILE, False)] * (len(paths) - len(fds))  # no descriptor was left for their channels
        with suppress(BrokenPipeError, ConnectionResetError):  # the parent has closed its socket meanwhile
            self._parent.send(orders.answer(made))


def _prepare(*needed: int) -> None:
    """Leave the terminal's process group, close all other descriptors, and set the state that children inherit."""
    os.setpgid(0, 0)
    for name in (*child.OWN_VARIABLES, *child.OF_A_FIRING):
        os.environ.pop(name, None)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)  # which children inherit
    begin = 3
    for fd in sorted(needed):
        os.closerange(begin, fd)
        begin = fd + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("0")
    except OSError:  # it may only be raised, and was below 0 already: then children keep it as well
        pass
    for name in child.VARIABLES:  # a child sets variables that exist already, which is cheap
        os.putenv(name, "")
    for function, arguments in ((os.execv, ("/", ("/",))), (os.setsid, ())):
        with suppress(OSError):  # it must fail, but it is looked up now, and not in each child
            function(*arguments)
    gc.disable()


def _become(channel: int, soft: int, hard: int) -> NoReturn:
    """Wait in a child for its launch, then become the program. If the parent closes its socket, end.

    `soft` and `hard` limit its open files.
    """
    try:
        hard = min(hard, getrlimit(RLIMIT_NOFILE)[1])  # ours may have been lowered
        setrlimit(RLIMIT_NOFILE, (min(soft, hard), hard))
        child.begin()
        length = int.from_bytes(_read(channel, 4), "little")
        data = _read(channel, length)
        child.become(marshal.loads(data), channel)  # noqa: S302 - the parent wrote it
    except ConnectionResetError:
        pass
    except BaseException:  # noqa: BLE001 - it must never run on as a second spawner
        sys.excepthook(*sys.exc_info())
    os._exit(child.NEVER_BEGAN)


def _read(channel: int, length: int) -> bytes:
    """Read exactly `length` bytes. End the process if there are fewer."""
    data = b""
    while len(data) < length:
        block = read(channel, length - len(data))
        if not block:
            os._exit(child.NEVER_BEGAN)
        data += block
    return data
