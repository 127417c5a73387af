"""The parent's end of the connection to a helper: packets over a socket in the runtime directory.

The helper connects, as it is restarted without the parent's help. Only the process that the parent supervises under
this name gets the connection. The parent never waits: packets that the helper does not take now are kept, and sent as
soon as it does. A helper that ends loses them.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from supervisor.core.packets import LONGEST
from supervisor.host.interface import Occurrence
from supervisor.host.loop import Loop
from supervisor.runs.process import Processes

PACKETS = 64
"""Packets that are read in one turn: one helper must not hold up the others."""

_PEER = struct.Struct("3i")


class Channel:
    """The connection to one helper."""

    def __init__(
        self,
        loop: Loop,
        processes: Processes,
        key: str,
        *,
        connected: Callable[[], list[Occurrence]],
        received: Callable[[bytes], list[Occurrence]],
        closed: Callable[[], list[Occurrence]],
    ) -> None:
        """Wait for `listen`.

        Args:
            loop: the parent's.
            processes: knows the pid of the helper.
            key: of the helper's instance.
            connected: called when a helper has connected.
            received: called with each packet.
            closed: called when a connection has ended.
        """
        self._loop = loop
        self._processes = processes
        self._key = key
        self._connected, self._received, self._closed = connected, received, closed
        self._listener: socket.socket | None = None
        self._helper: socket.socket | None = None
        self._waiting: deque[bytes] = deque()

    def listen(self, path: str) -> None:
        """Make the socket to which the helper connects, before the helper is started.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        if self._listener is not None and os.path.exists(path):
            return
        if self._listener is not None:  # its path was removed
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
        with suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(4)
            self._loop.watch(listener.fileno(), lambda _: self._accept())
        except OSError:
            listener.close()
            raise
        self._listener = listener

    @property
    def is_open(self) -> bool:
        """Whether the helper is connected."""
        return self._helper is not None

    def send(self, packet: bytes, *, now: bool = False) -> bool:
        """Send a packet. Return False if there is no helper.

        Args:
            packet: it is lost if the helper ends before it reads it.
            now: return False also if the helper does not take it at once. The packet is not kept then.
        """
        if self._helper is None or (now and self._waiting):
            return False
        self._waiting.append(packet)
        self._flush()
        if now and self._waiting:
            self._waiting.clear()
            return False
        return self._helper is not None

    def close(self) -> list[Occurrence]:
        """Close the connection."""
        self._waiting.clear()
        if self._helper is not None:
            self._loop.unwatch(self._helper.fileno())
            self._helper.close()
            self._helper = None
        return self._closed()

    def _accept(self) -> list[Occurrence]:
        """Accept the helper, and only one connection."""
        try:
            made, _ = self._listener.accept() if self._listener else (None, None)
        except OSError:
            return []
        if made is None:
            return []
        pid, _, _ = _PEER.unpack(made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        process = self._processes.by_key.get(self._key)
        if process is None or process.pid != pid:
            made.close()
            return []
        occurred = self.close()
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        self._helper = made
        self._loop.watch(made.fileno(), self._ready)
        return [*occurred, *self._connected()]

    def _ready(self, events: int) -> list[Occurrence]:
        if events & select.EPOLLOUT:
            self._flush()
        occurred: list[Occurrence] = []
        for _ in range(PACKETS):
            try:
                packet = self._helper.recv(LONGEST) if self._helper else b""
            except BlockingIOError:
                return occurred
            except OSError:
                packet = b""
            if not packet:
                return occurred + self.close()
            occurred += self._received(packet)
        return occurred

    def _flush(self) -> None:
        while self._waiting and self._helper is not None:
            try:
                self._helper.send(self._waiting[0])
            except BlockingIOError:
                break
            except OSError:  # it has ended: the loop reads that next
                self._waiting.clear()
                return
            self._waiting.popleft()
        if self._helper is not None:
            mask = select.EPOLLIN | (select.EPOLLOUT if self._waiting else 0)
            self._loop.watch(self._helper.fileno(), self._ready, mask)
