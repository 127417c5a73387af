"""The server's end of the control socket. A slow, huge or malicious client costs only itself.

Every descriptor is non-blocking. Every client has three limits:

- the size of a request that it sends,
- the bytes that wait to be sent to it,
- the time that it is idle.

When all places are taken, the server disconnects one client of the user who has the most. It takes the client that is
idle longest, and tells it the reason. So no user can lock out another one. The number of places leaves enough
descriptors for the tasks. It is at most MAX_CLIENTS, and at least FEW.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from supervisor.control import wire
from supervisor.control.access import Peer, may_speak, peer_of, pidfd_of, program_of
from supervisor.host import lookup, procfs
from supervisor.host.deadlines import Alarm, first, overdue
from supervisor.host.interface import Occurrence, Request
from supervisor.host.lookup import EXHAUSTED
from supervisor.host.loop import Loop
from supervisor.host.place import Place, place_of

MAX_CLIENTS = 128
FEW = 8

IDLE = 30.0
"""Seconds that a client may take to send a request, or to receive an answer."""

MAX_UNSENT = 4 << 20
"""Bytes of a stream that may wait for a client. The server disconnects a client with a longer backlog."""


AT_ONCE = 64
"""Lines in one system call; the kernel accepts up to 1024."""

REST = 1.0
"""Seconds during which the server ignores new connections, after it could not accept one."""

_INT = 4
"""Bytes of a descriptor in a message."""

_ONE_DESCRIPTOR = socket.CMSG_LEN(_INT)
"""Room for the descriptors of a message: CMSG_SPACE would be room for two (cmsg(3))."""

DISMISSED = "the supervisor closed this connection to serve another client; try again"

FORBIDDEN = "permission denied: only root, the supervisor's owner and the members of socket_group may control it"


class InUseError(Exception):
    """Another supervisor listens at this socket."""


class Client:
    """One connection. It handles one request at a time, and reads nothing more until the answer is sent."""

    def __init__(self, server: Server, connection: socket.socket, peer: Peer, now: float) -> None:
        self.peer = peer
        self.by = server.name_of(peer.uid)
        self.active = now  # the last moment at which it did something
        self.waiting = False  # an answer is being prepared, so the client is not idle
        self.on_close: Callable[[], None] | None = None
        self._server = server
        self._socket = connection
        self._received = bytearray()
        self._unsent: deque[bytes | memoryview] = deque()  # lines; clients share the lines of the feed
        self._behind = 0  # bytes of the unsent lines
        self._mask = select.EPOLLIN
        self._ended = False  # it sends nothing more, but may still read: `echo … | socat`
        self._descriptor = -1  # came with the request
        self._surplus: int | None = None  # how many more bytes of an oversized request are discarded

    @property
    def closed(self) -> bool:
        """Say whether the connection is closed."""
        return self._socket.fileno() < 0

    def who(self) -> dict[str, Any]:
        """Return what `wait.Asker.who` describes."""
        return {"user": self.by, "uid": self.peer.uid, "pid": self.peer.pid, "program": program_of(self.peer.pid)}

    def pidfd(self) -> int:
        """See `wait.Asker`."""
        return pidfd_of(self._socket)

    def answer(self, value: object) -> None:
        """Send the last line of a request that was done."""
        self._finish(wire.encode(answer=value))

    def fail(self, text: str, exit_code: int = 1) -> None:
        """Send the last line of a request that was refused or failed."""
        self._finish(wire.encode(error=text, exit=exit_code))

    def descriptor(self) -> int:
        """See `Asker`."""
        fd, self._descriptor = self._descriptor, -1
        return fd

    def _drop_descriptor(self) -> None:
        if self._descriptor >= 0:
            os.close(self.descriptor())

    def ticket(self, value: object) -> None:
        """Send the line of a ticket."""
        self.send(wire.encode(ticket=value))

    def progress(self, value: object) -> None:
        """Send a line of progress. Drop it if the client is slow."""
        if not self._unsent:
            self.send(wire.encode(progress=value))

    def send(self, line: bytes) -> None:
        """Send a line of a stream. Keep unsent bytes up to MAX_UNSENT; disconnect a client that has more."""
        self._put(line)
        if self._behind > MAX_UNSENT:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self.closed:
            return
        self._server.forget(self, self._socket.fileno())
        self._socket.close()
        self._drop_descriptor()
        self._server.descriptor_freed()
        self._unsent.clear()
        if self.on_close:
            self.on_close()

    def dismiss(self) -> None:
        """Hang up. Send the reason first, unless the client is in the middle of an answer."""
        if not self._unsent:
            self._put(wire.encode(error=DISMISSED, exit=5))
        self.close()

    def ready(self, events: int) -> list[Occurrence]:
        """Handle the events of the loop: the client can be read or written, or has disconnected."""
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
                self._watch()  # leave the data in the kernel, which has its own limit
            return []
        return self._read() if events & ~select.EPOLLOUT else []

    def pending(self) -> list[Occurrence]:
        """Return the next request that came together with an earlier one, after that one is answered."""
        return [] if self.closed or self.waiting or self._unsent else self._requests()

    def _read(self) -> list[Occurrence]:
        try:
            data = self._receive()
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

    def _receive(self) -> bytes:
        """Receive bytes, and a descriptor that comes with them. The kernel closes further ones (unix(7), MSG_CTRUNC).

        Raises:
            OSError: there are none now, or the connection is broken.
        """
        data, ancillary, _, _ = self._socket.recvmsg(65536, _ONE_DESCRIPTOR, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS) and len(content) >= _INT:
                self._drop_descriptor()
                self._descriptor = int.from_bytes(content[:_INT], sys.byteorder)
        return data

    def _requests(self) -> list[Occurrence]:
        """Return the next request from the received bytes, or an empty list."""
        end = self._received.find(b"\n")
        if max(end, len(self._received) if end < 0 else 0) > wire.MAX_REQUEST:
            self._received.clear()
            self.fail(f"a request has at most {wire.MAX_REQUEST} bytes", 2)
            self._surplus = wire.MAX_REQUEST  # a client that is cut off while it sends may never read why
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
        self._drop_descriptor()
        self.on_close = None
        self.active = self._server.now()
        self._put(line)
        if not (self._unsent or self.closed):
            self._next()

    def _next(self) -> None:
        """Go on to the next request after an answer is sent. The request is in the buffer or in the socket."""
        if self._received or self._ended:
            self._server.again(self)
        self._watch()

    def _put(self, line: bytes) -> None:
        if not self.closed:
            behind = bool(self._unsent)
            self._unsent.append(line)
            self._behind += len(line)
            if not behind:  # else the loop reports when there is room
                self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._sent(self._socket.sendmsg(islice(self._unsent, AT_ONCE)))
                self.active = self._server.now()
        except (BlockingIOError, InterruptedError):
            self._watch()
        except OSError:
            self.close()

    def _sent(self, count: int) -> None:
        """Remove the bytes that are sent."""
        self._behind -= count
        while self._unsent and count >= len(self._unsent[0]):
            count -= len(self._unsent.popleft())
        if count:
            self._unsent[0] = memoryview(self._unsent[0])[count:]

    def _watch(self) -> None:
        """Tell the loop which events this client waits for."""
        reads = not (self.waiting or self._unsent or self._ended)
        mask = (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if self._unsent else 0)
        if mask != self._mask and not self.closed:
            self._mask = mask
            self._server.watch(self, self._socket.fileno(), mask)


class Server:
    """The listening socket and its clients."""

    def __init__(self, loop: Loop, now: Callable[[], float], people: dict[int, str], group: int | None) -> None:
        """`people` has the names of known users by uid; `group` is the gid of `socket_group`."""
        self.now = now
        self.people = people
        self.group = group
        self.clients: dict[Client, None] = {}
        self._loop = loop
        self._again: list[Client] = []
        self._socket: socket.socket | None = None
        self._path, self._mode = "", 0
        self._place: Place | None = None  # of the socket at the path
        self._spare = -1  # a reserve descriptor: closed to accept a client when no other one is left
        self._pause = Alarm(self._accept_again)  # until then not watched: it would wake the loop endlessly

    def listen(self, path: str, mode: int) -> None:
        """Bind beside the path and rename. So the path never has a socket with other permissions.

        Raises:
            InUseError: another supervisor answers at the path.
            OSError: the socket cannot be bound.
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
        self._accept_at(listening, path, mode)

    def inherit(self, fd: int, path: str, mode: int) -> bool:
        """Take over the listening socket of the program before a re-exec. Return False if it is no such socket."""
        if fd < 0:
            return False
        listening = socket.socket(fileno=fd)
        try:
            if listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and os.path.exists(path):
                self._accept_at(listening, path, mode)
                return True
        except OSError:  # it is not a socket
            pass
        listening.close()
        return False

    @property
    def fd(self) -> int:
        """Return the descriptor of the listening socket; -1: none."""
        return self._socket.fileno() if self._socket else -1

    def is_there(self) -> bool:
        """See `Kept`."""
        return self._place is not None and self._place == place_of(self._path)

    def renew(self) -> None:
        """See `Kept`. Listen again. Clients that are connected stay so."""
        self.listen(self._path, self._mode)

    def _accept_at(self, listening: socket.socket, path: str, mode: int) -> None:
        self._stop_listening()
        self._socket, self._path, self._mode, self._place = listening, path, mode, place_of(path)
        self._save_one()
        self._loop.watch(listening.fileno(), self._accept)

    def close(self) -> None:
        """Hang up on all clients and remove the socket."""
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
        """Return the name of a user for events and reasons."""
        return self.people.get(uid) or f"uid {uid}"

    def next_deadline(self) -> float | None:
        """See `Timed`: an idle client, or the end of a rest; 0.0: a request waits in a buffer, or room is needed."""
        if self._again or self._is_crowded(0):
            return 0.0
        idle = (client.active + IDLE for client in self.clients if not client.waiting)
        return first((*idle, self._pause.at))

    def due(self, now: float) -> list[Occurrence]:
        """Hang up on idle clients. Return the requests that had to wait for an earlier answer."""
        for client in [c for c in self.clients if not c.waiting and c.active + IDLE <= now]:
            client.close()
        self._make_room(0)
        for alarm in overdue((self._pause,), now):
            alarm.due(now)
        again, self._again = self._again, []
        return [occurrence for client in again for occurrence in client.pending()]

    # -- for the clients ----------------------------------------------------------------------------------------------

    def forget(self, client: Client, fd: int) -> None:
        """Remove a client that has disconnected, or whose connection is about to be closed."""
        self._loop.unwatch(fd)
        self.clients.pop(client, None)

    def descriptor_freed(self) -> None:
        """Use the descriptor of a client that is closed now: for the reserve, and for a client that waits."""
        self._save_one()
        if self._pause.at is not None:
            self._pause.no_later_than(self.now())

    def again(self, client: Client) -> None:
        """Note that the buffer of a client may hold another request."""
        self._again.append(client)

    def watch(self, client: Client, fd: int, mask: int) -> None:
        """Set the events that the loop reports to a client."""
        self._loop.watch(fd, client.ready, mask)

    def _accept(self, _: int) -> list[Occurrence]:
        if self._socket is None:
            return []
        try:
            connection = self._accepted(self._socket)
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # the client is already gone
            return []
        except OSError as error:  # of the machine: the client stays queued, and wakes the loop again and again
            if error.errno in EXHAUSTED and any(one.active + REST <= self.now() for one in self.clients):
                self._dismiss_one()  # the next turn accepts the new client
            else:
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
        self._make_room(1)
        client = Client(self, connection, peer, self.now())
        try:
            self._loop.watch(connection.fileno(), client.ready)
        except OSError as error:  # ENOMEM, ENOSPC: epoll_ctl(2)
            _refuse(connection, f"the supervisor cannot accept one more client: {error.strerror}; try again")
            return []
        self.clients[client] = None
        return []

    def _accepted(self, listening: socket.socket) -> socket.socket:
        """Accept a connection. If tasks have all descriptors, one client at a time gets the reserve descriptor.

        Raises:
            OSError: it cannot be accepted now.
        """
        try:
            return listening.accept()[0]
        except OSError as error:
            if error.errno not in EXHAUSTED or self.clients or self._spare < 0:
                raise
        os.close(self._spare)
        self._spare = -1
        return listening.accept()[0]

    def _save_one(self) -> None:
        """Reserve a descriptor for `_accepted`. If none is left, a later call tries again."""
        if self._spare < 0:
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _rest(self, listening: socket.socket) -> None:
        self._loop.unwatch(listening.fileno())
        self._pause.at = self.now() + REST

    def _accept_again(self, _: float) -> None:
        if self._socket:
            self._save_one()
            self._loop.watch(self._socket.fileno(), self._accept)

    def _make_room(self, coming: int) -> None:
        """Hang up on clients until the `coming` ones have room, too."""
        while self._is_crowded(coming):
            self._dismiss_one()

    def _is_crowded(self, coming: int) -> bool:
        most = len(self.clients) + coming
        return most > FEW and (most > MAX_CLIENTS or lookup.free() < lookup.FOR_TASKS)

    def _dismiss_one(self) -> None:
        """Disconnect one client of the user who has the most. Prefer a client that waits for no answer."""
        held = Counter(client.peer.uid for client in self.clients)
        most = held.most_common(1)[0][0]
        theirs = [client for client in self.clients if client.peer.uid == most]
        min(theirs, key=lambda client: (client.waiting, client.active)).dismiss()


def _refuse(connection: socket.socket, text: str) -> None:
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(wire.encode(error=text, exit=5))


def _answers(path: str) -> bool:
    """Say whether a living process accepts connections at the path. A left-over socket refuses them.

    A socket is also left over if its listener is dead, and only a child still holds it open.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
            listener = peer_of(probe).pid  # 0: in another pid namespace
            return not listener or procfs.stat(listener).alive
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # it is busy, or belongs to another user: we must not take it
            return True
