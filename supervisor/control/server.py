"""The server's end of the control socket. A slow, huge or malicious client costs only itself.

Every descriptor is non-blocking; every client has a bound on what it may send, on what may wait to be
sent to it, and on how long it may be idle. When all places are taken the longest idle client of the user who
has most of them makes room, so that no user can lock out another one.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from supervisor.control import wire
from supervisor.control.access import Peer, may_speak, peer_of, program_of
from supervisor.host import procfs
from supervisor.host.interface import Occurrence, Request
from supervisor.host.loop import Loop

MAX_CLIENTS = 64
IDLE = 30.0
"""Seconds that a client may take to send a request, or to take an answer."""

MAX_UNSENT = 4 << 20
"""Bytes of a stream that may wait for its client; one that falls behind further is cut off."""


REST = 1.0
"""Seconds without a look at who wants to connect, after nobody could be accepted."""

FORBIDDEN = "permission denied: only root, the supervisor's owner and the members of socket_group may control it"


class InUseError(Exception):
    """Another supervisor lives at this socket."""


class Client:
    """One connection: where answers go. One request at a time; nothing more is read until its answer is out."""

    def __init__(self, server: Server, connection: socket.socket, peer: Peer, now: float) -> None:
        self.peer = peer
        self.by = server.name_of(peer.uid)
        self.active = now  # the last moment at which it did something
        self.waiting = False  # an answer is being prepared: not idle
        self.on_close: Callable[[], None] | None = None
        self._server = server
        self._socket = connection
        self._received = bytearray()
        self._unsent = bytearray()
        self._mask = select.EPOLLIN
        self._ended = False  # it has sent its end, and may still read: `echo … | socat`
        self._surplus: int | None = None  # bytes of a request that is too long: so many more are thrown away

    @property
    def closed(self) -> bool:
        """Whether nobody is there any more."""
        return self._socket.fileno() < 0

    def who(self) -> dict[str, Any]:
        """See `wait.Asker`."""
        return {"user": self.by, "uid": self.peer.uid, "pid": self.peer.pid, "program": program_of(self.peer.pid)}

    def answer(self, value: object) -> None:
        """The last line of a request that was done."""
        self._finish(wire.encode(answer=value))

    def fail(self, text: str, exit_code: int = 1) -> None:
        """The last line of a request that was refused or failed."""
        self._finish(wire.encode(error=text, exit=exit_code))

    def progress(self, value: object) -> None:
        """A line on the way; dropped when the client is slow."""
        if not self._unsent:
            self.send(wire.encode(progress=value))

    def send(self, line: bytes) -> None:
        """A line of a stream: what cannot be sent now is kept, up to a bound; who falls behind further is cut off."""
        self._put(line)
        if len(self._unsent) > MAX_UNSENT:
            self.close()

    def close(self) -> None:
        """Hangs up."""
        if self.closed:
            return
        self._server.forget(self, self._socket.fileno())
        self._socket.close()
        self._unsent.clear()
        if self.on_close:
            self.on_close()

    def ready(self, events: int) -> list[Occurrence]:
        """The loop says that something can be read or written, or that it has hung up."""
        if events & select.EPOLLOUT:
            self._flush()
            if not self._unsent and not self.closed:
                self._watch() if self.waiting else self._next()
        if self.closed:
            return []
        if self.waiting or self._unsent:
            if events & (select.EPOLLHUP | select.EPOLLERR):
                self.close()
            elif events & select.EPOLLIN:
                self._watch()  # let it wait in the kernel, which has its own bound
            return []
        return self._read() if events & ~select.EPOLLOUT else []

    def pending(self) -> list[Occurrence]:
        """What came together with an earlier request, which is answered now."""
        return [] if self.closed or self.waiting or self._unsent else self._requests()

    def _read(self) -> list[Occurrence]:
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            data = b""
        if self._surplus is not None:
            self._surplus -= len(data)
            if not data or b"\n" in data or self._surplus < 0:
                self.close()
            return []
        if not data:
            self._ended = True
            if self._received:  # a last line without its newline
                data = b"\n"
        self._received += data
        return self._requests()

    def _requests(self) -> list[Occurrence]:
        """The next request of what has been received, or none."""
        end = self._received.find(b"\n")
        if max(end, len(self._received) if end < 0 else 0) > wire.MAX_REQUEST:
            self._received.clear()
            self.fail(f"a request has at most {wire.MAX_REQUEST} bytes", 2)
            self._surplus = wire.MAX_REQUEST  # who is cut off in the middle of it may never read why
            if end >= 0 or self._ended:
                self.close()
            return []
        if end < 0:
            if self._ended:
                self.close()
            return []
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        self.active = self._server.now()
        self.waiting = True
        try:
            verb, args = wire.decode_request(line)
        except wire.MalformedError as error:
            self.fail(str(error), 2)
            return []
        return [Request(self, verb, args)]

    def _finish(self, line: bytes) -> None:
        self.waiting = False
        self.on_close = None
        self.active = self._server.now()
        self._put(line)
        if not (self._unsent or self.closed):
            self._next()

    def _next(self) -> None:
        """An answer is out: on to the next request, wherever it is."""
        if self._received or self._ended:
            self._server.again(self)
        self._watch()

    def _put(self, line: bytes) -> None:
        if not self.closed:
            behind = bool(self._unsent)
            self._unsent += line
            if not behind:  # else the loop tells when there is room
                self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]
                self.active = self._server.now()
        except (BlockingIOError, InterruptedError):
            self._watch()
        except OSError:
            self.close()

    def _watch(self) -> None:
        """Tells the loop what this client waits for."""
        reads = not (self.waiting or self._unsent or self._ended)
        mask = (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if self._unsent else 0)
        if mask != self._mask and not self.closed:
            self._mask = mask
            self._server.watch(self, self._socket.fileno(), mask)


class Server:
    """The listening socket and its clients."""

    def __init__(self, loop: Loop, now: Callable[[], float], people: dict[int, str], group: int | None) -> None:
        """`people` names the users that are known; `group` is the gid of `socket_group`."""
        self.now = now
        self.people = people
        self.group = group
        self.clients: dict[Client, None] = {}
        self._loop = loop
        self._again: list[Client] = []
        self._socket: socket.socket | None = None
        self._path = ""
        self._spare = -1  # a descriptor to give up when there is no other: to accept somebody and turn them away
        self._rests_until: float | None = None  # nobody can be accepted or turned away: not to be woken without end

    def listen(self, path: str, mode: int) -> None:
        """Binds beside the path and renames, so that nobody ever meets a socket with other rights.

        Raises:
            InUseError: somebody answers at the path.
            OSError: it cannot be bound.
        """
        if _answers(path):
            raise InUseError(f"another supervisor answers at {path}")
        new = path + ".new"
        if os.path.lexists(new):
            os.unlink(new)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            umask = os.umask(0o177)
            try:
                listening.bind(new)
            finally:
                os.umask(umask)
            if self.group is not None:
                os.chown(new, -1, self.group)
            os.chmod(new, mode)
            listening.listen(MAX_CLIENTS)
            os.rename(new, path)
        except OSError:
            listening.close()
            raise
        self._accept_at(listening, path)

    def inherit(self, fd: int, path: str) -> bool:
        """Goes on with what an earlier program of this process has listened on. False when it is no such socket."""
        if fd < 0:
            return False
        listening = socket.socket(fileno=fd)
        try:
            if listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and os.path.exists(path):
                self._accept_at(listening, path)
                return True
        except OSError:  # no socket
            pass
        listening.close()
        return False

    @property
    def fd(self) -> int:
        """What listens; -1: nothing."""
        return self._socket.fileno() if self._socket else -1

    def _accept_at(self, listening: socket.socket, path: str) -> None:
        self._stop_listening()
        self._socket, self._path = listening, path
        self._save_one()
        self._loop.watch(listening.fileno(), self._accept)

    def close(self) -> None:
        """Hangs up on everybody and removes the socket."""
        for client in list(self.clients):
            client.close()
        if self._socket:
            self._stop_listening()
            if os.path.lexists(self._path):
                os.unlink(self._path)

    def _stop_listening(self) -> None:
        if self._socket:
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()
            if self._spare >= 0:
                os.close(self._spare)
                self._spare = -1

    def name_of(self, uid: int) -> str:
        """What events and reasons call a user."""
        return self.people.get(uid) or f"uid {uid}"

    def next_deadline(self) -> float | None:
        """When the next idle client is hung up on; 0.0 when a request waits in a buffer."""
        if self._again:
            return 0.0
        idle = min((client.active + IDLE for client in self.clients if not client.waiting), default=None)
        return min((moment for moment in (idle, self._rests_until) if moment is not None), default=None)

    def turn(self, now: float) -> list[Occurrence]:
        """Hangs up on the idle, and returns the requests that had to wait for an earlier answer."""
        for client in [c for c in self.clients if not c.waiting and c.active + IDLE <= now]:
            client.close()
        if self._rests_until is not None and self._rests_until <= now and self._socket:
            self._rests_until = None
            self._save_one()
            self._loop.watch(self._socket.fileno(), self._accept)
        again, self._again = self._again, []
        return [occurrence for client in again for occurrence in client.pending()]

    # -- for the clients ----------------------------------------------------------------------------------------------

    def forget(self, client: Client, fd: int) -> None:
        """It has hung up, or is about to be."""
        self._loop.unwatch(fd)
        self.clients.pop(client, None)

    def again(self, client: Client) -> None:
        """More of its requests are in its buffer."""
        self._again.append(client)

    def watch(self, client: Client, fd: int, mask: int) -> None:
        """What the loop shall tell it."""
        self._loop.watch(fd, client.ready, mask)

    def _accept(self, _: int) -> list[Occurrence]:
        if self._socket is None:
            return []
        try:
            connection, _address = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # gone meanwhile
            return []
        except OSError as error:  # of the machine: whoever waits stays there, and so does the loop's reason to wake up
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._turn_away(self._socket):
                self._rest(self._socket)
            return []
        try:
            peer = peer_of(connection)
        except OSError:
            connection.close()
            return []
        connection.setblocking(False)
        if not may_speak(peer, self.group):
            _refuse(connection, FORBIDDEN)
            return []
        if len(self.clients) >= MAX_CLIENTS:
            self._make_room()
        client = Client(self, connection, peer, self.now())
        try:
            self._loop.watch(connection.fileno(), client.ready)
        except OSError as error:  # ENOMEM, ENOSPC: epoll_ctl(2)
            _refuse(connection, f"the supervisor cannot take one more client: {error.strerror}; try again")
            return []
        self.clients[client] = None
        return []

    def _turn_away(self, listening: socket.socket) -> bool:
        """No descriptor is left: whoever waits is told so. False when not even that could be done."""
        if self._spare < 0:
            return False
        os.close(self._spare)
        self._spare = -1
        try:
            connection, _address = listening.accept()
            _refuse(connection, "the supervisor has no descriptor left; try again")
        except OSError:
            return False
        finally:
            self._save_one()
        return True

    def _save_one(self) -> None:
        """Keeps a descriptor for `_turn_away`. When the machine has none (ENFILE), another one tries again later."""
        if self._spare < 0:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _rest(self, listening: socket.socket) -> None:
        self._loop.unwatch(listening.fileno())
        self._rests_until = self.now() + REST

    def _make_room(self) -> None:
        """Hangs up on one client of the user who has most, first on one that waits for nothing."""
        if self.clients:
            held = Counter(client.peer.uid for client in self.clients)
            most = held.most_common(1)[0][0]
            theirs = [client for client in self.clients if client.peer.uid == most]
            min(theirs, key=lambda client: (client.waiting, client.active)).close()


def _refuse(connection: socket.socket, text: str) -> None:
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(wire.encode(error=text, exit=5))


def _answers(path: str) -> bool:
    """Whether a living process accepts connections there; a left-over socket refuses them.

    One whose listener is dead, but for a child that has not closed it yet, is left over, too.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
            listener = peer_of(probe).pid  # 0: in another pid namespace
            return not listener or procfs.stat(listener).alive
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # busy, or another user's: in any case not ours to take
            return True
