"""What tasks say while there is no supervisor: their notify sockets outlive it, with all that waits in them.

A datagram socket lives as long as somebody has it open. So the spawner, which has nothing to do with a crash of the
parent, gets each notify socket as well. When the parent hangs up, by a death or an exec, the spawner stays: it waits
for the next supervisor, on a socket of its own below the runtime directory, and gives it all of them. That one says
when its own spawner has them; then the old one ends. A supervisor that dies before it has said so has taken nothing
away. (What tasks have written is held in another way, see `keeper`: a FIFO can be opened again by its name, a socket
cannot.)

Nobody reads meanwhile. A task whose words fill its queue (net.unix.max_dgram_qlen) waits, as it does for its output;
so after `HELD_FOR` seconds without a successor the sockets are closed, and who speaks then is refused, as by any
service manager that is not there. What is lost: what is said after that, and all of it when the spawner is killed
together with the supervisor.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from contextlib import suppress

TYPE_CHECKING = False  # this is a part of the spawner, which must stay small
if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_FOR = 10.0
"""Seconds for which the sockets are kept: RestartSec= of the unit is one. No longer, as everybody may write to them,
and a task whose queue a stranger has filled waits for as long."""

PATIENCE = 1.0
"""Seconds for which a new supervisor waits for an old spawner. It answers at once, unless somebody has stopped it."""

AT_ONCE = 64
"""Sockets in one message; the kernel takes 253."""

THATS_ALL, TAKEN = b".", b"k"


def folder(path: str) -> str:
    """Where old spawners are to be found, by the path of a notify socket."""
    return f"{os.path.dirname(os.path.dirname(path))}/unheard"


class Holder:
    """The spawner's end."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._listens: socket.socket | None = None
        self._place = ""

    def hold(self, path: str, fd: int) -> None:
        """From now on the socket with this path lives on."""
        self.drop(path)
        if fd < 0:  # it did not come through: no descriptor is left
            return
        self._held[path] = fd
        if self._listens is None:
            with suppress(OSError):  # then nobody will find us, and the sockets end with us
                self._listen(folder(path))

    def _listen(self, where: str) -> None:
        os.makedirs(where, mode=0o700, exist_ok=True)
        self._place = f"{where}/{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(self._place)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made.bind(self._place)
        made.listen(4)
        self._listens = made

    def drop(self, path: str) -> None:
        """Its run is over."""
        fd = self._held.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def serve(self) -> None:
        """The parent is gone: waits for the next one, and gives it everything."""
        if self._listens is None:
            return
        given = False
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        end = time.monotonic() + HELD_FOR
        poll = select.poll()
        poll.register(self._listens, select.POLLIN)
        while self._held and not given and poll.poll(max(0.0, end - time.monotonic()) * 1000):
            with suppress(OSError):  # it has died of something meanwhile
                given = self._give(self._listens.accept()[0])
        self._listens.close()
        for path in list(self._held):
            self.drop(path)
        with suppress(FileNotFoundError):
            os.unlink(self._place)

    def _give(self, taker: socket.socket) -> bool:
        """Returns whether it has them, and will not lose them."""
        with taker:
            paths = list(self._held)
            for begin in range(0, len(paths), AT_ONCE):
                some = paths[begin : begin + AT_ONCE]
                socket.send_fds(taker, ["\0".join(some).encode()], [self._held[path] for path in some])
            taker.send(THATS_ALL)
            return taker.recv(1) == TAKEN


class Unheard:
    """The parent's end: what the spawners of earlier supervisors have given."""

    def __init__(self) -> None:
        self._back: dict[str, int] = {}
        self._givers: list[socket.socket] = []

    def fetch(self, runtime_dir: str) -> None:
        """Takes what they have. One that gives no answer is left alone: it ends by itself."""
        where = f"{runtime_dir}/unheard"
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
        """The socket of a run, with all that waits in it."""
        fd = self._back.pop(path, -1)
        return None if fd < 0 else socket.socket(fileno=fd)

    def close(self, path: str) -> None:
        """That of a run that is over."""
        fd = self._back.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def settled(self) -> None:
        """Our own spawner holds what is still needed: who had it may end."""
        for path in list(self._back):
            self.close(path)
        for giver in self._givers:
            with suppress(OSError):
                giver.send(TAKEN)
            giver.close()
        self._givers = []


def _given(giver: socket.socket) -> Iterator[tuple[str, int]]:
    """What comes, up to the end of it.

    Raises:
        OSError: it ended in the middle, or not all of it came through.
    """
    while True:
        data, fds, _, _ = socket.recv_fds(giver, 1 << 16, AT_ONCE, socket.MSG_CMSG_CLOEXEC)
        if data == THATS_ALL:
            return
        if not data:
            raise ConnectionResetError
        paths = data.decode().split("\0")
        yield from zip(paths, fds, strict=False)
        if len(fds) < len(paths):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
