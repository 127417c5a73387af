"""Keep the tasks' notify sockets, with their queued messages, while there is no supervisor.

A datagram socket lives as long as some process has it open. A crash of the parent does not affect the spawner. So the
parent gives each notify socket to the spawner as well.

When the parent's socket closes, by a death or an exec, the spawner stays:

1. It listens on its own socket below the runtime directory and waits for the next supervisor.
2. It gives all notify sockets to that supervisor.
3. The new supervisor answers when its own spawner has the sockets. Then the old spawner ends.

If the new supervisor dies before it answers, nothing is lost: the old spawner still has the sockets. `fd_holder` holds
the output of tasks in another way: a FIFO can be opened again by its name, a socket cannot.

Nobody reads the sockets meanwhile. A task that fills its queue (net.unix.max_dgram_qlen) waits, as it does for its
output. So the spawner closes the sockets after `HELD_FOR` seconds without a successor. After that the kernel refuses
messages of tasks, as if there were no service manager.

Two kinds of messages are lost:

- Messages that are sent after the sockets were closed.
- All messages, if the spawner is killed together with the supervisor.

The spawner holds the pidfd of each living run in the same way (`run_path`). So the kernel can tell the next supervisor
how a run has ended meanwhile (see `runs.fdstore`). A pidfd blocks nothing, so the spawner keeps it. It closes the
pidfd when the next supervisor has it. It also does so when every run has ended and no supervisor has come for
`ENDS_FOR` seconds after that.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from contextlib import suppress

from supervisor.store import layout

TYPE_CHECKING = False  # this is a part of the spawner, which must stay small
if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_FOR = 10.0
"""Seconds for which the spawner keeps the sockets. RestartSec= of the unit is one second.

The time is short because everybody may write to the sockets. If a stranger fills the queue, the task waits that long.
"""

ENDS_FOR = 60.0
"""Seconds for which the spawner keeps the pidfds after the last run has ended."""

PATIENCE = 1.0
"""Seconds for which a new supervisor waits for an old spawner. It answers at once, unless a signal has stopped it."""

AT_ONCE = 64
"""Sockets in one message. The kernel allows 253."""

THATS_ALL, TAKEN = b".", b"k"

_PIDFDS = os.path.basename(os.path.dirname(layout.pidfd("", "")))


def _is_run(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) == _PIDFDS


def folder(path: str) -> str:
    """Return the directory with the sockets of old spawners, from the path of a notify socket."""
    return layout.notify_holders(os.path.dirname(os.path.dirname(path)))


class NotifyHolder:
    """The spawner's end."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._listens: socket.socket | None = None
        self._place = ""

    def hold(self, path: str, fds: list[int]) -> None:
        """Hold this descriptor from now on. None: its run is over, or no descriptor was left to receive it."""
        self.drop(path)
        if not fds:
            return
        self._held[path] = fds[0]
        if self._listens is None:
            with suppress(OSError):  # then no supervisor finds us, and the sockets end with us
                self._listen(folder(path))

    def _listen(self, where: str) -> None:
        os.makedirs(where, mode=0o700, exist_ok=True)
        self._place = f"{where}/{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(self._place)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made.bind(self._place)
        os.chmod(self._place, 0o600)
        made.listen(4)
        self._listens = made

    def drop(self, path: str) -> None:
        """Close the descriptor with this path."""
        fd = self._held.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def serve(self) -> None:
        """Wait for the next parent and give it everything. The old parent is gone."""
        if self._listens is None:
            return
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        poll = select.poll()
        poll.register(self._listens, select.POLLIN)
        living = {fd for path, fd in self._held.items() if _is_run(path)}
        for fd in living:
            poll.register(fd, select.POLLIN)
        given, end = False, time.monotonic() + HELD_FOR
        while self._held and not given and (living or time.monotonic() < end):
            ready = self._wait(poll, end, forever=bool(living))
            if self._listens.fileno() in ready:
                with suppress(OSError):  # the next parent has died meanwhile
                    given = self._give(self._listens.accept()[0])
            for fd in ready & living:
                poll.unregister(fd)
            if living and living <= ready:
                end = time.monotonic() + ENDS_FOR
            living -= ready
        self._listens.close()
        for path in list(self._held):
            self.drop(path)
        with suppress(FileNotFoundError):
            os.unlink(self._place)

    def _wait(self, poll: select.poll, end: float, *, forever: bool) -> set[int]:
        """Return the descriptors that are ready by `end`. After that, hold only pidfds and no socket."""
        left = max(0.0, end - time.monotonic())
        if not left:
            for path in [path for path in self._held if not _is_run(path)]:
                self.drop(path)
        return {fd for fd, _ in poll.poll(None if forever and not left else left * 1000)}

    def _give(self, taker: socket.socket) -> bool:
        """Give everything to the next supervisor. Return whether its own spawner holds it now."""
        with taker:
            paths = list(self._held)
            for begin in range(0, len(paths), AT_ONCE):
                some = paths[begin : begin + AT_ONCE]
                socket.send_fds(taker, [os.fsencode("\0".join(some))], [self._held[path] for path in some])
            taker.send(THATS_ALL)
            return taker.recv(1) == TAKEN


class Inherited:
    """The parent's end: the descriptors that it gets from the spawners of earlier supervisors."""

    def __init__(self) -> None:
        self._back: dict[str, int] = {}
        self._givers: list[socket.socket] = []

    def fetch(self, runtime_dir: str) -> None:
        """Take the descriptors of all old spawners. Ignore one that gives no answer: it ends by itself."""
        where = layout.notify_holders(runtime_dir)
        with suppress(FileNotFoundError):
            for name in os.listdir(where):
                giver = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                giver.settimeout(PATIENCE)
                try:
                    giver.connect(f"{where}/{name}")
                    for path, fd in _given(giver):
                        self.close(path)
                        self._back[path] = fd
                except (ConnectionRefusedError, FileNotFoundError):  # it is gone
                    giver.close()
                    with suppress(FileNotFoundError):
                        os.unlink(f"{where}/{name}")
                except OSError:
                    giver.close()
                else:
                    self._givers.append(giver)

    def take(self, path: str) -> socket.socket | None:
        """Return the socket of a run, with its queued messages."""
        fd = self._back.pop(path, -1)
        return None if fd < 0 else socket.socket(fileno=fd)

    def pidfds(self) -> dict[str, int]:
        """Return the pidfds, by name, of runs that lived when an earlier supervisor ended. The caller closes them."""
        paths = [path for path in self._back if _is_run(path)]
        return {os.path.basename(path): self._back.pop(path) for path in paths}

    def close(self, path: str) -> None:
        """Close the descriptor of a run that is over."""
        fd = self._back.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def end_old_spawners(self) -> None:
        """Let the old spawners end. Our own spawner holds all that is still needed."""
        for path in list(self._back):
            self.close(path)
        for giver in self._givers:
            with suppress(OSError):
                giver.send(TAKEN)
            giver.close()
        self._givers = []


def _given(giver: socket.socket) -> Iterator[tuple[str, int]]:
    """Receive paths and descriptors until the final message.

    Raises:
        OSError: the connection ended too early, or some descriptors did not arrive.
    """
    while True:
        data, fds, _, _ = socket.recv_fds(giver, 1 << 16, AT_ONCE, socket.MSG_CMSG_CLOEXEC)
        for fd in fds:  # `recv_fds` does not pass flags on
            os.set_inheritable(fd, False)
        if data == THATS_ALL:
            return
        if not data:
            raise ConnectionResetError
        paths = os.fsdecode(data).split("\0")
        yield from zip(paths, fds, strict=False)
        if len(fds) < len(paths):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
